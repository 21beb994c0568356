"""The line along which one image shows most detail, and the profiles of all images along it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates

from bayesdl_sim.metrics.images import affine_fit
from bayesdl_sim.utils.errors import InputError

__all__ = ["Line", "line_between", "liveliest_line", "profile"]

COARSE = 3.0  # pixels; what varies more slowly than this Gaussian is shape, not detail
SHORTEST = 2  # pixels of a line between two places
LIT = 0.65  # of the brightest pixel of the guide: the line stays on the structure


class Line(NamedTuple):
    """Pixel positions `rows`, `columns` one pixel apart."""

    rows: NDArray
    columns: NDArray


def liveliest_line(image: NDArray, guide: NDArray, share: float = 0.45) -> Line:
    """The straight line of lit pixels along which the image has the strongest detail.

    Of all lines of `share` of the side (every 5 degrees, every 2 pixels) on which the guide, a
    coarse image of the same structure, stays lit, the one along which the image differs most from
    the guide at short range. Where no line stays lit, that of the brightest guide is taken.
    """
    side = min(image.shape)
    lit, beyond = LIT * guide.max(), image - affine_fit(guide, image)
    best, best_score = None, (-1, -np.inf)
    for angle in np.deg2rad(np.arange(0, 180, 5)):
        for y in np.arange(0.1 * side, 0.9 * side, 2):
            for x in np.arange(0.1 * side, 0.9 * side, 4):
                line = _line(y, x, angle, share * side)
                if not _within(line, image.shape):
                    continue
                on = profile(guide, line)
                stays = int(on.min() >= lit)
                along = profile(beyond, line)
                detail = (along - gaussian_filter1d(along, COARSE)).std() if stays else on.mean()
                if (stays, detail) > best_score:
                    best, best_score = line, (stays, detail)
    return best if best is not None else _line(side / 2, side / 2, 0.0, share * side)


def line_between(start: tuple[float, float], end: tuple[float, float]) -> Line:
    """The straight line between two places (row, column), ends included.

    Raises:
        InputError: the two places are less than two pixels apart.
    """
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    if not length >= SHORTEST:
        raise InputError(f"a line of {length:.1f} px is too short: at least {SHORTEST} px")
    steps = np.linspace(0, 1, round(length) + 1)
    return Line(*(a + steps * (b - a) for a, b in zip(start, end, strict=True)))


def profile(image: NDArray, line: Line) -> NDArray:
    """Values along a line, by linear interpolation."""
    return map_coordinates(np.asarray(image, float), line, order=1, mode="nearest")


def _line(y: float, x: float, angle: float, length: float) -> Line:
    along = np.arange(-length / 2, length / 2 + 0.5)
    return Line(y + along * np.sin(angle), x + along * np.cos(angle))


def _within(line: Line, shape: tuple[int, ...]) -> bool:
    return all(
        values.min() >= 0 and values.max() <= n - 1 for values, n in zip(line, shape, strict=True)
    )
