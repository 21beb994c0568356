"""The more training fields, the less epistemic uncertainty: its variance falls as one over them.

    python -m figures.training_size --tables runs/benchmarks

In the linear-Gaussian SIM problem of `benchmarks.scenes.linear_sim`, whose posterior is known:
members are drawn by `bayes.sgld.SGLD` after 25 to 6400 training fields, and
`bayes.prediction.predict` is compared with the closed form. The aleatoric part stays.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.benchmarks.scenes.linear_sim import (
    LinearSim,
    closed_form,
    linear_members,
    linear_sim,
    sample_weights,
)
from bayesdl_sim.benchmarks.shared.console import at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.figures.common import options, save
from bayesdl_sim.utils.errors import run_script

__all__ = ["draw", "main", "slope", "variances"]

SIZES = (25, 50, 100, 200, 400, 800, 1600, 3200, 6400)
NEW_FIELDS = 40
ASYMPTOTIC = 100  # fields; below, the prior still counts


def variances(problem: LinearSim, fields: int, chains: int, seed: int) -> dict[str, float]:
    """Mean epistemic variance on new fields: of drawn members, and in closed form."""
    raw, target = problem.sample(fields, torch.Generator().manual_seed(seed))
    new, _ = problem.sample(NEW_FIELDS, torch.Generator().manual_seed(seed + 1))
    generator = torch.Generator().manual_seed(seed + 2)
    draws = sample_weights(problem, raw, target, chains, generator)
    prediction = predict(linear_members(problem, draws), new)
    _, covariance = closed_form(problem, raw, target)
    exact = torch.einsum("np,jpq,nq->nj", new, covariance, new)
    return {
        "training fields": fields,
        "epistemic^2": float(prediction.epistemic.square().mean()),
        "closed form": float(exact.mean()),
        "aleatoric^2": float(prediction.aleatoric.square().mean()),
    }


def slope(rows: Sequence[dict[str, Any]], name: str) -> float:
    """Slope of the logarithm of the variance against that of the number of fields."""
    far = [row for row in rows if row["training fields"] >= ASYMPTOTIC]
    x, y = (np.log([row[key] for row in far]) for key in ("training fields", name))
    return float(np.polyfit(x, y, 1)[0])


def draw(rows: Sequence[dict[str, Any]]) -> Figure:
    """Variances against the number of training fields, both axes logarithmic."""
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    x = [row["training fields"] for row in rows]
    for name, style, label in (
        ("aleatoric^2", "-", "aleatoric"),
        ("closed form", "-", "epistemic, closed form"),
        ("epistemic^2", "o", f"epistemic, SGLD (slope {slope(rows, 'epistemic^2'):.2f})"),
    ):
        colour = "tab:red" if name == "aleatoric^2" else "tab:blue"
        axes.plot(x, [row[name] for row in rows], style, color=colour, label=label)
    axes.set(xscale="log", yscale="log", xlabel="training fields", ylabel="variance")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    return figure


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = options("training_size", "Epistemic variance against the training set.", False)
    parser.add_argument("--chains", type=int, default=200, help="members per training set")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same numbers")
    args = parser.parse_args(argv)
    at_least(args, chains=2, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Samples after every training set, prints the variances and writes training_size.png."""
    args = parse_args(argv)
    problem = linear_sim()
    rows = [variances(problem, n, args.chains, args.seed) for n in tqdm(SIZES, "training sets")]
    facts = {"chains": args.chains, "slope": slope(rows, "epistemic^2")}
    facts["slope of the closed form"] = slope(rows, "closed form")
    write_tables("training_size", {"Epistemic variance": rows}, args.tables, facts)
    print(f"slope from {ASYMPTOTIC} fields on: {facts['slope']:.3f}")
    save(draw(rows), args.save_path / "training_size.png")


if __name__ == "__main__":
    run_script(main)
