"""A super-resolved image against the wide field of its frames, as SQUIRREL compares them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.metrics.images import affine_fit, finite_image, pearson
from bayesdl_sim.utils.errors import InputError

__all__ = ["ResolutionScaled", "error_map", "resolution_scale", "rse", "rsp"]

_SEARCHED_SIDE = 256  # pixels of the wide field
_SIGMA_STEP = 0.007  # pixels of the super-resolved grid, the last of a search
_WIDEST_RSF = 12.0  # pixels of the super-resolved grid, about three times a wide-field PSF


class ResolutionScaled(NamedTuple):
    """A super-resolved image brought to wide field's resolution, grid and units (`image`).

    `sigma` is the width of the Gaussian that did it, in pixels of the super-resolved grid.
    """

    image: NDArray[np.float64]
    sigma: float


def resolution_scale(sr: ArrayLike, wide_field: ArrayLike) -> ResolutionScaled:
    """Brings a super-resolved image down to wide field, as SQUIRREL does.

    Minimises ``|a * bin(gaussian(sr, sigma)) + b - wide_field|`` over sigma, a and b, where `bin`
    averages 2 x 2 pixels. The Gaussian stands for the resolution-scaling function.

    Args:
        sr: shape (2H, 2W), or (H, W), which is not binned.
        wide_field: shape (H, W), for instance the mean of the nine raw frames.

    Raises:
        InputError: when the shapes do not fit.

    Source: Culley et al., Nature Methods 15, 263 (2018), equations 1-3, without the registration:
    the grids are the same by construction, and a shift is an error that should show.
    """
    sr, wide_field = finite_image(sr), finite_image(wide_field)
    factor = sr.shape[0] // max(wide_field.shape[0], 1)
    if factor not in (1, 2) or sr.shape != tuple(factor * side for side in wide_field.shape):
        raise InputError(
            f"a wide field of {wide_field.shape} expects a super-resolved image of twice its "
            f"size, found {sr.shape}"
        )

    def error(sigma: float, sr: NDArray, wide_field: NDArray) -> float:
        return float(np.mean((_scaled(sr, wide_field, sigma) - wide_field) ** 2))

    # A coarse search keeps the fine one out of a side minimum; the middle of a field says enough.
    cut = [max(0, side - _SEARCHED_SIDE) // 2 for side in wide_field.shape]
    middle = _inner(sr, *(factor * n for n in cut)), _inner(wide_field, *cut)
    coarse = np.arange(0.0, _WIDEST_RSF + 1)
    errors = [error(sigma, *middle) for sigma in coarse]
    sigma, least, step = float(coarse[np.argmin(errors)]), min(errors), 0.5
    while step >= _SIGMA_STEP:
        near = [min(max(sigma + way * step, 0.0), _WIDEST_RSF) for way in (-1, 1)]
        tried, closer = min((error(s, *middle), s) for s in near)
        sigma, least = (closer, tried) if tried < least else (sigma, least)
        step /= 2
    return ResolutionScaled(_scaled(sr, wide_field, sigma), sigma)


def _scaled(sr: NDArray, wide_field: NDArray, sigma: float) -> NDArray:
    """The image blurred by a Gaussian, binned to the grid of the wide field and fitted to it."""
    factor = sr.shape[0] // wide_field.shape[0]
    along = _blurred_and_binned(sr, sigma, factor)
    return affine_fit(_blurred_and_binned(along.T, sigma, factor).T, wide_field)


def _blurred_and_binned(image: NDArray, sigma: float, factor: int) -> NDArray:
    """Rows blurred by a Gaussian and averaged over so many pixels, in one convolution.

    The values at the ends go on outside. (H, W) -> (H, W / factor).
    """
    reach = int(4 * sigma + 0.5)
    place = np.arange(-reach, reach + 1)
    taps = np.exp(-0.5 * (place / max(sigma, 1e-12)) ** 2)
    taps = np.convolve(taps / taps.sum(), np.full(factor, 1 / factor))
    padded = np.pad(image, ((0, 0), (reach, reach)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis=1)
    return np.einsum("ijk,k->ij", windows[:, ::factor], taps)


def _inner(image: NDArray, rows: int, columns: int) -> NDArray:
    return image[rows : len(image) - rows, columns : image.shape[1] - columns]


def rsp(sr: ArrayLike, wide_field: ArrayLike) -> float:
    """Resolution-scaled Pearson correlation with wide field: 1 where the two agree (SQUIRREL)."""
    return pearson(resolution_scale(sr, wide_field).image, wide_field)


def rse(sr: ArrayLike, wide_field: ArrayLike) -> float:
    """Resolution-scaled error: root mean square difference, in units of wide field (SQUIRREL)."""
    return float(np.sqrt(np.mean(error_map(sr, wide_field) ** 2)))


def error_map(sr: ArrayLike, wide_field: ArrayLike) -> NDArray[np.float64]:
    """SQUIRREL's error map (H, W): resolution-scaled image less wide field, in its units.

    Positive where the super-resolved image has light that wide field does not have. The paper shows
    its modulus. Shapes, errors and source as `resolution_scale`.
    """
    return resolution_scale(sr, wide_field).image - finite_image(wide_field)
