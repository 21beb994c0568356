"""Uncertainty and error against the signal: what more light buys, and what it does not.

    python -m benchmarks.uncertainty --cells 16 --kept_out 8 --levels 3 --size 112 \
        --save_path runs/benchmarks
    python -m figures.signal_level --results runs/benchmarks --save_path figures/pictures
"""

import argparse
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from bayesdl_sim.figures.common import results_options, save, stored_table
from bayesdl_sim.utils.errors import run_script, writable_folder

__all__ = ["draw", "main"]

TABLE, SIGNAL = "Calibration on test cells", "signal, e-/px"
LINES = {
    "rmse": ("true error (rms)", "black", "s--"),
    "aleatoric": ("aleatoric", "tab:red", "o-"),
    "epistemic": ("epistemic", "tab:blue", "o-"),
}


def draw(rows: Sequence[dict[str, Any]]) -> Figure:
    """Means over the pixels of the test cells, both axes logarithmic."""
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    signals = [row[SIGNAL] for row in rows]
    for name, (label, colour, style) in LINES.items():
        axes.plot(signals, [row[name] for row in rows], style, color=colour, label=label)
    axes.set(xscale="log", yscale="log", xlabel="signal, electrons per lit pixel")
    axes.set_ylabel("normalised intensity")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    return figure


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    return results_options(
        "signal_level", "Draws uncertainty and error against the signal level."
    ).parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Reads uncertainty.json of the benchmarks and writes signal_level.png."""
    args = parse_args(argv)
    rows = stored_table(args.results, "uncertainty", TABLE)
    save(draw(rows), writable_folder(args.save_path) / "signal_level.png")


if __name__ == "__main__":
    run_script(main)
