"""Scores of a structure against the true fluorophores, both at a resolution of 80 nm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA
from bayesdl_sim.metrics.images import pearson, quality
from bayesdl_sim.metrics.resolution import frc, frc_resolution

__all__ = [
    "BLUR_NM",
    "TruthScores",
    "calibration_error",
    "matched_blur",
    "paper_scores",
    "truth_scores",
]

BLUR_NM = 80.0  # full width at half maximum at which a structure is compared with the truth
LARGEST_BLUR = 1.25  # of the estimate, as a share of the truth's
BLURS = np.linspace(0.0, LARGEST_BLUR, 11)
BINS = 15


class TruthScores(NamedTuple):
    """PSNR in dB, SSIM and NCC at 80 nm, and the resolution by FRC in nm (1/7 threshold)."""

    psnr: float
    ssim: float
    ncc: float
    frc_nm: float


def matched_blur(
    estimate: ArrayLike, truth: ArrayLike, fine_nm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The truth at 80 nm, and the estimate blurred to agree with it best.

    The estimate has its own resolution: of a few Gaussians, up to `LARGEST_BLUR` times that of the
    truth, the one with the highest correlation is chosen, for all methods alike.

    Args:
        estimate, truth: (8H, 8W) on one grid.
        fine_nm: side of a fine pixel.
    """
    sigma = BLUR_NM / FWHM_PER_SIGMA / fine_nm
    target = gaussian_filter(np.asarray(truth, np.float64), sigma)
    estimate = np.asarray(estimate, np.float64)
    tried = [gaussian_filter(estimate, sigma * share) for share in BLURS]
    return max(tried, key=lambda image: np.nan_to_num(pearson(image, target), nan=-1)), target


def truth_scores(estimate: ArrayLike, truth: ArrayLike, fine_nm: float) -> TruthScores:
    """Scores of an estimate (8H, 8W) of any units against the number of fluorophores per pixel.

    After `matched_blur` and an affine fit; the data range is that of the blurred truth. The FRC
    is that of estimate and truth without any blur.
    """
    image, target = matched_blur(estimate, truth, fine_nm)
    result = quality(image, target)
    rings = frc(np.asarray(estimate, np.float64), np.asarray(truth, np.float64))
    resolution = frc_resolution(rings) * fine_nm
    return TruthScores(result.psnr, result.ssim, pearson(image, target), float(resolution))


def paper_scores(estimate: ArrayLike, truth: ArrayLike) -> tuple[float, float]:
    """PSNR and SSIM of the two images themselves, as the paper states them.

    Each is scaled to [0, 1] by its own minimum and maximum, without any fit to the other one.

    They are hardly informative on nearly black images, where an image without structure scores
    high.
    """
    scores = quality(estimate, truth)
    return scores.psnr_legacy, scores.ssim_legacy


def calibration_error(
    probability: ArrayLike, occupied: ArrayLike, bins: int = BINS, above: float = 0.0
) -> tuple[float, NDArray[np.float64]]:
    """Expected calibration error of a probability map, and its reliability diagram.

    `sum_b n_b / n |mean probability of bin b - share of occupied pixels in bin b|`.

    Most pixels are empty, and are stated to be: over all of them the error is small whatever the
    others are.

    Args:
        probability: any shape, 0 to 1.
        occupied: same shape, true or 1 where there is a fluorophore.
        above: probability up to which pixels are left out.

    Returns:
        The error, NaN where no pixel is left, and an array (bins, 3) of mean probability, share
        occupied and number of pixels.
    """
    probability = np.asarray(probability, np.float64).ravel()
    occupied = np.asarray(occupied, np.float64).ravel() > 0
    if above > 0:
        left = probability > above
        probability, occupied = probability[left], occupied[left]
    index = np.minimum((probability * bins).astype(int), bins - 1)
    number = np.bincount(index, minlength=bins)
    safe = np.maximum(number, 1)
    stated = np.bincount(index, probability, minlength=bins) / safe
    true = np.bincount(index, occupied, minlength=bins) / safe
    total = number.sum()
    error = float(np.sum(number * np.abs(stated - true)) / total) if total else float("nan")
    return error, np.stack([stated, true, number], axis=1)
