"""Which frames that another program has processed are noticed, and what the processing costs.

    python -m benchmarks.faulty_inputs.processed --members 1 --save_path runs/processed

Every exposure of simulated test cells goes through each process, is checked as `test.py` checks it,
and is reconstructed. A process counts as noticed where a fault is found that the exposure itself
does not have.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, median_filter, white_tophat
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.benchmarks.shared.common import open_posterior, posterior_of
from bayesdl_sim.benchmarks.shared.console import arguments, at_least, cell_arguments
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.inference.judging.findings import findings
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.physics.checks.raw_checks import raw_checks
from bayesdl_sim.utils.errors import run_script

__all__ = ["PROCESSES", "main", "outcomes", "parse_args"]

Frames = NDArray[np.float32]

BORDER = 16  # fine pixels that are not scored


def _unsharp(frames: Frames, sigma: float, weight: float) -> Frames:
    """An unsharp mask as image programs define it, with the weight of the mask."""
    return (frames - weight * gaussian_filter(frames, (0, sigma, sigma))) / (1 - weight)


def _without_outliers(frames: Frames) -> Frames:
    """Pixels a tenth of the contrast above the median of their surroundings become that median."""
    middle = median_filter(frames, (1, 5, 5))
    low, high = np.percentile(frames, (1, 99.5))
    return np.where(frames - middle > 0.1 * (high - low), middle, frames)


def _with_gamma(frames: Frames, gamma: float) -> Frames:
    return 65535 * (np.clip(frames, 0, None) / frames.max()) ** gamma


PROCESSES: dict[str, Callable[[Frames], Frames]] = {
    "none": lambda frames: frames,
    "unsharp mask, sigma 1, weight 0.6": lambda frames: _unsharp(frames, 1.0, 0.6),
    "unsharp mask, sigma 2, weight 0.6": lambda frames: _unsharp(frames, 2.0, 0.6),
    "unsharp mask, sigma 2, weight 0.3": lambda frames: _unsharp(frames, 2.0, 0.3),
    "Gaussian filter, sigma 0.7": lambda frames: gaussian_filter(frames, (0, 0.7, 0.7)),
    "median filter, 3 x 3": lambda frames: median_filter(frames, (1, 3, 3)),
    "outliers replaced by the median": _without_outliers,
    "top hat, 21 x 21": lambda frames: white_tophat(frames, (1, 21, 21)),
    "gamma 0.8": lambda frames: _with_gamma(frames, 0.8),
}


def _faults(raw: Tensor) -> tuple[set[str], bool]:
    """What is found in a stack, in words without numbers, and whether it is refused."""
    found = findings(raw_checks(raw).by_name(), tuple(raw.shape[1:]))
    words = ("".join(c for c in fault.reason if not c.isdigit()) for fault in found)
    return set(words), any(fault.refuse for fault in found)


def outcomes(scene: Scene, posterior: Posterior) -> list[dict[str, Any]]:
    """One row for every exposure of a scene and every process."""
    inner = (slice(BORDER, -BORDER),) * 2
    rows: list[dict[str, Any]] = []
    for level, signal in enumerate(scene.signals):
        own: set[str] = set()
        reference = 0.0
        for name, process in PROCESSES.items():
            raw = torch.from_numpy(process(scene.raw[level].numpy()).round().astype(np.float32))
            faults, refused = _faults(raw)
            maps = posterior_of(replace(scene, raw=raw[None]), posterior)
            psnr = quality(maps.mean[0, 0].numpy()[inner], scene.target[inner]).psnr
            if name == "none":
                own, reference = faults, psnr
            rows.append(
                {
                    "process": name,
                    "structure": scene.name,
                    "signal": signal,
                    "change": psnr - reference,
                    "noticed": bool(faults - own),
                    "refused": refused,
                    "faults": "; ".join(sorted(faults - own)),
                }
            )
    return rows


def table_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per process: what it costs, and how often it is noticed."""
    table = []
    for name in PROCESSES:
        of_process = [row for row in rows if row["process"] == name]
        changes = np.array([row["change"] for row in of_process])
        quiet = [row["change"] for row in of_process if not (row["noticed"] or row["refused"])]
        table.append(
            {
                "process": name,
                "change, dB": round(float(changes.mean()), 2),
                "worst, dB": round(float(changes.min()), 2),
                "noticed": f"{sum(row['noticed'] for row in of_process)} of {len(of_process)}",
                "refused": sum(row["refused"] for row in of_process),
                "worst unnoticed, dB": round(min(quiet), 2) if quiet else "",
            }
        )
    return table


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("faulty_inputs.processed", "Frames that another program has processed.")
    cell_arguments(parser, cells=8, levels=3, size=144, seed=20291)
    args = parser.parse_args(argv)
    at_least(args, cells=1, levels=1, size=64, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Checks and reconstructs all exposures after all processes, and prints the table."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    cells = simulated_cells(args.seed, args.cells, args.levels, args.size)
    rows = [
        row
        for scene in tqdm(cells, "cells", args.cells, disable=None)
        for row in outcomes(scene, posterior)
    ]
    facts = {name: getattr(args, name) for name in ("cells", "levels", "size", "seed")}
    tables = {"Processed frames": table_of(rows)}
    write_tables("processed", tables, args.save_path, facts, rows)


if __name__ == "__main__":
    run_script(main)
