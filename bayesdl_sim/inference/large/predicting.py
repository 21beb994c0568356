"""A large field through the members, tile by tile, and what the finished maps need of all tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.image_features import (
    ImageFeatures,
    brightness_between,
    brightness_shares,
    features_from,
)
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.data.inputs import InputSpec, network_input
from bayesdl_sim.inference.beside_spots import undimmed
from bayesdl_sim.inference.facts import LIT_SHARE
from bayesdl_sim.inference.gaps import RANGE_PERCENTILES, fine
from bayesdl_sim.inference.large.scratch import Scratch
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.series import CONVENTIONS, require_usable
from bayesdl_sim.utils.console.progress import Report
from bayesdl_sim.utils.pieces.percentiles import percentiles_of
from bayesdl_sim.utils.pieces.spans import Square, blocks_of, doubled

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = ["Statistics", "part_input", "predict_tiles", "predicted", "statistics_of"]


def predict_tiles(
    posterior: Posterior, one: PreparedStack, path: Path, progress: Report
) -> Scratch:
    """The prediction of the one time point of a stack, in the scale of the networks.

    Each tile is read with the halo of the receptive field, goes through all members, and is put in
    its place: the maps are those of the whole field.

    Args:
        path: path of the scratch file.
    """
    height, width = one.field
    names = Prediction._fields
    scratch = Scratch(path, names, (2 * height, 2 * width))
    guess = one.guess(0) if posterior.inputs.first_guess else None
    facts = posterior.members[0]
    blocks = blocks_of(one.field, posterior.tile, facts.reach, facts.stride)
    whole_tile = max(one.field)  # the input of a member is a tile already
    functions = [partial(member, tile=whole_tile) for member in posterior.functions]
    for number, block in enumerate(blocks, start=1):
        shown = part_input(one, posterior.inputs, block.read, guess)
        prediction = CONVENTIONS[posterior.convention](functions, shown, posterior.likelihood)
        for name, image in prediction._asdict().items():
            inner = image[0, 0, *map(doubled, block.keep)].cpu().numpy()
            rows, columns = map(doubled, block.write)
            scratch.write(name, (rows, columns), inner)
        progress(number, len(blocks), "tiles")
    return scratch


def part_input(
    one: PreparedStack, inputs: InputSpec, square: Square, guess: NDArray | None
) -> torch.Tensor:
    """A part of `PreparedStack.network_input`, (1, F, h, w); no more of the frames is read.

    Args:
        guess: first guess of the whole field, in counts; None for networks without one.
    """
    norm, raw = one.norm(0), one.shown(0, square)
    if guess is not None:
        guess = guess[*map(doubled, square)] / np.float32(norm.scale)
    return torch.from_numpy(network_input(norm.apply(raw.cpu().numpy()), guess, inputs))[None]


def predicted(scratch: Scratch, one: PreparedStack, square: Square) -> Prediction:
    """The prediction of a part, with spots undimmed, see `beside_spots.undimmed`."""
    maps = (torch.from_numpy(scratch.read(name, square))[None, None] for name in scratch.names)
    return undimmed(one, 0, Prediction(*maps), square)


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a pixel of the finished maps needs of all others; in the scale of the networks.

    Attributes:
        features: image-level features for the calibration.
        quantiles: quantiles of the mean at `image_features.brightness_shares`.
        structure: range of the structure.
        lit: value of the mean from which on a pixel is one of the brightest fifth.
    """

    features: ImageFeatures
    quantiles: tuple[float, ...]
    structure: float
    lit: float

    def brightness(self, mean: NDArray) -> NDArray[np.float32]:
        """`image_features.brightness_of` a part of the mean."""
        return brightness_between(mean, *self.quantiles)


def statistics_of(scratch: Scratch, one: PreparedStack) -> Statistics:
    """Measures the predictions of a field.

    Args:
        one: its stack; pixels without data do not count for scale and structure.

    Raises:
        InputError: the members predict nothing that can be shown.
    """
    total, deviations = 0.0, dict.fromkeys(("aleatoric", "epistemic"), 0.0)
    for band in scratch.bands():
        maps = {name: scratch.read(name, band) for name in ("mean", "aleatoric")}
        require_usable(maps, one.stack.source)
        total += float(maps["mean"].sum(dtype=np.float64))
        for name in deviations:
            deviations[name] += float(scratch.read(name, band).sum(dtype=np.float64))
    count = scratch.size[0] * scratch.size[1]
    mean = total / count
    squares = sum(
        float(np.square(scratch.read("mean", band) - mean, dtype=np.float64).sum())
        for band in scratch.bands()
    )
    gaps = one.missing(0).cpu().numpy() if bool(one.missing(0).any()) else None

    def with_data() -> Iterator[NDArray]:
        for band in scratch.bands():
            values = predicted(scratch, one, band).mean[0, 0].numpy()
            yield values if gaps is None else values[~_fine_rows(gaps, band)]

    def everything() -> Iterator[NDArray]:
        return (scratch.read("mean", band) for band in scratch.bands())

    shares = (*RANGE_PERCENTILES, 100 * (1 - LIT_SHARE))
    low, high, lit = percentiles_of(with_data, shares)
    quantiles = tuple(percentiles_of(everything, [100 * n for n in brightness_shares()]))
    parts = {name: value / count for name, value in deviations.items()}
    features = features_from(math.sqrt(squares / count), **parts, signal_e=one.signal_e(0))
    return Statistics(features=features, quantiles=quantiles, structure=high - low, lit=lit)


def _fine_rows(gaps: NDArray, band: Square) -> NDArray[np.bool_]:
    """Gaps of some rows of the doubled grid, which begin and end with a raw pixel."""
    return fine(gaps[band[0].start // 2 : band[0].stop // 2])
