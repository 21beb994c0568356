"""Ways to a posterior side by side: SGLD, ensemble, MC-dropout and the released noise.

    python -m benchmarks.engines --save_path runs/benchmarks
    python -m benchmarks.engines --epochs 8 --cells 8 --size 64 --test_cells 2   # a quick look

All are trained by train.py on one simulated set with the same number of gradient steps in both
steps, to the same number of members, and judged on the same test cells and kept-out scenes. An
ensemble must share its steps among its members; every other way spends all of them on one network.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from bayesdl_sim.benchmarks.scenes.kept_out import SCENARIOS, kept_out_scene
from bayesdl_sim.benchmarks.shared.common import posterior_of
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.benchmarks.shared.detection import image_scores
from bayesdl_sim.benchmarks.shared.training import STEP_2, curve, train
from bayesdl_sim.benchmarks.uncertainty import calibration_records, normalised_targets
from bayesdl_sim.DatasetGenerate import from_simulation
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import auroc, pearson, quality
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["ENGINES", "judge", "main", "train_engine"]

ENGINES = ("sgld", "ensemble", "mc_dropout", "released")
CYCLES = 4  # of SGLD
SCORE = "mean epistemic"
CALIBRATION = ("nll", "coverage", "mean_z2")
TITLES = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "nll": "NLL",
    "coverage": "90 % interval covers",
    "mean_z2": "mean z^2",
    "correlation": "epistemic vs error",
    "auroc": "AUROC, kept out",
}  # column of the records -> column of the table


def train_engine(engine: str, root: Path, work: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Trains both steps of one engine; returns the folder and the cost."""
    common = ["--batch_size", 8, "--patch_size", min(64, args.size)]
    common += ["--val_stacks", 2, "--seed", args.seed]
    network = ["--n_feat", args.n_feat, "--levels", 3, "--nBlocks", 1]
    if args.init_from is not None:
        network += ["--init_from", args.init_from.resolve()]
    per_cycle = max(1, args.ensemble // CYCLES)
    own_options = {
        "sgld": ["--cycles", CYCLES, "--members_per_cycle", per_cycle],
        "ensemble": ["--members", CYCLES * per_cycle],
        "mc_dropout": ["--members", CYCLES * per_cycle],
        "released": ["--period", max(1, args.epochs // (CYCLES * per_cycle))],
    }[engine]
    step_1 = [*common, *network, "--epoch", args.epochs, "--posterior", engine, *own_options]
    folder = train(root, work, engine, step_1)
    train(root, work, engine, [*common, *STEP_2, "--epoch", args.tail_epochs])
    seconds = sum(row["seconds"] for name in ("step1", "step2") for row in curve(folder, name))
    steps = len(curve(folder, "step1_steps"))
    return {"folder": folder, "gradient steps": steps, "seconds": seconds}


def judge(posterior: Posterior, args: argparse.Namespace) -> tuple[dict[str, float], list[dict]]:
    """Accuracy and calibration on test cells, and how well the epistemic map detects the unknown.

    Returns:
        Means over all stacks, and one record per stack.
    """
    records, known, unknown = [], [], []
    cells = simulated_cells(args.test_seed, args.test_cells, args.levels, args.test_size)
    for number, scene in enumerate(cells, start=1):
        prediction = posterior_of(scene, posterior)
        known += image_scores(prediction)[SCORE]
        for record in calibration_records(scene, prediction, number):
            level = record["level"] - 1
            mean, epistemic = (m[level, 0].numpy() for m in (prediction.mean, prediction.epistemic))
            error = np.abs(normalised_targets(scene)[level][0].numpy() - mean)
            score = quality(mean, scene.target)
            record |= {"psnr": score.psnr, "ssim": score.ssim}
            record["correlation"] = pearson(epistemic, error) if epistemic.any() else float("nan")
            records.append(record)
    for name in SCENARIOS:
        for index in range(args.kept_out):
            scene = kept_out_scene(name, index, args.levels, args.test_size, args.test_seed)
            unknown += image_scores(posterior_of(scene, posterior))[SCORE]
    names = ("psnr", "ssim", *CALIBRATION, "correlation")
    means = {name: float(np.mean([record[name] for record in records])) for name in names}
    return means | {"auroc": auroc(known, unknown)}, records


def compare(root: Path, work: Path, args: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    """One row per engine, and the records of all."""
    rows, records = [], []
    for engine in tqdm(args.engines, "engines", unit="engine"):
        cost = train_engine(engine, root, work, args)
        posterior = Posterior.load(cost.pop("folder"), "cpu", precision="fp32", calibration="none")
        means, stacks = judge(posterior, args)
        rows.append({"posterior": engine, "members": len(posterior.members), **means, **cost})
        records += [{"posterior": engine, **record} for record in stacks]
    return rows, records


def titled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with readable names of the columns."""
    return [{TITLES.get(name, name): value for name, value in row.items()} for row in rows]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("engines", "Ways to a posterior at equal budget.", network=False)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--cells", type=int, default=24, help="of the training set")
    parser.add_argument("--levels", type=int, default=3, help="signal levels of every cell")
    parser.add_argument("--size", type=int, default=128, help="of the training set, raw pixels")
    parser.add_argument("--epochs", type=int, default=48, help="of step 1, shared by an ensemble")
    parser.add_argument("--tail_epochs", type=int, default=3, help="of step 2, per member")
    parser.add_argument("--ensemble", type=int, default=8, help="members of every posterior")
    parser.add_argument("--n_feat", type=int, default=16, help="features of the U-Net")
    parser.add_argument("--init_from", type=Path, help="start all from this member")
    parser.add_argument("--test_cells", type=int, default=8)
    parser.add_argument("--test_size", type=int, default=112, help="raw pixels")
    parser.add_argument("--kept_out", type=int, default=2, help="scenes per kept-out scenario")
    parser.add_argument("--seed", type=int, default=1, help="of the training")
    parser.add_argument("--test_seed", type=int, default=20261, help="not that of a training set")
    parser.add_argument("--work", type=Path, help="keeps set and runs here; interrupted, goes on")
    args = parser.parse_args(argv)
    training = {"cells": 3, "levels": 1, "size": 32, "epochs": 2, "tail_epochs": 1, "ensemble": 2}
    test = {"n_feat": 4, "test_cells": 1, "test_size": 32, "kept_out": 1, "seed": 0, "test_seed": 0}
    at_least(args, **training, **test)
    if args.ensemble % CYCLES:
        raise InputError(f"--ensemble: expected a multiple of {CYCLES}, found {args.ensemble}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Simulates a set, trains every engine on it, judges them and prints one table."""
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        root = work / "set"
        if not (root / "dataset.json").is_file():
            words = ["--sample", "mixed", "--save_path", root, "--workers", 1, "--seed", 1]
            for name in ("cells", "levels", "size"):
                words += [f"--{name}", getattr(args, name)]
            from_simulation.main([str(word) for word in words])
        rows, records = compare(root, work, args)
    names = ("cells", "levels", "size", "epochs", "tail_epochs", "n_feat", "test_cells", "kept_out")
    facts = {name: getattr(args, name) for name in names} | {"threads": torch.get_num_threads()}
    write_tables(
        "engines", {"Posteriors at equal budget": titled(rows)}, args.save_path, facts, records
    )


if __name__ == "__main__":
    run_script(main)
