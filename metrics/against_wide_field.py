"""A super-resolved image against the wide field of its frames, as SQUIRREL compares them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize_scalar

from bayesdl_sim.metrics.images import affine_fit, finite_image, pearson
from bayesdl_sim.utils.errors import InputError

__all__ = ["ResolutionScaled", "error_map", "resolution_scale", "rse", "rsp"]

_SEARCHED_SIDE = 256  # pixels of the wide field
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

    # The middle of a field suffices; a coarse search keeps the fine one out of a side minimum.
    cut = [max(0, side - _SEARCHED_SIDE) // 2 for side in wide_field.shape]
    middle = _inner(sr, *(factor * n for n in cut)), _inner(wide_field, *cut)

    def error(sigma: float) -> float:
        return float(np.mean((_scaled(*middle, sigma) - middle[1]) ** 2))

    # It takes place on the pixels of the wide field, which are fine enough for it.
    small, coarse = _binned(middle[0], factor), np.arange(0.0, _WIDEST_RSF + 1)
    errors = [
        np.mean((_scaled(small, middle[1], sigma / factor) - middle[1]) ** 2) for sigma in coarse
    ]
    best = float(coarse[np.argmin(errors)])
    around = (max(best - 1, 0.0), min(best + 1, _WIDEST_RSF))
    minimum = minimize_scalar(error, bounds=around, options={"xatol": 0.01})
    sigma = float(minimum.x) if minimum.fun < error(best) else best
    return ResolutionScaled(_scaled(sr, wide_field, sigma), sigma)


def _scaled(sr: NDArray, wide_field: NDArray, sigma: float) -> NDArray:
    """The image blurred by a Gaussian, binned to the grid of the wide field and fitted to it."""
    blurred = gaussian_filter(sr, sigma, mode="nearest")
    return affine_fit(_binned(blurred, sr.shape[0] // len(wide_field)), wide_field)


def _binned(image: NDArray, factor: int) -> NDArray:
    height, width = (side // factor for side in image.shape)
    return image.reshape(height, factor, width, factor).mean(axis=(1, 3))


def _inner(image: NDArray, rows: int, columns: int) -> NDArray:
    return image[rows : len(image) - rows, columns : image.shape[1] - columns]


def rsp(sr: ArrayLike, wide_field: ArrayLike) -> float:
    """Resolution-scaled Pearson correlation with wide field: 1 where the two agree (SQUIRREL)."""
    return pearson(resolution_scale(sr, wide_field).image, wide_field)


def rse(sr: ArrayLike, wide_field: ArrayLike) -> float:
    """Resolution-scaled error: root mean square difference, in units of wide field (SQUIRREL)."""
    return float(np.sqrt(np.mean(error_map(sr, wide_field) ** 2)))


def error_map(sr: ArrayLike, wide_field: ArrayLike) -> NDArray[np.float64]:
    """SQUIRREL's error map (H, W): resolution-scaled image minus wide field, in its units.

    Positive where the super-resolved image has light that wide field does not have. The paper shows
    its modulus. Shapes, errors and source as `resolution_scale`.
    """
    return resolution_scale(sr, wide_field).image - finite_image(wide_field)
