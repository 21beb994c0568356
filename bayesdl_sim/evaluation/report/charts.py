"""Diagrams of an evaluation, each a matplotlib figure that the caller saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.evaluation.baselines import Baselines
from bayesdl_sim.evaluation.groups import BAR_LEVEL, GROUP_BAND
from bayesdl_sim.evaluation.scoring import AS_PREDICTED, Sample, predictors
from bayesdl_sim.metrics.distributions import QUANTILES, observed_frequency, sparsification

__all__ = [
    "draw_lines",
    "histograms",
    "points_in_band",
    "quality_diagrams",
    "uncertainty_diagrams",
]

SIZE = (6.0, 4.2)  # inches


def draw_lines(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    title: str,
    x_label: str,
    y_label: str,
    diagonal: bool = False,
    log_x: bool = False,
    markers: bool = False,
) -> Figure:
    """One line per name -> (x, y), with a legend.

    Args:
        diagonal: also draw the line y = x of perfect calibration.
        log_x: logarithmic x axis.
        markers: mark the points.
    """
    figure, axes = _axes(title, x_label, y_label)
    if diagonal:
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="ideal")
    for name, (x, y) in curves.items():
        axes.plot(x, y, label=name, marker="o" if markers else None, markersize=4)
    if log_x:
        axes.set_xscale("log")
    axes.legend(frameon=False, fontsize=8)
    return figure


def histograms(samples: Mapping[str, ArrayLike], title: str, x_label: str) -> Figure:
    """Outlines of the samples' densities between -5 and 5 beside the standard normal density.

    The axis of the densities is logarithmic, which shows the tails.
    """
    figure, axes = _axes(title, x_label, "density")
    edges = np.linspace(-5, 5, 81)
    for name, values in samples.items():
        counts, _ = np.histogram(values, edges)
        density = counts / (np.size(values) * (edges[1] - edges[0]))
        axes.stairs(density, edges, label=name)
    x = np.linspace(-5, 5, 200)
    normal = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    axes.plot(x, normal, color="0.4", linestyle="--", linewidth=1, label="standard normal")
    axes.set(yscale="log", ylim=(1e-5, 2), xlim=(-5, 5))
    axes.legend(frameon=False, fontsize=8)
    return figure


def points_in_band(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    title: str,
    x_label: str,
    y_label: str,
    band: tuple[float, float],
    target: float,
) -> Figure:
    """Points per group and series, with the allowed band shaded and the target value dashed."""
    figure, axes = _axes(title, x_label, y_label)
    axes.axhspan(*band, color="tab:green", alpha=0.12, linewidth=0)
    axes.axhline(target, color="0.4", linestyle="--", linewidth=1)
    positions = np.arange(len(groups))
    for shift, (name, values) in zip(
        np.linspace(-0.15, 0.15, max(len(series), 2)), series.items(), strict=False
    ):
        axes.plot(positions + shift, values, "o", markersize=5, label=name)
    axes.set_xticks(positions, groups, rotation=45 if len(groups) > 6 else 0, fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    return figure


def quality_diagrams(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[Figure, str]]:
    """Image quality against the signal; none where it is unknown."""
    if not all(np.isfinite(row["signal_e"]) for row in rows):
        return {}
    diagrams = {}
    for score, label in (("psnr", "PSNR, dB"), ("ssim", "SSIM")):
        curves = {}
        for method in dict.fromkeys(row["method"] for row in rows):
            method_rows = [row for row in rows if row["method"] == method]
            levels = sorted({row["level"] for row in method_rows})
            groups = [[row for row in method_rows if row["level"] == level] for level in levels]
            curves[method] = tuple(
                [reduce([row[name] for row in group]) for group in groups]
                for name, reduce in (("signal_e", np.median), (score, np.mean))
            )
        figure = draw_lines(
            curves, label, "signal, electrons per lit pixel", label, log_x=True, markers=True
        )
        diagrams[f"{score}.png"] = (figure, f"{label} per signal level, mean over cells.")
    return diagrams


def uncertainty_diagrams(
    samples: Sequence[Sample],
    baselines: Baselines,
    calibration: Calibration,
    groups: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, tuple[Figure, str]]:
    """Reliability, sparsification, histograms of z, and coverage per group.

    Args:
        samples: one per stack.
        baselines, calibration: those that the scores were made with.
        groups: "intensity" and "signal" -> rows of
        `bayesdl_sim.evaluation.groups.group_calibration`.

    Returns:
        File name -> figure and its caption.
    """
    z: dict[str, list[NDArray]] = {}
    cdf_values: dict[str, list[NDArray]] = {}
    for sample in samples:
        for name, (sigma, rule) in predictors(sample, baselines, calibration).items():
            z.setdefault(name, []).append(sample.error / sigma)
            cdf_values.setdefault(name, []).append(rule.probability(z[name][-1]))
    observed = {
        name: (QUANTILES, observed_frequency(np.concatenate(values)))
        for name, values in cdf_values.items()
    }
    diagrams = {
        "reliability.png": (
            draw_lines(
                observed,
                "Reliability",
                "predicted probability",
                "observed frequency",
                diagonal=True,
            ),
            "How often the truth lies below each predicted quantile; all sampled pixels.",
        ),
        "sparsification.png": (
            draw_lines(
                _sparsification_curves(samples, baselines, calibration),
                "Sparsification",
                "share of pixels removed",
                "RMSE of the rest / RMSE of all",
            ),
            "The most uncertain pixels are removed first; mean over stacks. Lower is better.",
        ),
        "z.png": (
            histograms(
                {name: np.concatenate(values) for name, values in z.items()},
                "Standardised errors",
                "z = (target - mean) / sigma",
            ),
            "Standardised errors of all sampled pixels beside the standard normal density.",
        ),
    }
    for what, rows in groups.items():
        diagrams[f"deciles_{what}.png"] = _coverage_per_group(what, rows)
    return diagrams


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


def _axes(title: str, x_label: str, y_label: str):
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    return figure, axes
