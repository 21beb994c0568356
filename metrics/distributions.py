"""Quality of a predictive distribution, pixel by pixel: scores, calibration, sparsification.

Pixels are arrays (n,) of any one shape: `target`, `mean` and `sigma` (the predictive standard
deviation) in the same units, `error = target - mean`. Distributions are Gaussian unless
stated otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from bayesdl_sim.utils.errors import InputError

__all__ = [
    "QUANTILES",
    "Sparsification",
    "crps_ensemble",
    "crps_gaussian",
    "ence",
    "nll_gaussian",
    "observed_frequency",
    "quantile_calibration_error",
    "sharpness",
    "sparsification",
]

QUANTILES = np.arange(1, 100) / 100
BINS = 20  # of equal numbers of pixels
REMOVED = np.linspace(0, 0.98, 50)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparsification:
    """Root mean square error of what is left, after the most uncertain share of pixels is removed.

    Attributes:
        removed: shares, from 0.
        by_sigma, by_error: the error left when pixels go by their sigma, and by their true error
            (the oracle), each divided by the error of all pixels.
        ause: area between the two curves; 0 is an uncertainty that ranks the errors perfectly.
        aurg: area between 1 (random removal) and `by_sigma`; 0 is no better than chance.
    """

    removed: NDArray[np.float64]
    by_sigma: NDArray[np.float64]
    by_error: NDArray[np.float64]
    ause: float
    aurg: float


def nll_gaussian(error: ArrayLike, sigma: ArrayLike) -> float:
    """Negative log-likelihood, nats per pixel: `< log(2 pi sigma^2) + error^2 / sigma^2 > / 2`."""
    error, sigma = _checked(error, sigma)
    return float(np.mean(0.5 * np.log(2 * np.pi * sigma**2) + 0.5 * (error / sigma) ** 2))


def crps_gaussian(error: ArrayLike, sigma: ArrayLike) -> float:
    """Continuous ranked probability score of a Gaussian, in the units of the image; 0 is perfect.

    `sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi))`, `z = error / sigma`, averaged over pixels.

    Source: Gneiting, Raftery, Westveld and Goldman, Mon. Weather Rev. 133, 1098 (2005), eq. 5.
    """
    error, sigma = _checked(error, sigma)
    z = error / sigma
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return float(np.mean(sigma * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))))


def crps_ensemble(target: ArrayLike, draws: ArrayLike) -> float:
    """Fair CRPS of a distribution of which there are only draws, averaged over pixels.

    With K draws x_k, `1/K sum |x_k - y| - 1/(2 K (K - 1)) sum_jk |x_j - x_k|`: its expectation does
    not depend on K, so a large and a small ensemble can be compared. The second sum comes from
    the sorted draws, `2 sum_k (2 k - K - 1) x_(k)`.

    Args:
        target: (n,).
        draws: (K, n), independent draws of the predictive distribution, K at least 2.

    Source: Ferro, Q. J. R. Meteorol. Soc. 140, 1917 (2014).
    """
    target, draws = np.asarray(target, np.float64), np.asarray(draws, np.float64)
    number = len(draws)
    if draws.shape != (number, *target.shape) or number < 2 or target.size == 0:
        raise InputError(
            f"a fair CRPS needs 2 draws or more of every pixel, found draws of shape {draws.shape} "
            f"for a target of shape {target.shape}"
        )
    ranks = 2 * np.arange(1, number + 1) - number - 1
    spread = np.tensordot(ranks, np.sort(draws, axis=0), 1) / (number * (number - 1))
    return float(np.mean(np.abs(draws - target).mean(axis=0) - spread))


def observed_frequency(cdf: ArrayLike, expected: ArrayLike = QUANTILES) -> NDArray[np.float64]:
    """The share of pixels whose target lies below each quantile of its own prediction.

    Args:
        cdf: predicted probability, of each pixel, of a smaller value than its target;
            `Phi(error / sigma)` of a Gaussian.
        expected: probabilities p.

    Returns:
        The share of `cdf <= p` for each p; p itself where the prediction is calibrated.
    """
    cdf = np.sort(np.asarray(cdf, np.float64), axis=None)
    if not cdf.size or not (cdf[0] >= 0 and cdf[-1] <= 1):  # also catches NaN
        raise InputError("expected at least one predicted probability, each between 0 and 1")
    return np.searchsorted(cdf, np.asarray(expected), side="right") / cdf.size


def quantile_calibration_error(cdf: ArrayLike) -> float:
    """Mean of `|observed - expected|` frequency over the quantiles 1 % to 99 %; 0 is calibrated.

    Source: Kuleshov, Fenner and Ermon, ICML 2018, equation 9 with absolute differences.
    """
    return float(np.mean(np.abs(observed_frequency(cdf) - QUANTILES)))


def ence(error: ArrayLike, sigma: ArrayLike, bins: int = BINS) -> float:
    """Expected normalised calibration error: does a larger sigma mean a larger error, in step?

    Pixels are sorted by sigma into bins of equal numbers; with RMV the root mean sigma^2 and RMSE
    the root mean square error of a bin, `< |RMV - RMSE| / RMV >` over bins.

    Raises:
        InputError: fewer pixels than bins, or as all functions here.

    Source: Levi, Gispan, Giladi and Fetaya, Sensors 22, 5540 (2022), equation 8.
    """
    error, sigma = _checked(error, sigma)
    if sigma.size < bins:
        raise InputError(f"expected at least {bins} pixels for {bins} bins, found {sigma.size}")
    order = np.argsort(sigma, axis=None, kind="stable")
    variances = np.array_split(sigma.ravel()[order] ** 2, bins)
    squares = np.array_split(error.ravel()[order] ** 2, bins)
    rmv = np.sqrt([part.mean() for part in variances])
    rmse = np.sqrt([part.mean() for part in squares])
    return float(np.mean(np.abs(rmv - rmse) / rmv))


def sharpness(sigma: ArrayLike) -> float:
    """Root mean sigma^2: how narrow a prediction is. Of two calibrated ones the narrower is better.

    Source: Gneiting, Balabdaoui and Raftery, J. R. Stat. Soc. B 69, 243 (2007).
    """
    return float(np.sqrt(np.mean(np.asarray(sigma, np.float64) ** 2)))


def sparsification(error: ArrayLike, sigma: ArrayLike) -> Sparsification:
    """The error left after removing the most uncertain pixels, beside that of the best order.

    Pixels of one sigma are one group: removing part of it removes its average. A constant sigma is
    thus random removal, whatever order the pixels come in.

    Source: Ilg et al., ECCV 2018 (AUSE); Poggi, Aleotti, Tosi and Mattoccia, CVPR 2020 (AURG).
    """
    error, sigma = (values.ravel() for values in _checked(error, sigma))
    squares = error**2
    whole = squares.mean()
    if not whole > 0:
        raise InputError("a prediction without any error cannot be ranked by its uncertainty")
    _, group, size = np.unique(sigma, return_inverse=True, return_counts=True)
    expected = (np.bincount(group, squares) / size)[group]
    by_sigma = _left(expected[np.argsort(sigma, kind="stable")]) / np.sqrt(whole)
    by_error = _left(np.sort(squares)) / np.sqrt(whole)
    return Sparsification(
        removed=REMOVED,
        by_sigma=by_sigma,
        by_error=by_error,
        ause=float(np.trapezoid(by_sigma - by_error, REMOVED)),
        aurg=float(np.trapezoid(1 - by_sigma, REMOVED)),
    )


def _left(squares: NDArray) -> NDArray:
    """Root mean of the first pixels, for every share removed from the end."""
    kept = np.maximum(np.rint((1 - REMOVED) * squares.size).astype(int), 1)
    return np.sqrt(np.cumsum(squares)[kept - 1] / kept)


def _checked(error: ArrayLike, sigma: ArrayLike) -> tuple[NDArray, NDArray]:
    error, sigma = np.asarray(error, np.float64), np.asarray(sigma, np.float64)
    if error.shape != sigma.shape or error.size == 0:
        raise InputError(
            f"error {error.shape} and standard deviation {sigma.shape} are expected to have one "
            "shape and at least one pixel"
        )
    if not (np.isfinite(error) & np.isfinite(sigma) & (sigma > 0)).all():
        raise InputError("scores need finite errors and positive, finite standard deviations")
    return error, sigma
