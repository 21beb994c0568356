"""Quality of an image: against a target, and of the uncertainty that is stated with it.

All functions take 2-D images as (image, target) unless stated otherwise, of any units.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from bayesdl_sim.utils.errors import InputError

__all__ = [
    "QUALITY_SCORES",
    "Quality",
    "affine_fit",
    "auroc",
    "coverage",
    "finite_image",
    "min_max",
    "ms_ssim",
    "pearson",
    "quality",
]

_SSIM_WINDOW = 11  # pixels; a Gaussian of sigma 1.5 cut at 3.5 sigma
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, from fine to coarse


@dataclass(frozen=True, kw_only=True)
class Quality:
    """PSNR in dB, SSIM and NRMSE, as this project states them and in the older convention."""

    psnr: float
    ssim: float
    nrmse: float
    psnr_legacy: float
    ssim_legacy: float
    nrmse_legacy: float


QUALITY_SCORES = tuple(field.name for field in fields(Quality))


def finite_image(image: ArrayLike) -> NDArray[np.float64]:
    """The image (H, W) in double precision; `InputError` where it is none, or not finite."""
    image = np.asarray(image, dtype=np.float64)
    if image.ndim != 2 or image.size == 0:
        raise InputError(f"expected an image (H, W), found an array of shape {image.shape}")
    if not np.isfinite(image).all():
        raise InputError("an image holds values that are not finite (NaN or infinity)")
    return image


def affine_fit(image: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The image ``a * image + b`` that is nearest to the target in least squares.

    Takes brightness and background, whose units no reconstruction preserves, out of a comparison.
    """
    image, target = _pair(image, target)
    centred = image - image.mean()
    power = np.vdot(centred, centred)
    slope = np.vdot(centred, target) / power if power > 0 else 0.0
    return slope * centred + target.mean()


def min_max(image: ArrayLike) -> NDArray[np.float64]:
    """The image scaled to [0, 1] by its darkest and brightest pixel; zeros where it is constant."""
    image = np.asarray(image, dtype=np.float64)
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high > low else np.zeros_like(image)


def quality(image: ArrayLike, target: ArrayLike) -> Quality:
    """PSNR, SSIM and NRMSE of an image of shape (H, W).

    The target is scaled to [0, 1] by its minimum and maximum and the image is fitted to it by
    `affine_fit`. With a data range of 1 and e = image - target:

        PSNR  = -10 log10 mean(e^2)      SSIM: Gaussian window of sigma 1.5, Wang et al. 2004
        NRMSE = |e| / |target|           (Euclidean norms)

    ``*_legacy`` are the same after scaling image and target each by its own minimum and maximum,
    the convention of DFCAN and BioSR (Qiao et al. 2021), where one hot pixel changes everything.

    Raises:
        InputError: when the shapes differ, the target is constant, a value is not finite or the
            image is smaller than the window of SSIM (11 pixels).
    """
    image, target = _scored_pair(image, target)
    fitted, scaled = _scores(affine_fit(image, target), target), _scores(min_max(image), target)
    return Quality(**dict(zip(QUALITY_SCORES, fitted + scaled, strict=True)))


def _scores(image: NDArray, target: NDArray) -> tuple[float, float, float]:
    error = float(np.mean((image - target) ** 2))
    psnr = -10 * np.log10(error) if error > 0 else np.inf
    # Loaded only here: a reconstruction without a truth needs neither this nor `scipy.stats`.
    from skimage.metrics import structural_similarity

    ssim = structural_similarity(
        target, image, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
    )
    return float(psnr), float(ssim), float(np.sqrt(error / np.mean(target**2)))


def ms_ssim(image: ArrayLike, target: ArrayLike) -> float:
    """Multi-scale SSIM after the scaling of `quality`: 1 for equal images.

        prod_{j < M} (mean c_j)^w_j (mean l_M c_M)^w_M,

    c_j contrast times structure and l_j luminance of SSIM after j - 1 averagings over 2 x 2 pixels,
    M = 5. Where the coarsest scales would be smaller than the window (below 176 pixels), they are
    left out and the weights of the others scaled to the same sum, so compare only images of one
    size. A negative mean counts as 0.

    Raises:
        InputError: as `quality`.

    Source: Wang, Simoncelli and Bovik, Asilomar 2003, equation 7.
    """
    image, target = _scored_pair(image, target)
    image = affine_fit(image, target)
    scales = min(len(_SCALE_WEIGHTS), 1 + int(np.log2(min(target.shape) / _SSIM_WINDOW)))
    weights = np.array(_SCALE_WEIGHTS[:scales]) / sum(_SCALE_WEIGHTS[:scales])
    weights *= sum(_SCALE_WEIGHTS)
    product = 1.0
    for scale, weight in enumerate(weights, start=1):
        luminance, contrast = _ssim_parts(image, target)
        part = contrast if scale < scales else luminance * contrast
        product *= max(float(part.mean()), 0.0) ** weight
        image, target = _halved(image), _halved(target)
    return product


def _ssim_parts(image: NDArray, target: NDArray) -> tuple[NDArray, NDArray]:
    """Luminance and contrast-structure maps of SSIM, where the window lies within the image."""
    edge = _SSIM_WINDOW // 2

    def local(values: NDArray) -> NDArray:
        return gaussian_filter(values, 1.5, truncate=3.5)[edge:-edge, edge:-edge]

    mean_x, mean_y = local(image), local(target)
    spread = local(image**2) - mean_x**2 + local(target**2) - mean_y**2
    covariance = local(image * target) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    return luminance, (2 * covariance + 9e-4) / (spread + 9e-4)


def _halved(image: NDArray) -> NDArray:
    height, width = (side // 2 for side in image.shape)
    return image[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson's correlation of two images; NaN where one of them is constant."""
    a, b = _pair(a, b)
    a, b = a - a.mean(), b - b.mean()
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(np.vdot(a, b) / norms, -1, 1)) if norms > 0 else float("nan")


def coverage(target: ArrayLike, mean: ArrayLike, sigma: ArrayLike, level: float = 0.9) -> float:
    """The share of pixels whose target lies in the central Gaussian interval of this level.

    ``|target - mean| <= z sigma``, z the quantile of ``(1 + level) / 2``. Calibrated uncertainty
    covers ``level``; less is overconfident. Arrays of any one shape, in the same units.
    """
    target, mean, sigma = (np.asarray(a, dtype=np.float64) for a in (target, mean, sigma))
    if not target.shape == mean.shape == sigma.shape:
        raise InputError(
            f"target {target.shape}, mean {mean.shape} and standard deviation {sigma.shape} "
            "are expected to have the same shape"
        )
    if not 0 < level < 1:
        raise InputError(f"a level lies between 0 and 1, found {level}")
    if not (np.isfinite(target) & np.isfinite(mean) & (sigma >= 0)).all():
        raise InputError(
            "coverage needs finite images and standard deviations that are not negative"
        )
    return float(np.mean(np.abs(target - mean) <= ndtri((1 + level) / 2) * sigma))


def auroc(negative: ArrayLike, positive: ArrayLike) -> float:
    """The probability that a positive score exceeds a negative one, ties counted half.

    The area under the ROC curve by ranks (Mann and Whitney 1947): 0.5 is chance, 1 is perfect.
    """
    from scipy.stats import rankdata  # slow to load

    negative = np.asarray(negative, dtype=np.float64).ravel()
    positive = np.asarray(positive, dtype=np.float64).ravel()
    if not (negative.size and positive.size):
        raise InputError("AUROC needs at least one negative and one positive score")
    scores = np.concatenate([negative, positive])
    if np.isnan(scores).any():
        raise InputError("AUROC cannot rank scores that are not numbers (NaN)")
    above = rankdata(scores)[negative.size :].sum() - positive.size * (positive.size + 1) / 2
    return float(above / (negative.size * positive.size))


def _scored_pair(image: ArrayLike, target: ArrayLike) -> tuple[NDArray, NDArray]:
    """Image and min-max scaled target, if SSIM can be taken of them."""
    image, target = _pair(image, target)
    if min(target.shape) < _SSIM_WINDOW:
        raise InputError(f"SSIM needs at least 11 x 11 pixels, found an image of {target.shape}")
    if target.max() == target.min():
        raise InputError("the target is constant: there is nothing to compare with")
    return image, min_max(target)


def _pair(image: ArrayLike, target: ArrayLike) -> tuple[NDArray, NDArray]:
    image, target = finite_image(image), finite_image(target)
    if image.shape != target.shape:
        raise InputError(f"image {image.shape} and target {target.shape} differ in size")
    return image, target
