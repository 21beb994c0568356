"""Does the epistemic uncertainty grow on images unlike those of the training set?

    python -m figures.novelty --scenes 8 --size 96 --tables runs/benchmarks

One dot per image: mean epistemic uncertainty over mean intensity, for test cells and for structures
and microscopes kept out of training. AUROC: how often a kept-out image has the larger value.
"""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from bayesdl_sim.benchmarks.scenes.kept_out import SCENARIOS, kept_out_scene
from bayesdl_sim.benchmarks.shared.common import open_posterior, posterior_of
from bayesdl_sim.benchmarks.shared.console import at_least
from bayesdl_sim.benchmarks.shared.detection import image_scores
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.figures.common import options, save
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import auroc
from bayesdl_sim.utils.errors import run_script

__all__ = ["draw", "main", "novelty_table"]

SCORE = "epistemic / intensity"
KNOWN = "test cells"
COLOURS = {KNOWN: "black", "structure": "tab:orange", "microscope": "tab:blue"}


def values_of(scenes: Iterable[Scene], posterior: Posterior) -> list[float]:
    """The score of every image of the scenes."""
    return [x for scene in scenes for x in image_scores(posterior_of(scene, posterior))[SCORE]]


def novelty_table(values: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    """Median of the score per group, and the AUROC against the test cells."""
    rows = []
    for name, scores in values.items():
        row: dict[str, Any] = {"images": name, SCORE: float(np.median(scores))}
        rows.append(row | {"AUROC": "" if name == KNOWN else auroc(values[KNOWN], scores)})
    return rows


def draw(values: Mapping[str, list[float]]) -> Figure:
    """A row of dots per group, with its median; test cells on top."""
    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    axes = figure.subplots()
    for place, (name, scores) in enumerate(values.items()):
        kind = KNOWN if name == KNOWN else SCENARIOS[name].kind
        spread = np.linspace(-0.22, 0.22, len(scores))
        axes.plot(scores, place + spread, "o", color=COLOURS[kind], markersize=4, alpha=0.6)
        axes.plot([np.median(scores)] * 2, [place - 0.35, place + 0.35], color=COLOURS[kind])
    axes.axvline(np.median(values[KNOWN]), color="black", linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.set(xlabel="mean epistemic uncertainty / mean intensity of an image", xlim=(0, None))
    axes.grid(alpha=0.3, axis="x")
    for kind, colour in list(COLOURS.items())[1:]:
        axes.plot([], [], "o", color=colour, label=f"unknown {kind}")
    figure.legend(frameon=False, loc="outside upper right", ncols=2)  # clear of the dots
    return figure


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = options("novelty", "Epistemic uncertainty of known and unknown images.")
    parser.add_argument("--scenes", type=int, default=8, help="images per kept-out scenario")
    parser.add_argument("--cells", type=int, default=24, help="test cells")
    parser.add_argument("--size", type=int, default=96, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=20266, help="not that of a training set")
    args = parser.parse_args(argv)
    at_least(args, scenes=1, cells=1, size=32, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Predicts all images at one random signal level each, and writes novelty.png."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    values = {KNOWN: values_of(simulated_cells(args.seed, args.cells, 1, args.size), posterior)}
    for name in tqdm(SCENARIOS, "kept out"):
        scenes = (kept_out_scene(name, i, 1, args.size, args.seed) for i in range(args.scenes))
        values[name] = values_of(scenes, posterior)
    facts = {name: getattr(args, name) for name in ("scenes", "cells", "size", "seed")}
    write_tables("novelty", {"Novelty": novelty_table(values)}, args.tables, facts)
    save(draw(values), args.save_path / "novelty.png")


if __name__ == "__main__":
    run_script(main)
