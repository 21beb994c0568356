"""CPU seconds and peak memory of test.py against the size of a field, of a series, of a posterior.

    python -m benchmarks.scale.costs --work runs/costs --save_path runs/costs/tables

Each measurement is a program of its own, on one thread. A straight line `start + slope * size` is
fitted, and the largest deviation from it is stated.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from matplotlib.figure import Figure
from tqdm import tqdm

from bayesdl_sim.benchmarks.scenes.large_field import simulate_field
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.files import atomic_path

__all__ = ["Cost", "Line", "fitted", "main", "measured", "parse_args", "plot_costs", "write_series"]

ROOT = Path(__file__).resolve().parents[2]
CELL = ROOT / "data" / "cristae" / "raw.tif"
KILOBYTE = 1024  # unit of the peaks that Linux reports
AXES = {
    "field": ("raw pixels", lambda size: size**2),
    "series": ("time points", lambda size: size),
    "members": ("members", lambda size: size),
}


class Cost(NamedTuple):
    """CPU time and peak memory of one call."""

    cpu_s: float
    peak_gb: float


class Line(NamedTuple):
    """`start + slope * size`, and the largest deviation of a measurement from it, as a share."""

    start: float
    slope: float
    deviation: float


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("scale.costs", "Cost and memory against size.", network=False)
    add = parser.add_argument
    add("--fields", type=int, nargs="*", default=[128, 256, 512, 1024], help="sides, raw pixels")
    add("--series", type=int, nargs="*", default=[17, 50, 100, 200], help="numbers of time points")
    add("--counts", type=int, nargs="*", default=[1, 2, 4, 8], help="numbers of members")
    add("--side", type=int, default=128, help="of the frames of series and of members")
    add("--used", type=int, default=2, help="members for fields and series")
    add("--seed", type=int, default=5, help="of the fields")
    add("--work", type=Path, required=True, help="folder for inputs and results")
    args = parser.parse_args(argv)
    at_least(args, side=16, used=1)
    return args


def write_series(path: Path, side: int, times: int, rng: np.random.Generator) -> Path:
    """Time points of a part of a real cell, with fresh shot noise at each; page by page.

    Raises:
        InputError: for a side beyond the cell's.
    """
    cell = read_stack(CELL).raw[0].astype(np.float64)[:, :side, :side]
    if cell.shape[-2:] != (side, side):
        raise InputError(f"side: expected at most {min(cell.shape[-2:])}, found {side}")
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for _ in range(times):
            file.write(rng.poisson(cell).astype(np.uint16), contiguous=True)
    return path


def measured(data: Path, out: Path, members: int, *options: str) -> Cost:
    """Runs test.py on one thread, and removes what it wrote.

    Raises:
        InputError: it failed.
    """
    words = ["test.py", "--test_data", str(data), "--save_path", str(out), "--device", "cpu"]
    words += ["--threads", "1", "--members", str(members), "--force", *options]
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=messages,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            raise InputError(f"{data.name} failed: {messages.read().strip()[-300:]}")
    shutil.rmtree(out)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KILOBYTE / 1e9)


def fitted(sizes: list[float], seconds: list[float]) -> Line:
    """The line through the measurements that is nearest to them in relative error."""
    x, y = np.array(sizes, float), np.array(seconds, float)
    design = np.stack([np.ones_like(x), x], axis=1) / y[:, None]
    begin, slope = np.linalg.lstsq(design, np.ones_like(y), rcond=None)[0]
    deviation = np.abs(y / (begin + slope * x) - 1).max()
    return Line(float(begin), float(slope), float(deviation))


def plot_costs(path: Path, costs_by_kind: dict[str, dict[int, Cost]]) -> None:
    """One panel for each kind of size: CPU seconds with their line, and peak memory."""
    figure = Figure(figsize=(4.6 * len(costs_by_kind), 3.8), layout="constrained")
    for number, (kind, costs) in enumerate(costs_by_kind.items(), start=1):
        label, amount = AXES[kind]
        sizes, seconds = [amount(size) for size in costs], [cost.cpu_s for cost in costs.values()]
        axes = figure.add_subplot(1, len(costs_by_kind), number)
        axes.loglog(sizes, seconds, "o", color="C0", label="CPU seconds")
        if len(sizes) > 2:
            line, dense = fitted(sizes, seconds), np.geomspace(min(sizes), max(sizes), 100)
            label_of_line = f"straight line, deviation {line.deviation:.0%}"
            axes.loglog(
                dense, line.start + line.slope * dense, "-", color="C0", label=label_of_line
            )
        axes.loglog(
            sizes, [cost.peak_gb for cost in costs.values()], "s--", color="C1", label="peak GB"
        )
        axes.set(xlabel=label, title=kind)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=120)


def _rows(
    costs_by_kind: dict[str, dict[int, Cost]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The measurements, and the lines through them."""
    rows, lines = [], []
    for kind, costs in costs_by_kind.items():
        label, amount = AXES[kind]
        for size, cost in costs.items():
            row = {"kind": kind, "size": size, "CPU s": cost.cpu_s, "peak GB": cost.peak_gb}
            rows.append(row)
        if len(costs) > 2:
            sizes = [amount(size) for size in costs]
            line = fitted(sizes, [cost.cpu_s for cost in costs.values()])
            many = 1e6 if kind == "field" else 1
            row = {
                "kind": kind,
                "CPU s, start": line.start,
                "CPU s per unit": many * line.slope,
                "unit": f"million {label}" if many > 1 else label,
                "largest deviation, %": 100 * line.deviation,
            }
            lines.append(row)
    return rows, lines


def main(argv: list[str] | None = None) -> None:
    """Two tables, and a plot where a folder is given."""
    args = parse_args(argv)
    work, rng = args.work.resolve(), np.random.default_rng(args.seed)
    work.mkdir(parents=True, exist_ok=True)
    data, out = work / "input.tif", work / "out"
    costs_by_kind: dict[str, dict[int, Cost]] = {}
    for side in tqdm(args.fields, "fields"):
        simulate_field(data, side, args.seed)
        cost = measured(data, out, args.used)
        costs_by_kind.setdefault("field", {})[side] = cost
    for times in tqdm(args.series, "series"):
        write_series(data, args.side, times, rng)
        cost = measured(data, out, args.used, "--stream", "always")
        costs_by_kind.setdefault("series", {})[times] = cost
    for members in tqdm(args.counts, "members"):
        simulate_field(data, 4 * args.side, args.seed)
        cost = measured(data, out, members)
        costs_by_kind.setdefault("members", {})[members] = cost
    data.unlink(missing_ok=True)
    rows, lines = _rows(costs_by_kind)
    facts = {"members": args.used, "side": args.side}
    write_tables("costs", {"Cost": rows, "Straight lines": lines}, args.save_path, facts, rows)
    if args.save_path is not None:
        plot_costs(args.save_path / "costs.png", costs_by_kind)


if __name__ == "__main__":
    run_script(main)
