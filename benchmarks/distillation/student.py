"""Can the student of `--fast` replace the posterior? Both on the same simulated test cells.

    python -m benchmarks.distillation.student --cells 24 --levels 3 --save_path runs/benchmarks

PSNR of both means against the truth (as `benchmarks.accuracy` states it), rank correlation of their
epistemic uncertainties (over all pixels together, and the median over stacks), and the coverage of
the calibrated 90 % intervals. No cell was used for training, distillation, calibration or gate.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.benchmarks.shared.common import open_posterior, within_interval
from bayesdl_sim.benchmarks.shared.console import arguments, at_least, cell_arguments
from bayesdl_sim.data.normalise import target_normalisation
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.training.distillation.fit import rank_correlation
from bayesdl_sim.utils.errors import run_script

__all__ = ["bars", "compare_scene", "main", "parse_args"]

PSNR_BAR, RANK_BAR, COVERAGE_BAR = 0.15, 0.9, (88.0, 92.0)
PIXELS = 4096  # of a stack, for the rank correlation over all of them


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("distillation.student", "Student and posterior on the same test cells.")
    cell_arguments(parser, cells=24, levels=3, size=128, seed=20261)
    args = parser.parse_args(argv)
    at_least(args, cells=1, levels=1, size=32, seed=0)
    return args


def normalised_target(scene: Scene, level: int) -> NDArray:
    """The truth (2H, 2W) on the intensity scale of the networks."""
    norm = PreparedStack(scene.stack(level)).norm(0)
    wide_field = scene.raw[level].numpy().mean(axis=0, dtype=np.float64)
    return target_normalisation(scene.target, wide_field, norm).apply(scene.target)


def covered(prediction: Prediction, target: NDArray, posterior: Posterior, level: int) -> float:
    """Share of the pixels in their 90 % interval, in per cent; the prediction is calibrated."""
    error = target - prediction.mean[level, 0].numpy()
    return 100 * float(within_interval(posterior, error, prediction.total[level, 0].numpy()).mean())


def compare_scene(
    scene: Scene, pair: Sequence[Posterior], number: int
) -> tuple[list[dict[str, Any]], list[tuple[NDArray, NDArray]]]:
    """One row per level, and the epistemic uncertainties of some pixels (posterior, student)."""
    predictions = [posterior.predict(scene.raw) for posterior in pair]
    rows, epistemic = [], []
    for level, signal in enumerate(scene.signals):
        row = {"cell": number, "structure": scene.name, "level": level + 1, "signal_e": signal}
        target = normalised_target(scene, level)
        for name, prediction, posterior in zip(
            ("posterior", "student"), predictions, pair, strict=True
        ):
            image = prediction.mean[level, 0].numpy()
            row[f"{name}, dB"] = quality(image, scene.target).psnr
            row[f"{name}, covered"] = covered(prediction, target, posterior, level)
        maps = [prediction.epistemic[level, 0].numpy().ravel() for prediction in predictions]
        row["epistemic rank"] = rank_correlation(*maps)
        rng = np.random.default_rng([number, level])
        chosen = rng.choice(maps[0].size, min(PIXELS, maps[0].size), replace=False)
        epistemic.append((maps[0][chosen], maps[1][chosen]))
        rows.append(row)
    return rows, epistemic


def bars(rows: Sequence[dict[str, Any]], pooled: float) -> list[dict[str, Any]]:
    """The limits that the student has to keep."""
    gap = np.mean([row["posterior, dB"] - row["student, dB"] for row in rows])
    inside = np.mean([row["student, covered"] for row in rows])
    low, high = COVERAGE_BAR
    return [
        _bar("PSNR below the posterior, dB", gap, f"<= {PSNR_BAR:g}", gap <= PSNR_BAR),
        _bar("rank correlation of epistemic", pooled, f">= {RANK_BAR:g}", pooled >= RANK_BAR),
        _bar("coverage of 90 %", inside, f"{low:g}-{high:g} %", low <= inside <= high),
    ]


def _bar(what: str, measured: float, bar: str, holds: bool) -> dict[str, Any]:
    held = "yes" if holds else "NO"
    return {"what": what, "measured": float(measured), "bar": bar, "holds": held}


def table(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means per signal level."""
    names = [name for name in rows[0] if name not in ("cell", "structure", "level")]
    levels = sorted({row["level"] for row in rows})
    return [
        {"level": level}
        | {name: float(np.mean([r[name] for r in rows if r["level"] == level])) for name in names}
        for level in levels
    ]


def measure(
    scenes: Iterable[Scene], pair: Sequence[Posterior]
) -> tuple[list[dict[str, Any]], float]:
    """All rows, and the rank correlation over all stacks together."""
    rows, epistemic = [], []
    for number, scene in enumerate(scenes, start=1):
        of_scene, maps = compare_scene(scene, pair, number)
        rows += of_scene
        epistemic += maps
    pooled = [np.concatenate(column) for column in zip(*epistemic, strict=True)]
    return rows, rank_correlation(*pooled)


def main(argv: list[str] | None = None) -> None:
    """Both tables."""
    args = parse_args(argv)
    pair = open_posterior(args), open_posterior(args, fast=True)
    scenes = tqdm(
        simulated_cells(args.seed, args.cells, args.levels, args.size), "cells", args.cells
    )
    rows, pooled = measure(scenes, pair)
    tables = {"Bars": bars(rows, pooled), "Means per signal level": table(rows)}
    facts = {"cells": args.cells, "levels": args.levels, "size": args.size, "seed": args.seed}
    facts |= {"members": len(pair[0].members)}
    write_tables("student", tables, args.save_path, facts, rows)


if __name__ == "__main__":
    run_script(main)
