"""Pictures of how far an uncertainty can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.evaluation.baselines import Baselines
from bayesdl_sim.evaluation.charts import draw_lines, histograms, points_in_band
from bayesdl_sim.evaluation.groups import BAR_LEVEL, GROUP_BAND
from bayesdl_sim.evaluation.scoring import AS_PREDICTED, Sample, predictors
from bayesdl_sim.metrics.distributions import QUANTILES, observed_frequency, sparsification

__all__ = ["uncertainty_diagrams"]


def uncertainty_diagrams(
    samples: Sequence[Sample],
    baselines: Baselines,
    calibration: Calibration,
    groups: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, tuple[Figure, str]]:
    """Reliability, sparsification, histograms of z, and coverage per group.

    Args:
        samples: one per stack.
        baselines, calibration: as the scores were made with.
        groups: "intensity" and "signal" -> rows of
        `bayesdl_sim.evaluation.groups.group_calibration`.

    Returns:
        File name -> figure and its caption.
    """
    z: dict[str, list[NDArray]] = {}
    told: dict[str, list[NDArray]] = {}
    for sample in samples:
        for name, (sigma, rule) in predictors(sample, baselines, calibration).items():
            z.setdefault(name, []).append(sample.error / sigma)
            told.setdefault(name, []).append(rule.probability(z[name][-1]))
    observed = {
        name: (QUANTILES, observed_frequency(np.concatenate(values)))
        for name, values in told.items()
    }
    drawn = {
        "reliability.png": (
            draw_lines(
                observed, "Reliability", "predicted probability", "observed frequency",
                diagonal=True,
            ),
            "How often the truth lies below each predicted quantile; all sampled pixels.",
        ),
        "sparsification.png": (
            draw_lines(
                _sparsification_curves(samples, baselines, calibration), "Sparsification",
                "share of pixels removed", "RMSE of the rest / RMSE of all",
            ),
            "The most uncertain pixels are removed first; mean over stacks. Lower is better.",
        ),
        "z.png": (
            histograms(
                {name: np.concatenate(values) for name, values in z.items()},
                "Standardised errors", "z = (target - mean) / sigma",
            ),
            "Standardised errors of all sampled pixels beside the standard normal density.",
        ),
    }  # fmt: skip
    for what, rows in groups.items():
        drawn[f"deciles_{what}.png"] = _coverage_per_group(what, rows)
    return drawn


def _sparsification_curves(
    samples: Sequence[Sample], baselines: Baselines, calibration: Calibration
) -> dict[str, tuple[NDArray, NDArray]]:
    curves: dict[str, list[NDArray]] = {}
    for sample in samples:
        for name, (sigma, _) in predictors(sample, baselines, calibration).items():
            if name != AS_PREDICTED:  # the scale changes no order
                curve = sparsification(sample.error, sigma)
                curves.setdefault(name, []).append(curve.by_sigma)
        curves.setdefault("oracle: by true error", []).append(curve.by_error)
    return {name: (curve.removed, np.mean(rows, axis=0)) for name, rows in curves.items()}


def _coverage_per_group(what: str, rows: Sequence[Mapping[str, Any]]) -> tuple[Figure, str]:
    series = {
        words: [row[f"coverage, {words}"] for row in rows]
        for words in ("as predicted", "calibrated")
    }
    figure = points_in_band(
        [row["group"] for row in rows],
        series,
        f"Coverage of the 90 % interval by {what}",
        {"intensity": "normalised SR intensity", "signal": "electrons per lit pixel"}[what],
        "coverage",
        GROUP_BAND,
        BAR_LEVEL,
    )
    return figure, f"Coverage by {what}; the band is what a calibrated posterior keeps in."
