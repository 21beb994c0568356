"""Faults at a place of a stack: beads, aggregates, pixels without data, odd lines."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.physics.image_formation import expected_frames, grid_for, soften
from bayesdl_sim.physics.microscopes import Microscope
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = ["LOCAL_FAULTS", "Fault", "FaultyStack"]

HAZE = 0.3  # share of a bead's light that is out of focus, unless stated
FROM_BEAD, FROM_GAP, FROM_PIXEL = 20, 8, 2  # raw pixels from a fault to where it is scored
EDGE = 24  # raw pixels from the border to the middle of a bead or to an odd line
TEXT = (slice(4, 12), slice(4, 28))  # rows and columns of a time stamp
AT_BORDER = 4  # the same for a bead at the border, at most


class FaultyStack(NamedTuple):
    """Counts (9, H, W), and the pixels (H, W) that are far enough from the fault to be scored."""

    raw: Tensor
    away: NDArray[np.bool_]


Fault = Callable[[Scene, Tensor, torch.Generator], FaultyStack]


def _beyond(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    return distance_transform_edt(~mask) > pixels


def _with_spots(
    times: float,
    count: int = 1,
    sigma: float = 0.0,
    haze: float = HAZE,
    fringes: bool = True,
    at_border: bool = False,
) -> Fault:
    """Beads or aggregates, with shot noise of their own.

    Args:
        times: their brightest pixel over the brightest of the structure, in the mean of the frames.
        sigma: raw pixels, of an aggregate; 0 for a point.
        haze: share of their light that is out of focus.
        fringes: whether they lie under the fringes, or shine alike in all frames.
        at_border: whether they lie at the upper border of the field.
    """

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        size = tuple(raw.shape[1:])
        grid, stack = grid_for(size), MeasuredFrames(raw)
        points, places = torch.zeros(grid.shape), np.zeros(size, bool)
        for _ in range(count):
            row, column = (
                int(torch.randint(EDGE, n - EDGE, (), generator=generator)) for n in size
            )
            if at_border:
                row = int(torch.randint(0, AT_BORDER + 1, (), generator=generator))
            points[grid.top + 2 * row, grid.left + 2 * column] = 1.0
            places[row, column] = True
        light = scene.illumination.seen_from(-grid.top / 2, -grid.left / 2)
        microscope = Microscope(scene.optics, light, Camera(), haze_fraction=haze)
        points = soften(points, 2 * sigma, pixel_size_nm=1.0)
        spots = expected_frames(points, microscope, grid)
        spots = spots if fringes else spots.mean(dim=0).expand(spots.shape)
        brightest = gaussian(stack.frames.mean(dim=0), 1.0).max()
        spots = spots * (times * brightest / spots.mean(dim=0).max())
        gain = max(stack.noise_line[1], 0.1)  # counts per electron
        counts = gain * torch.poisson((spots / gain).clamp(min=0), generator=generator)
        return FaultyStack((raw + counts).round(), _beyond(places, FROM_BEAD + 3 * sigma))

    return change


def _without_data(
    mark: Callable[[NDArray[np.bool_]], None],
    value: float | None,
    frames: slice = slice(None),
) -> Fault:
    """Pixels of one value.

    Args:
        mark: sets these pixels in a mask (H, W).
        value: counts; None: those of the brightest pixel of the stack.
        frames: that have it.
    """

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        gap, changed = np.zeros(raw.shape[1:], bool), raw.clone()
        mark(gap)
        changed[frames, torch.from_numpy(gap)] = float(raw.max()) if value is None else value
        return FaultyStack(changed, _beyond(gap, FROM_GAP))

    return change


def _time_stamp(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
    """Text of the brightest value, other signs in every frame."""
    changed, box = raw.clone(), np.zeros(raw.shape[1:], bool)
    box[TEXT] = True
    height, width = (side.stop - side.start for side in TEXT)
    for frame in changed:
        strokes = torch.rand(height // 2, width // 2, generator=generator) < 0.5
        signs = strokes.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
        frame[TEXT][signs] = raw.max()
    return FaultyStack(changed, _beyond(box, FROM_GAP))


def _corner(gap: NDArray[np.bool_]) -> None:
    gap[:12], gap[:, :9] = True, True


def _rotated(gap: NDArray[np.bool_]) -> None:
    rows, columns = np.indices(gap.shape)
    gap |= rows + columns < 0.4 * min(gap.shape)


def _left(gap: NDArray[np.bool_]) -> None:
    gap[:, :3] = True


def _lowest(gap: NDArray[np.bool_]) -> None:
    gap[-6:] = True


def _scale_bar(gap: NDArray[np.bool_]) -> None:
    gap[-10:-8, -28:-8] = True


def _lines(gap: NDArray[np.bool_]) -> None:
    height, width = gap.shape
    gap[height // 3 : height // 3 + 2], gap[:, width // 2 : width // 2 + 3] = True, True


def _block(gap: NDArray[np.bool_]) -> None:
    height, width = gap.shape
    gap[height // 2 : height // 2 + 20, width // 4 : width // 4 + 30] = True


def _single_pixels(share: float, value: float | None) -> Fault:
    """Single pixels of one value; None: of random ones, brighter than the structure."""

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        where = torch.rand(raw.shape[1:], generator=generator) < share
        low, high = raw.min(), raw.max()
        random = low + (high - low) * (0.2 + 4 * torch.rand(where.shape, generator=generator))
        values = random if value is None else torch.full_like(random, value)
        return FaultyStack(
            torch.where(where, values, raw).round(), _beyond(where.numpy(), FROM_PIXEL)
        )

    return change


def _odd_column(wide: int, gain: float, offset: float) -> Fault:
    """Adjacent columns with a gain and an offset of their own.

    Args:
        offset: in standard deviations of the noise of a frame.
    """

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        noise = max(MeasuredFrames(raw).noise_line[0], 1.0) ** 0.5
        first = int(torch.randint(EDGE, raw.shape[2] - EDGE, (), generator=generator))
        changed, odd = raw.clone(), np.zeros(raw.shape[1:], bool)
        changed[..., first : first + wide] *= gain
        changed[..., first : first + wide] += offset * noise
        odd[:, first : first + wide] = True
        return FaultyStack(changed.round(), _beyond(odd, FROM_GAP))

    return change


LOCAL_FAULTS: dict[str, Fault] = {
    "a bead, 4 times as bright": _with_spots(4),
    "a bead, 8 times": _with_spots(8),
    "a bead, 15 times": _with_spots(15),
    "a bead, 30 times": _with_spots(30),
    "four beads, 10 times": _with_spots(10, count=4),
    "a bead at the border, 10 times": _with_spots(10, at_border=True),
    "a bead without haze, 10 times": _with_spots(10, haze=0.0),
    "a bead without fringes, 10 times": _with_spots(10, fringes=False),
    "an aggregate of sigma 3 px, 5 times": _with_spots(5, sigma=3),
    "an aggregate of sigma 6 px, 2.5 times": _with_spots(2.5, sigma=6),
    "12 rows and 9 columns of zeros": _without_data(_corner, 0.0),
    "a corner of NaN, as after a rotation": _without_data(_rotated, float("nan")),
    "two dead rows, three dead columns": _without_data(_lines, 100.0),
    "a block of 20 x 30 without data": _without_data(_block, 0.0),
    "hot pixels, 0.2 %": _single_pixels(0.002, None),
    "dead pixels, 0.2 %": _single_pixels(0.002, 100.0),
    "a column of 1.5 times the gain": _odd_column(1, 1.5, 0.0),
    "a column, 2 sd off": _odd_column(1, 1.0, 2.0),
    "a pair of columns, 2 sd off": _odd_column(2, 1.0, 2.0),
    "three columns of zeros in one orientation": _without_data(_left, 0.0, slice(3, 6)),
    "six rows of zeros in one frame": _without_data(_lowest, 0.0, slice(4, 5)),
    "a scale bar of the brightest value": _without_data(_scale_bar, None),
    "a time stamp of the brightest value": _time_stamp,
}
