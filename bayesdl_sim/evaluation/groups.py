"""Scores of many stacks together: groups, differences to the baselines, bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.evaluation.scoring import CALIBRATED, CONSTANT, INTENSITY_ONLY, Sample
from bayesdl_sim.inference.facts import LIT_SHARE
from bayesdl_sim.metrics.bootstrap import mean_over_cells

__all__ = [
    "BAR_LEVEL",
    "GROUP_BAND",
    "LIT_BAND",
    "SIGNAL_BANDS_E",
    "Group",
    "bars",
    "by_structure",
    "conformal_risks",
    "differences",
    "group_calibration",
    "intensity_deciles",
    "lit_fifth",
    "signal_deciles",
]

BAR_LEVEL = 0.9
GROUP_BAND = (0.80, 0.97)  # of the coverage of every group
LIT_BAND = (0.86, 0.94)  # of the coverage of the lit fifth
SIGNAL_BANDS_E = ((3.0, 13.0), (13.0, 60.0), (60.0, 400.0))  # electrons per lit pixel
DECILES = 10


class Group(NamedTuple):
    """Pixels (n,) that belong together: errors, and deviations as predicted and as calibrated."""

    error: NDArray
    sigma: NDArray
    calibrated: NDArray


def differences(rows: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Calibrated posterior minus each baseline, stack by stack; it is better below zero."""
    by_method = {
        method: [row for row in rows if row["method"] == method]
        for method in (CALIBRATED, INTENSITY_ONLY, CONSTANT)
    }
    table = []
    for baseline in (INTENSITY_ONLY, CONSTANT):
        row: dict[str, Any] = {"BayesDL-SIM, calibrated, less": baseline}
        for score in ("nll", "crps", "ause", "sharpness"):
            pairs = zip(by_method[CALIBRATED], by_method[baseline], strict=True)
            values = [ours[score] - other[score] for ours, other in pairs]
            cells = [ours["cell"] for ours in by_method[CALIBRATED]]
            row[score] = mean_over_cells(values, cells, np.random.default_rng(seed))
        table.append(row)
    return table


def group_calibration(groups: dict[str, Group], calibration: Calibration) -> list[dict[str, Any]]:
    """Coverage of the 90 % interval and mean z^2 per group."""
    plain, rows = Calibration(), []
    for name, (error, sigma, calibrated) in groups.items():
        row: dict[str, Any] = {"group": name, "pixels": error.size}
        for words, rule, stated in (
            ("as predicted", plain, sigma),
            ("calibrated", calibration, calibrated),
        ):
            z = error / stated
            low, high, _ = rule.bounds(BAR_LEVEL, guaranteed=False)
            row[f"coverage, {words}"] = float(np.mean((z >= low) & (z <= high)))
            row[f"mean z^2, {words}"] = float(np.mean(z**2))
        rows.append(row)
    return rows


def intensity_deciles(samples: Sequence[Sample], calibration: Calibration) -> dict[str, Group]:
    """Pixels of all stacks by their SR intensity, in ten groups of equal size."""
    mean, pixels = np.concatenate([s.mean for s in samples]), _pixels(samples, calibration)
    parts = np.array_split(np.argsort(mean, kind="stable"), DECILES)
    return {
        f"{mean[part[0]]:.2f}..{mean[part[-1]]:.2f}": Group(*(values[part] for values in pixels))
        for part in parts
    }


def signal_deciles(samples: Sequence[Sample], calibration: Calibration) -> dict[str, Group]:
    """Stacks by their signal, in ten groups; by level, where there are fewer or it is unknown."""
    signals = np.array([sample.signal_e for sample in samples])
    if len(samples) < DECILES or not np.isfinite(signals).all():
        return _grouped(samples, [f"level {sample.level}" for sample in samples], calibration)
    names = [""] * len(samples)
    for part in np.array_split(np.argsort(signals, kind="stable"), DECILES):
        for index in part:
            names[index] = f"{signals[part[0]]:.3g}..{signals[part[-1]]:.3g} e-"
    rising = np.argsort(signals, kind="stable")
    return _grouped([samples[i] for i in rising], [names[i] for i in rising], calibration)


def by_structure(samples: Sequence[Sample], calibration: Calibration) -> dict[str, Group]:
    """Stacks by the structure that they show."""
    return _grouped(samples, [sample.structure or "unknown" for sample in samples], calibration)


def lit_fifth(
    samples: Sequence[Sample], calibration: Calibration, per_structure: bool = False
) -> dict[str, Group]:
    """The brightest fifth of the pixels of each stack, by its posterior mean, per band of signal.

    A dark background is easily covered, and its many pixels mask errors on the structure.
    Stacks of unknown signal form one group; those beyond the bands are left out.

    Args:
        per_structure: one group for each structure and band.
    """
    lit: list[Sample] = []
    names = []
    for sample in sorted(samples, key=lambda sample: np.nan_to_num(sample.signal_e)):
        name = _band(sample.signal_e)
        if name is not None:
            bright = sample.mean >= np.quantile(sample.mean, 1 - LIT_SHARE)
            arrays = {n: getattr(sample, n) for n in ("target", "mean", "sigma", "brightness")}
            parts = {n: x[bright] for n, x in arrays.items() if x is not None}
            lit.append(replace(sample, **parts, draws=None))
            names.append(f"{sample.structure or 'unknown'}, {name}" if per_structure else name)
    groups = _grouped(lit, names, calibration)
    if per_structure:  # by name, rising signals within
        groups = dict(sorted(groups.items(), key=lambda pair: pair[0].split(",")[0]))
    return groups


def _band(signal_e: float) -> str | None:
    """Name of the band of a signal; None beyond the bands."""
    if np.isnan(signal_e):
        return "unknown signal"
    for low, high in SIGNAL_BANDS_E:
        if low <= signal_e < high:
            return f"{low:g}-{high:g} e-/px"
    return None


def _grouped(
    samples: Sequence[Sample], names: Sequence[str], calibration: Calibration
) -> dict[str, Group]:
    """The pixels of all stacks of one name; names in the order in which they come."""
    members: dict[str, list[Sample]] = {}
    for sample, name in zip(samples, names, strict=True):
        members.setdefault(name, []).append(sample)
    return {name: _pixels(group, calibration) for name, group in members.items()}


def _pixels(samples: Sequence[Sample], calibration: Calibration) -> Group:
    return Group(
        np.concatenate([sample.error for sample in samples]),
        np.concatenate([sample.sigma for sample in samples]),
        np.concatenate([sample.calibrated(calibration) for sample in samples]),
    )


def conformal_risks(samples: Sequence[Sample], calibration: Calibration) -> list[dict[str, Any]]:
    """The share of pixels outside the guaranteed interval, averaged over cells, per risk."""
    cells = [sample.cell for sample in samples]
    rows = []
    for entry in calibration.conformal:
        row = {"risk alpha": entry["alpha"], "factor": entry["factor"], "measured risk": None}
        row["cells needed"] = entry["cells_needed"]
        if entry["factor"] is not None:
            outside = [
                float(np.mean(np.abs(s.error) > entry["factor"] * s.calibrated(calibration)))
                for s in samples
            ]
            row["measured risk"] = mean_over_cells(outside, cells, np.random.default_rng(0))
        rows.append(row)
    return rows


def bars(
    scores: dict[str, Any],
    difference: dict[str, Any],
    by_intensity: Sequence[dict[str, Any]],
    by_signal: Sequence[dict[str, Any]],
    lit: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """What a posterior must reach to be trusted, and whether this one does."""

    def row(what: str, bar: str, value: str, met: bool) -> dict[str, Any]:
        return {"what": what, "bar": bar, "found": value, "met": bool(met)}

    coverage, z2 = scores[f"coverage_{BAR_LEVEL:g}"], scores["mean_z2"]
    rows = [
        row("coverage of the 90 % interval", "88-92 %", str(coverage), 0.88 <= coverage[0] <= 0.92),
        row("mean z^2", "0.9-1.1", str(z2), 0.9 <= z2[0] <= 1.1),
    ]
    every = (
        ("coverage in every intensity group", by_intensity, GROUP_BAND),
        ("coverage in every signal group", by_signal, GROUP_BAND),
        ("coverage of the lit fifth in every band of signal", lit, LIT_BAND),
    )
    for what, groups, (low, high) in every:
        coverages = [group["coverage, calibrated"] for group in groups]
        if coverages:
            words = f"{min(coverages):.3f}..{max(coverages):.3f}"
            good = min(coverages) >= low and max(coverages) <= high
            rows.append(row(what, f"{100 * low:g}-{100 * high:g} %", words, good))
    for score in ("nll", "ause"):
        estimate = difference[score]
        what = f"{score.upper()} less intensity only"
        rows.append(row(what, "interval below 0", str(estimate), estimate.high < 0))
    return rows
