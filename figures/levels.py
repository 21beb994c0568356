"""Accuracy against signal level: wide field, Wiener and the posterior mean.

python -m benchmarks.accuracy --save_path runs/benchmarks
python -m figures.levels --results runs/benchmarks --save_path figures/pictures
"""

import argparse
from collections import defaultdict
from typing import Any

from matplotlib.figure import Figure

from bayesdl_sim.figures.common import results_options, save, stored_table
from bayesdl_sim.utils.errors import run_script, writable_folder

__all__ = ["draw", "main"]

TABLE, SIGNAL = "Per signal level", "signal, e-/px"
PANELS = {"psnr": "PSNR, dB", "ssim": "SSIM"}


def draw(rows: list[dict[str, Any]]) -> Figure:
    """One panel per score, one line per method; the signal on a logarithmic axis."""
    lines = defaultdict(list)
    for row in rows:
        lines[row["method"]].append(row)
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (score, label) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for method, points in lines.items():
            axes.plot(
                [point[SIGNAL] for point in points],
                [point[score] for point in points],
                marker="o",
                label=method,
            )
        axes.set(xscale="log", xlabel="signal, electrons per lit pixel", ylabel=label)
        axes.grid(alpha=0.3)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    return results_options("levels", "Draws accuracy against signal level.").parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Reads accuracy.json of the benchmarks and writes levels.png."""
    args = parse_args(argv)
    rows = stored_table(args.results, "accuracy", TABLE)
    save(draw(rows), writable_folder(args.save_path) / "levels.png")


if __name__ == "__main__":
    run_script(main)
