"""One stack's sampled pixels, and every score of every way to predict their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.image_features import ImageFeatures
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.evaluation.baselines import Baselines
from bayesdl_sim.metrics.distributions import (
    crps_ensemble,
    crps_gaussian,
    ence,
    nll_gaussian,
    quantile_calibration_error,
    sharpness,
    sparsification,
)

__all__ = [
    "AS_PREDICTED",
    "CALIBRATED",
    "CONSTANT",
    "INTENSITY_ONLY",
    "LEVELS",
    "OURS",
    "Sample",
    "distribution_scores",
    "fair_crps",
    "mixture_draws",
    "predictors",
]

LEVELS = (0.5, 0.8, 0.9, 0.95)  # of the intervals
DRAWS = 20  # of the predictive mixture, for the fair CRPS
OURS = "BayesDL-SIM"
AS_PREDICTED = "BayesDL-SIM, as predicted"
CALIBRATED = "BayesDL-SIM, calibrated"
INTENSITY_ONLY = "intensity only"
CONSTANT = "one constant"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Sampled pixels (n,) of one stack, in normalised intensity; `draws` (DRAWS, n).

    `features` are those of the whole image, `brightness` is that of the sampled pixels in it.
    """

    cell: int
    level: int
    signal_e: float
    target: NDArray
    mean: NDArray
    sigma: NDArray
    draws: NDArray | None = None
    structure: str = ""
    features: ImageFeatures | None = None
    brightness: NDArray | None = None

    def calibrated(self, calibration: Calibration) -> NDArray:
        """Sigma as that calibration corrects it."""
        return calibration.factor(self.features, self.brightness) * self.sigma

    @property
    def error(self) -> NDArray:
        """Target - mean, in float64."""
        return np.subtract(self.target, self.mean, dtype=np.float64)


def mixture_draws(means: NDArray, sigmas: NDArray, rng: np.random.Generator) -> NDArray:
    """Independent draws (DRAWS, n) of the members' mixture: a member by chance, then its noise."""
    pixels = means.shape[1]
    member = rng.integers(len(means), size=(DRAWS, pixels))
    column = np.arange(pixels)
    noise = rng.standard_normal((DRAWS, pixels))
    return means[member, column] + sigmas[member, column] * noise


def predictors(
    sample: Sample, baselines: Baselines, calibration: Calibration
) -> dict[str, tuple[NDArray, Calibration]]:
    """Name -> sigma of the sampled pixels, and the rule of its intervals."""
    return {
        AS_PREDICTED: (sample.sigma, Calibration()),
        CALIBRATED: (sample.calibrated(calibration), calibration),
        INTENSITY_ONLY: (baselines.intensity(sample.mean), Calibration()),
        CONSTANT: (np.full(sample.mean.shape, baselines.constant), Calibration()),
    }


def distribution_scores(
    sample: Sample, sigma: NDArray, calibration: Calibration
) -> dict[str, float]:
    """Every score of one predictor on one stack; sigma (n,), intervals as `calibration` has them.

    Widths are those of the interval, in normalised intensity.
    """
    error = sample.error
    curve = sparsification(error, sigma)
    cdf_values = calibration.probability(error / sigma)
    scores = {
        "nll": nll_gaussian(error, sigma),
        "crps": crps_gaussian(error, sigma),
        "mean_z2": float(np.mean((error / sigma) ** 2)),
        "sharpness": sharpness(sigma),
        "quantile_error": quantile_calibration_error(cdf_values),
        "ence": ence(error, sigma),
        "ause": curve.ause,
        "aurg": curve.aurg,
        "rmse": float(np.sqrt(np.mean(error**2))),
    }
    for level in LEVELS:
        low, high, _ = calibration.bounds(level, guaranteed=False)
        inside = (error >= low * sigma) & (error <= high * sigma)
        scores[f"coverage_{level:g}"] = float(inside.mean())
        scores[f"width_{level:g}"] = float((high - low) * sigma.mean())
    return scores


def fair_crps(sample: Sample, scale: float | NDArray) -> float:
    """CRPS of the members' mixture itself, spread by `scale`, of all or (n,), about its mean."""
    return crps_ensemble(sample.target, sample.mean + scale * (sample.draws - sample.mean))
