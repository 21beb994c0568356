"""Does the interval hold with any number of members? Each number has its own calibration.

    python -m benchmarks.intervals.member_counts --root_dir runs/eval_many --cells 151-300

One row per number of members, in the shipped order: coverage of the 90 % interval over all sampled
pixels and over the lit fifth, mean z^2 after calibration, and the error of the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.calibration.stored import CALIBRATION_FILE, read_calibrations
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.commands.data_options import cell_numbers
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.evaluation.calibrate import calibration_samples
from bayesdl_sim.evaluation.cases import CaseSettings
from bayesdl_sim.evaluation.groups import lit_fifth
from bayesdl_sim.evaluation.predicting import PosteriorSettings, Sampling, open_posterior
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scoring import Sample
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args", "row"]

ROOM = "benchmarks.intervals"
LEVEL = 0.9


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("member_counts", "The interval with 1 to K members.", room=ROOM)
    parser.add_argument("--root_dir", type=Path, required=True, help="data set with ground truth")
    parser.add_argument("--cells", type=cell_numbers, required=True, help="e.g. 151-300")
    parser.add_argument("--pixels", type=int, default=8192, help="sampled per stack (%(default)s)")
    args = parser.parse_args(argv)
    at_least(args, pixels=100)
    return args


def covered(error: np.ndarray, sigma: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Which pixels lie in their interval."""
    low, high, _ = calibration.bounds(LEVEL, guaranteed=False)
    return (error >= low * sigma) & (error <= high * sigma)


def row(count: int, samples: Sequence[Sample], calibration: Calibration) -> dict[str, Any]:
    """Means over cells for one number of members; the error is that over cells."""
    cells: dict[int, list[tuple[float, float, float]]] = {}
    for sample in samples:
        sigma = sample.calibrated(calibration)
        inside = covered(sample.error, sigma, calibration).mean()
        z2 = float(np.mean((sample.error / sigma) ** 2))
        rmse = float(np.sqrt(np.mean(sample.error**2)))
        cells.setdefault(sample.cell, []).append((inside, z2, rmse))
    means = np.array([np.mean(values, axis=0) for values in cells.values()])
    error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    lit = lit_fifth(samples, calibration)
    return {
        "members": count,
        "90 % covers, %": round(100 * means[:, 0].mean(), 1),
        "+-": round(100 * error[0], 1),
        "mean z^2": round(means[:, 1].mean(), 3),
        "rmse": round(means[:, 2].mean(), 4),
        **{
            f"lit fifth, {band}, %": round(
                100 * covered(group.error, group.calibrated, calibration).mean(), 1
            )
            for band, group in lit.items()
        },
    }


def main(argv: list[str] | None = None) -> None:
    """One table."""
    args = parse_args(argv)
    settings = PosteriorSettings(device=args.device, precision=args.precision, tile=args.tile)
    evaluated = open_posterior(args.pretrained_G, "BayesDL-SIM", settings, "none")
    calibrations = read_calibrations(args.pretrained_G / CALIBRATION_FILE)
    sampling, tree = Sampling(pixels=args.pixels), DatasetTree(args.root_dir)
    samples = calibration_samples(tree, args.cells, evaluated, sampling, CaseSettings())
    known = {len(calibration.members): calibration for calibration in calibrations}
    rows = [row(n, of_count, known[n]) for n, of_count in enumerate(samples, start=1) if n in known]
    facts = {"cells": list(args.cells), "pixels_per_stack": args.pixels}
    write_tables("member_counts", {"Calibrated, by number of members": rows}, args.save_path, facts)


if __name__ == "__main__":
    run_script(main)
