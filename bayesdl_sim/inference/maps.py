"""Which maps a stack and its members can have, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.recalibration import Bounds
from bayesdl_sim.bayes.credibility import trust_maps
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.judging.findings import SMALLEST_FIELD
from bayesdl_sim.inference.large.parts import part_of
from bayesdl_sim.inference.output.map_kinds import MAPS
from bayesdl_sim.inference.prepared.large_field import BLOCK
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.settings import CHANGES, INTERVAL, MISFIT, MapSettings
from bayesdl_sim.physics.patterns.estimation import FOUND
from bayesdl_sim.physics.reconstruction.apodisation import sharper
from bayesdl_sim.physics.reconstruction.resimulation import Resimulation
from bayesdl_sim.utils.console.progress import Report
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.pieces.spans import Square, blocks_of, doubled

__all__ = [
    "misfit_maps",
    "require_maps",
    "require_possible",
    "sharp_map",
    "with_interval",
    "with_misfit",
    "with_sharp",
    "with_trust",
]

DRAW_SEED = 0  # the same maps give the same draws
RESIMULATED_MARGIN = 32  # raw pixels around a block of a large field
SHARP_MARGIN = 128  # super-resolution pixels around a block


def require_maps(maps: Sequence[str], has_total: bool, comparable: bool) -> None:
    """`InputError` if a map is unknown, or cannot be had from the members.

    Args:
        has_total: whether the members predict a total uncertainty.
        comparable: whether each member gives time points that can be compared: not in the
            convention of the released code, and not for a student.
    """
    unknown = [name for name in maps if name not in MAPS]
    if unknown:
        raise InputError(f"maps: expected some of {', '.join(MAPS)}, found {unknown[0]!r}")
    groups = {"interval": INTERVAL, "changes": CHANGES}
    names = [name for name, group in groups.items() if set(group) & {*maps}]
    if names and not has_total:
        raise InputError(
            f"{' and '.join(names)}: needs a total uncertainty, that is several members with an "
            "uncertainty tail; choose other members, or leave it out"
        )
    if "changes" in names and not comparable:
        raise InputError(
            "changes: compares time points member by member, which neither the single network of "
            "fast nor the convention released can: leave it out, or the other option"
        )


def require_possible(stack: RawStack, maps: Sequence[str]) -> None:
    """`InputError` if a map cannot be had from this stack."""
    times, _, height, width = stack.raw.shape
    if set(maps) & {*MISFIT} and min(height, width) < SMALLEST_FIELD:
        raise InputError(
            f"{stack.source}: {height}x{width} px are too few for misfit, which needs "
            f"{SMALLEST_FIELD} a side to see the fringes: leave it out"
        )
    if set(maps) & {*CHANGES} and times < 2:
        raise InputError(
            f"{stack.source} is one time point, but changes compares each with the next: leave it "
            "out"
        )


def with_interval(result: Reconstruction, bounds: Bounds) -> Reconstruction:
    """Adds the ends of the interval, `SR + low Total` and `SR + high Total`."""
    ends = zip(INTERVAL, (bounds.low, bounds.high), strict=True)
    maps = {name: result.sr + np.float32(end) * result.total for name, end in ends}
    return result.with_further(maps)


def with_trust(
    result: Reconstruction,
    settings: MapSettings,
    credibility: bool = True,
    tolerance: float | None = None,
    number: int = 0,
) -> Reconstruction:
    """Adds how far to trust each pixel, and the channels of `exceed` and `draws`.

    Args:
        tolerance: the tolerated error in normalised SR intensity; None: `settings.delta`.
        number: number of the time point of a series, from 0: each has its own draws.
    """
    tolerance = settings.delta if tolerance is None else tolerance
    mean, total = torch.from_numpy(result.sr), torch.from_numpy(result.total)
    generator = torch.Generator().manual_seed(DRAW_SEED + number)
    added = trust_maps(mean, total, generator, tolerance, settings.exceed, settings.draws)
    if not credibility:
        del added["Credibility"]
    return result.with_channels({name: image.numpy() for name, image in added.items()})


def with_misfit(
    result: Reconstruction, prepared: PreparedStack, progress: Report
) -> Reconstruction:
    """Adds where the frames contradict the super-resolved image, see `misfit_maps`."""
    maps: dict[str, list[NDArray]] = {name: [] for name in MISFIT}
    for t, sr in enumerate(result.sr):
        for name, image in _misfit_at(prepared, t, sr).items():
            maps[name].append(image)
        progress(t + 1, len(result.sr), "re-simulation")
    return result.with_further({name: np.stack(images) for name, images in maps.items()})


def _misfit_at(prepared: PreparedStack, t: int, sr: NDArray) -> dict[str, NDArray[np.float32]]:
    """The maps of one time point; zero, until its gaps replace it, where that is left out."""
    if t in prepared.left_out:
        return dict.fromkeys(MISFIT, np.zeros(prepared.field, np.float32))
    return misfit_maps(prepared, t, sr.__getitem__)


def misfit_maps(
    prepared: PreparedStack, t: int, sr: Callable[[Square], NDArray]
) -> dict[str, NDArray[np.float32]]:
    """Maps (H, W) of one time point, see `resimulation.Resimulation`; of a large field in blocks.

    Args:
        sr: rows and columns of the doubled grid -> super-resolved image there.
    """
    if not prepared.is_large:
        return _misfit(prepared.resimulate(t, torch.from_numpy(sr(_fine_whole(prepared)))))
    maps = {name: np.empty(prepared.field, np.float32) for name in MISFIT}
    for block in blocks_of(prepared.field, BLOCK, RESIMULATED_MARGIN):
        part = part_of(prepared, t, block.read)
        resimulation = part.prepared.resimulate(0, torch.from_numpy(sr(part.fine_square)))
        for name, image in _misfit(resimulation).items():
            maps[name][block.write] = image[block.keep]
    return maps


def _misfit(resimulation: Resimulation) -> dict[str, NDArray[np.float32]]:
    return {
        "Contradicted": resimulation.invented.float().cpu().numpy(),
        "Misfit": resimulation.chi2.float().cpu().numpy(),
    }


def with_sharp(result: Reconstruction, prepared: PreparedStack) -> Reconstruction:
    """Adds the super-resolved image in the sharp convention, see `sharp_map`."""
    images = [
        sr if t in prepared.left_out else sharp_map(prepared, t, sr.__getitem__)
        for t, sr in enumerate(result.sr)
    ]
    return result.with_further({"Sharp": np.stack(images)})


def sharp_map(
    prepared: PreparedStack, t: int, sr: Callable[[Square], NDArray]
) -> NDArray[np.float32]:
    """The image (2H, 2W) of one time point in the sharp convention, see `apodisation.sharper`.

    A linear filter of the posterior mean is the posterior mean of the filtered image. The
    uncertainties stay those of SR. Where no fringes were found, nothing finer than the wide field
    was measured, and the image is left as it is. A large field is filtered in blocks.

    Args:
        sr: rows and columns of the doubled grid -> super-resolved image there.
    """
    patterns = prepared.patterns(t)
    extended = min(patterns.optics.cutoff + patterns.illumination.mean_frequency, 1.0)
    resolved = min(patterns.probability) >= FOUND

    def sharp(square: Square) -> NDArray:
        image = sr(square)
        if not resolved:
            return image
        return sharper(torch.from_numpy(image).to(prepared.device), extended).cpu().numpy()

    if not prepared.is_large:
        return sharp(_fine_whole(prepared))
    height, width = (2 * side for side in prepared.field)
    result = np.empty((height, width), np.float32)
    for block in blocks_of((height, width), 2 * BLOCK, SHARP_MARGIN):
        result[block.write] = sharp(block.read)[block.keep]
    return result


def _fine_whole(prepared: PreparedStack) -> Square:
    rows, columns = map(doubled, prepared.whole)
    return rows, columns
