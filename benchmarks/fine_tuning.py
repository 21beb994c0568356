"""A new structure from three cells: a shipped member trained further, against one from scratch.

    python -m benchmarks.fine_tuning --save_path runs/benchmarks
    python -m benchmarks.fine_tuning --minutes 0.3 --size 96      # a quick look

Both are trained by train.py on the same cells for the same number of epochs of the same network,
which takes the same time. After every epoch they are scored on cells of the structure that neither
was trained on. No such structure is in the training mix of the shipped members.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from bayesdl_sim.benchmarks.scenes.charts import CHARTS
from bayesdl_sim.benchmarks.scenes.kept_out import kept_out_scene
from bayesdl_sim.benchmarks.shared.common import posterior_of
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.benchmarks.shared.training import curve, train
from bayesdl_sim.data.sets.layout import DatasetSpec, DatasetTree
from bayesdl_sim.DatasetGenerate.from_simulation import store_cell
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.files import atomic_path

__all__ = ["SCRATCH", "TUNED", "main", "times_and_scores", "write_curves", "write_set"]

TUNED, SCRATCH = "from the shipped member", "from scratch"
EPOCHS = 16  # of both, and so many points of a curve
BATCH = 8
TRIALS = (4, 32)  # patches per stack, to measure the time of an epoch
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the time, rows of the table


def write_set(root: Path, structure: str, args: argparse.Namespace) -> None:
    """A data set whose training cells come first; the others are for validation, one for test."""
    numbers = list(range(1, args.cells + args.held_out + 2))
    for number in numbers:
        scene = kept_out_scene(structure, number, args.levels, args.size, args.seed)
        store_cell(root, number, scene.raw.numpy().astype(np.uint16), scene.target)
    splits = {
        "train": numbers[: args.cells],
        "validation": numbers[args.cells : -1],
        "test": numbers[-1:],
    }
    spec = DatasetSpec(
        sample=structure,
        microscope="random",
        size=(args.size, args.size),
        levels=args.levels,
        cells=len(numbers),
        pixel_size_nm=None,
        seed=args.seed,
        splits=splits,
        details={"generator": "benchmarks.fine_tuning"},
    )
    spec.to_json(DatasetTree(root).spec_path)


def untouched(root: Path, args: argparse.Namespace) -> float:
    """PSNR of the member itself on the validation fields."""
    tree, scores = DatasetTree(root), []
    posterior = Posterior.load(args.pretrained_G, "cpu", 1, precision="fp32")
    for number in tree.spec.splits["validation"]:
        scene = kept_out_scene(args.structure, number, args.levels, args.size, args.seed)
        images = posterior_of(scene, posterior).mean[:, 0].numpy()
        scores += [quality(image, scene.target).psnr for image in images]
    return float(np.mean(scores))


def options(args: argparse.Namespace, patches_per_stack: int, epochs: int) -> list[Any]:
    """Options of train.py that both runs share; every validation field is scored."""
    words = ["--SGLD", "False", "--epoch", epochs, "--batch_size", BATCH, "--seed", args.seed]
    words += ["--patches_per_stack", patches_per_stack, "--patch_size", min(64, args.size)]
    return [*words, "--val_stacks", args.held_out * args.levels, "--precision", "fp32"]


def patches_for(root: Path, work: Path, args: argparse.Namespace) -> int:
    """Patches per stack with which `EPOCHS` epochs take `--minutes`.

    An epoch of p patches takes `fixed + p each`, validation included. Both terms follow from an
    epoch of few patches and one of many. (The first epoch of a training also waits for its caches.)
    """
    few, many = TRIALS
    seconds = {}
    for patches in TRIALS:
        folder = train(root, work, f"trial_{patches}", options(args, patches, 2))
        seconds[patches] = curve(folder, "step1")[-1]["seconds"]
    each = (seconds[many] - seconds[few]) / (many - few)
    if each <= 0:  # too fast to be measured
        each = seconds[many] / many
    fixed = max(0.0, seconds[few] - few * each)
    return max(1, round((60 * args.minutes / EPOCHS - fixed) / each))


def times_and_scores(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since the start, validation included, and PSNR after every epoch."""
    rows = curve(folder, "step1")
    return np.cumsum([row["seconds"] for row in rows]), np.array([row["psnr"] for row in rows])


def table(curves: dict[str, tuple[np.ndarray, np.ndarray]], start: float) -> list[dict[str, Any]]:
    """PSNR after parts of the time."""
    rows = []
    for share in SHARES:
        row: dict[str, Any] = {"time": f"{share:.0%}"}
        for name, (seconds, psnr) in curves.items():
            last = max(0, round(share * len(psnr)) - 1)
            row |= {f"{name}, s": float(seconds[last]), f"{name}, dB": float(psnr[last])}
        gap = row[f"{TUNED}, dB"] - row[f"{SCRATCH}, dB"]
        gain = row[f"{TUNED}, dB"] - start
        row |= {"better by, dB": gap, "gain over the member, dB": gain}
        rows.append(row | {"holds": "yes" if gap > 0 and gain > 0 else "NO"})
    return rows


def write_curves(
    path: Path, curves: dict[str, tuple[np.ndarray, np.ndarray]], start: float, title: str
) -> None:
    """PSNR on held-out cells over seconds."""
    figure = Figure((6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(start, color="0.5", linestyle=":", label="the shipped member, not trained further")
    for name, colour in ((TUNED, "tab:red"), (SCRATCH, "tab:blue")):
        seconds, psnr = curves[name]
        if name == TUNED:
            seconds, psnr = np.append(0, seconds), np.append(start, psnr)
        axes.plot(seconds, psnr, "o-", markersize=4, color=colour, label=name)
    axes.set(title=title, xlabel="training, s", ylabel="PSNR on held-out cells, dB")
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=120)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("fine_tuning", "Training further on few cells of a new structure.")
    parser.add_argument("--structure", choices=list(CHARTS), default="line pairs")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each training")
    parser.add_argument("--lr", type=float, default=2e-4, help="of the member's further training")
    parser.add_argument("--cells", type=int, default=3, help="to train on")
    parser.add_argument("--held_out", type=int, default=4, help="cells to score on")
    parser.add_argument("--levels", type=int, default=3, help="signal levels of every cell")
    parser.add_argument("--size", type=int, default=160, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=20262)
    args = parser.parse_args(argv)
    at_least(args, cells=1, held_out=1, levels=1, size=48, seed=0)
    if args.minutes <= 0:
        raise InputError(f"--minutes: expected a positive number, found {args.minutes}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Trains both and prints the table."""
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        root, work = Path(folder) / "set", Path(folder) / "runs"
        write_set(root, args.structure, args)
        common = options(args, patches_for(root, work, args), EPOCHS)
        member = ["--init_from", args.pretrained_G.resolve(), "--lr", args.lr]
        runs = {
            TUNED: train(root, work, "tuned", [*common, *member]),
            SCRATCH: train(root, work, "scratch", common),
        }
        start = untouched(root, args)
        curves = {name: times_and_scores(run) for name, run in runs.items()}
    title = f"{args.structure}, {args.cells} cells x {args.levels} levels"
    if args.save_path is not None:
        write_curves(args.save_path / "fine_tuning.png", curves, start, title)
    records = [
        {"training": name, "seconds": float(s), "psnr": float(p)}
        for name, (seconds, psnr) in curves.items()
        for s, p in zip(seconds, psnr, strict=True)
    ]
    names = ("structure", "minutes", "lr", "cells", "held_out", "levels", "size", "seed")
    facts = {name: getattr(args, name) for name in names} | {"member, dB": start}
    facts |= {"threads": torch.get_num_threads()}
    write_tables("fine_tuning", {title: table(curves, start)}, args.save_path, facts, records)


if __name__ == "__main__":
    run_script(main)
