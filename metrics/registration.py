"""Registers an image with its reference by a fraction of a pixel, before they are compared.

The pixels of a super-resolved image of this project divide the raw pixels: pixel (0, 0) of the
doubled grid is the upper left quarter of raw pixel (0, 0), so its centre lies at -1/4 raw pixel.
Reconstructions that pad the spectrum put the centres of pixel (0, 0) of both grids on each other,
which is half a pixel of the doubled grid down and to the right of ours; such a shift costs 1.5 to
3 dB in a comparison of fine structures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, shift
from skimage.filters import window
from skimage.registration import phase_cross_correlation

from bayesdl_sim.utils.errors import InputError

__all__ = ["BORDER_PX", "LARGEST_SHIFT_PX", "Registered", "register"]

LARGEST_SHIFT_PX = 1.5  # super-resolved pixels; conventions differ by 0.5 or 1, not by more
PER_PIXEL = 50  # steps of the search
SMALLEST_SHIFT_PX = 0.05  # below it nothing is moved: interpolation would cost more than it gains
BORDER_PX = 4  # that the movement may have touched
SMOOTH_PX = 1.0  # before the search: noise of single pixels has no place in common


class Registered(NamedTuple):
    """An image that lies on its reference.

    Attributes:
        image: moved and cut, (H - 8, W - 8); cut only, where nothing was to move.
        reference: cut alike.
        shift_px: rows and columns by which the image was moved, (0, 0) if not.
    """

    image: NDArray
    reference: NDArray
    shift_px: tuple[float, float]

    def sentence(self) -> str:
        """Description of the shift, for people."""
        if self.shift_px == (0.0, 0.0):
            return "no shift between image and reference"
        rows, columns = self.shift_px
        return f"moved by {rows:+.2f} rows and {columns:+.2f} columns onto the reference"


def register(
    image: ArrayLike, reference: ArrayLike, largest_px: float = LARGEST_SHIFT_PX
) -> Registered:
    """Moves an image onto its reference by the peak of their cross-correlation.

    Both are smoothed by a Gaussian of one pixel and tapered. A peak beyond `largest_px`, as two
    images without a common structure give it, moves nothing. Both are cut by 4 pixels a side in any
    case, so that scores with and without a shift are over the same pixels.

    Args:
        image, reference: (H, W), in any units, of one size; NaN counts as the mean.

    Raises:
        InputError: two sizes, or nothing left after cutting.
    """
    moving, fixed = (np.asarray(one, dtype=np.float64) for one in (image, reference))
    if moving.shape != fixed.shape or moving.ndim != 2 or min(moving.shape) <= 4 * BORDER_PX:
        raise InputError(
            f"image and reference are expected to have the same size of at least "
            f"{4 * BORDER_PX + 1} pixels a side, found {moving.shape} and {fixed.shape}"
        )
    displacement, _, _ = phase_cross_correlation(
        _prepared(fixed), _prepared(moving), upsample_factor=PER_PIXEL, normalization=None
    )
    rows, columns = (float(value) for value in displacement)
    length = float(np.hypot(rows, columns))
    if SMALLEST_SHIFT_PX <= length <= largest_px:
        moved = shift(_filled(moving), (rows, columns), order=3, mode="nearest")
        moved[shift(np.isnan(moving).astype(float), (rows, columns), order=1) > 0.01] = np.nan
        moving = moved
    else:
        rows, columns = 0.0, 0.0
    inner = (slice(BORDER_PX, -BORDER_PX),) * 2
    return Registered(moving[inner], fixed[inner], (rows, columns))


def _filled(image: NDArray) -> NDArray:
    gaps = np.isnan(image)
    return np.where(gaps, np.nanmean(image), image) if gaps.any() else image


def _prepared(image: NDArray) -> NDArray:
    smooth = gaussian_filter(_filled(image), SMOOTH_PX)
    return (smooth - smooth.mean()) * window("hann", image.shape)
