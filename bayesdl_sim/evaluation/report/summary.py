"""The tables of an evaluation, and its files: report, summary, CSV and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.evaluation.fringes import fringe_gain
from bayesdl_sim.evaluation.groups import (
    bars,
    by_structure,
    conformal_risks,
    differences,
    group_calibration,
    intensity_deciles,
    lit_fifth,
    signal_deciles,
)
from bayesdl_sim.evaluation.report.tables import write_csv
from bayesdl_sim.evaluation.scoring import CALIBRATED, LEVELS
from bayesdl_sim.evaluation.stacks import Results
from bayesdl_sim.metrics.bootstrap import Estimate, table_of_means
from bayesdl_sim.metrics.image_scores import IMAGE_SCORES
from bayesdl_sim.utils.files import atomic_path, write_json
from bayesdl_sim.utils.folders.staging import staged
from bayesdl_sim.utils.pictures import write_overview
from bayesdl_sim.utils.report.page import finite, picture, table, text, write_page

__all__ = ["REPORT", "lines_of", "summarise", "write_results"]

REPORT = "report.html"
SHORT = ("psnr", "ssim", "ms_ssim", "nrmse", "frc", "decorrelation", "rsp")  # in tables of groups
SCORES = (
    "nll",
    "crps",
    "crps_fair",
    "mean_z2",
    "quantile_error",
    "ence",
    "sharpness",
    "ause",
    "aurg",
)
Tables = dict[str, list[dict[str, Any]]]


def summarise(results: Results, calibration: Calibration, seed: int) -> Tables:
    """All tables: title -> rows; estimates as `Estimate`.

    Args:
        seed: seed of the bootstrap.
    """
    rows = results.images
    unit = "_nm" if all(np.isfinite(row["sr_pixel_nm"]) for row in rows) else "_px"
    columns = [name.replace("_px", unit) for name in IMAGE_SCORES]
    short = [name for name in columns if name.removesuffix(unit) in SHORT]
    coverages = [f"coverage_{level:g}" for level in LEVELS]
    widths = [f"width_{level:g}" for level in LEVELS]
    uncertainty = table_of_means(results.uncertainty, ["method"], SCORES, seed)
    intervals = table_of_means(results.uncertainty, ["method"], coverages + widths, seed)
    difference_rows = differences(results.uncertainty, seed)
    by_intensity = group_calibration(intensity_deciles(results.samples, calibration), calibration)
    by_signal = group_calibration(signal_deciles(results.samples, calibration), calibration)
    lit = group_calibration(lit_fifth(results.samples, calibration), calibration)
    ours = next(row for row in uncertainty if row["method"] == CALIBRATED)
    ours |= next(row for row in intervals if row["method"] == CALIBRATED)
    return {
        "Bars": bars(ours, difference_rows[0], by_intensity, by_signal, lit),
        "Image quality": table_of_means(rows, ["method"], columns, seed),
        "Image quality per structure": table_of_means(rows, ["structure", "method"], short, seed),
        "Image quality per level": table_of_means(
            _with_signal(rows), ["signal, e-/px", "method"], short, seed
        ),
        **({"Fringe gain, PSNR in dB": gain} if (gain := fringe_gain(rows)) else {}),
        "Uncertainty": [{k: row[k] for k in ("method", *SCORES)} for row in uncertainty],
        "Intervals": [{k: row[k] for k in ("method", *coverages, *widths)} for row in intervals],
        "Differences": difference_rows,
        "Per intensity decile": by_intensity,
        "Per signal decile": by_signal,
        "Lit fifth of the pixels per band of signal": lit,
        "Lit fifth per structure and band": group_calibration(
            lit_fifth(results.samples, calibration, per_structure=True), calibration
        ),
        "Per structure": group_calibration(by_structure(results.samples, calibration), calibration),
        "Conformal risk": conformal_risks(results.samples, calibration),
    }


def _with_signal(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows by level, with the level's median signal (or its number, where unknown)."""
    texts = {}
    for level in sorted({row["level"] for row in rows}):
        signal = float(np.median([row["signal_e"] for row in rows if row["level"] == level]))
        texts[level] = f"level {level}" if np.isnan(signal) else f"level {level}: {signal:.3g}"
    rows = sorted(rows, key=lambda row: row["level"])
    return [{**row, "signal, e-/px": texts[row["level"]]} for row in rows]


def write_results(
    folder: Path,
    results: Results,
    tables: Tables,
    figures: Mapping[str, tuple[Figure, str]],
    facts: Mapping[str, Any],
    notes: Sequence[str],
) -> None:
    """All files together, report.html last; an earlier report stays until they are written.

    Args:
        tables: tables from `summarise`.
        figures: file name -> figure and caption.
        facts: further entries of summary.json.
        notes: paragraphs above the tables.
    """
    earlier = {path.name for path in folder.glob("example_*.png")}
    with staged(folder, earlier, REPORT) as partial:
        _write_files(partial, results, tables, figures, facts, notes)


def _write_files(
    folder: Path,
    results: Results,
    tables: Tables,
    figures: Mapping[str, tuple[Figure, str]],
    facts: Mapping[str, Any],
    notes: Sequence[str],
) -> None:
    write_csv(folder / "metrics.csv", results.images)
    write_csv(folder / "uncertainty.csv", results.uncertainty)
    for name, (figure, _) in figures.items():
        with atomic_path(folder / name) as partial:
            figure.savefig(partial, format="png", dpi=110)
    pieces = []
    for number, (title, example) in enumerate(results.examples.items(), start=1):
        for what, panels in example.rows.items():
            path = folder / f"example_{number}_{what}.png"
            write_overview(path, panels, example.pixel_size_nm)
            pieces.append(picture(path, f"Example, {title}: {example.caption}; {what}"))
    plain = {title: [_plain(row) for row in rows] for title, rows in tables.items()}
    write_json(folder / "summary.json", {**facts, "tables": finite(plain)})
    sections = {"Summary": [text(note) for note in notes] + [table(tables["Bars"], miss="met")]}
    sections["Pictures"] = pieces
    sections["Diagrams"] = [picture(folder / name, words) for name, (_, words) in figures.items()]
    sections |= {title: [table(rows)] for title, rows in tables.items() if title != "Bars"}
    if results.left_out:
        rows = [{"stack": name, "reason": why} for name, why in results.left_out.items()]
        sections["Left out"] = [table(rows)]
    write_page(folder / REPORT, "BayesDL-SIM: evaluation", sections)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value._asdict() if isinstance(value, Estimate) else value for key, value in row.items()
    }


def lines_of(tables: Tables) -> list[str]:
    """The main numbers of the tables, as lines for the terminal."""
    lines = []
    for row in tables["Image quality"]:
        scores = ", ".join(f"{name.upper()} {row[name]}" for name in ("psnr", "ssim", "nrmse"))
        lines.append(f"   {row['method']:>24}: {scores}")
    for row in tables["Uncertainty"]:
        scores = ", ".join(f"{name} {row[name]}" for name in ("nll", "crps", "mean_z2", "ause"))
        lines.append(f"   {row['method']:>24}: {scores}")
    for row in tables["Bars"]:
        met = "met" if row["met"] else "NOT MET"
        lines.append(f"   {met:>7}: {row['what']}, {row['bar']}: {row['found']}")
    return lines
