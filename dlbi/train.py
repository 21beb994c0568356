"""Trains a network for blinking movies on simulated scenes alone.

    python -m dlbi.train --save_path runs/blinking-members --set_dir runs/blinking-set --scenes 80
    python -m dlbi.train --generator paper --save_path runs/blinking-paper --width 64

The moments generator is the one of the command reconstruct: its scenes are simulated into the set's
folder first (those already there are kept), then Adam runs, then Langevin dynamics draws members.
The paper's generator is trained as published, on movies alone.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch

from bayesdl_sim.dlbi.network.paper_training import PaperSettings, fit_paper
from bayesdl_sim.dlbi.network.reliability import write_calibration
from bayesdl_sim.dlbi.network.samples import list_samples, sample_path, write_sample
from bayesdl_sim.dlbi.network.training import PROGRESS, RunSettings, TrainingSettings, fit
from bayesdl_sim.dlbi.simulation.scenes import (
    DENSE_PER_PIXEL,
    PER_PIXEL,
    SPARSE_PER_PIXEL,
)
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError, run_script, writable_folder
from bayesdl_sim.utils.folders.lock import owned_folder
from bayesdl_sim.utils.resume import load_progress, refuse_used_folder

__all__ = ["main", "parse_args"]

SCENE_SIZE = 48  # camera pixels
T = TypeVar("T")
DENSE_SEED, SPARSE_SEED = 2, 4  # added for scenes with dense or sparse labelling
POSITIVE = (
    "width",
    "blocks",
    "batch_size",
    "lr",
    "scenes",
    "crop",
    "draws",
    "member_steps",
    "frames",
    "size",
    "steps_per_epoch",
)
NOT_NEGATIVE = (
    "seed",
    "dense",
    "held_out",
    "steps",
    "cooldown",
    "temperature",
    "pretraining",
    "epoch",
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m dlbi.train",
        description="Trains a network for blinking movies on simulated scenes.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--save_path", required=True, help="folder for members and progress")
    add("--generator", choices=("moments", "paper"), default="moments", help="network to train")
    add("--width", type=int, help="channels (default: 32 moments, 64 paper)")
    add("--batch_size", type=int, help="crops or fields of a step (default: 4 moments, 8 paper)")
    add("--lr", type=float, help="learning rate of Adam (default: 1.5e-3 moments, 1e-4 paper)")
    add("--seed", type=int, default=0, help="seed of everything")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    moments = parser.add_argument_group("moments generator")
    add = moments.add_argument
    add("--set_dir", type=Path, help="folder of scenes (default: scenes in save_path)")
    add("--scenes", type=int, default=80, help="number of scenes to train on")
    add("--dense", type=int, default=0, help="further scenes with dense labelling")
    add("--held_out", type=int, default=24, help="scenes that calibrate the probability, 0: none")
    add("--blocks", type=int, default=1, help="residual blocks at each place of the network")
    add("--crop", type=int, default=24, help="side of a crop, camera pixels")
    add("--steps", type=int, default=900, help="steps of Adam at the full learning rate")
    add("--cooldown", type=int, default=300, help="steps over which it falls")
    add("--draws", type=int, default=4, help="members drawn by Langevin dynamics")
    add("--member_steps", type=int, default=40, help="steps before each draw")
    add("--temperature", type=float, default=100.0, help="of the Gibbs posterior")
    add("--resume", action="store_true", help="go on with an interrupted training")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"), help="of the network")
    paper = parser.add_argument_group("paper's generator")
    add = paper.add_argument
    add("--frames", type=int, default=200, help="frames of every movie")
    add("--size", type=int, default=60, help="side of a field, camera pixels")
    add("--steps_per_epoch", type=int, default=1000, help="batches of an epoch")
    add("--pretraining", type=int, default=2, help="epochs of squared errors alone")
    add("--epoch", type=int, default=40, help="epochs with all terms")
    args = parser.parse_args(argv)
    for name in POSITIVE:
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name}: expected a positive number, found {value}")
    for name in NOT_NEGATIVE:
        if not 0 <= getattr(args, name) < math.inf:
            raise InputError(f"{name}: expected 0 or more, found {getattr(args, name)}")
    if args.crop > SCENE_SIZE:
        raise InputError(f"crop: expected at most {SCENE_SIZE} pixels, found {args.crop}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with owned_folder(writable_folder(args.save_path)) as folder:
        _train(args, folder)


def _train(args: argparse.Namespace, folder: Path) -> None:
    """Either generator, in a folder that belongs to this run alone."""
    if args.generator == "paper":
        settings = PaperSettings(
            frames=args.frames,
            size=args.size,
            width=_given(args.width, 64),
            batch=_given(args.batch_size, 8),
            steps_per_epoch=args.steps_per_epoch,
            pretraining=args.pretraining,
            epochs=args.epoch,
            learning_rate=_given(args.lr, 1e-4),
            seed=args.seed,
        )
        print(f"generator in {fit_paper(settings, folder, choose_device(args.device))}")
        return
    if not (args.resume and (folder / PROGRESS).is_file()):
        refuse_used_folder(folder)
    _train_moments(args, folder)


def _given(value: T | None, default: T) -> T:
    """The value of an option, or the default of this generator where it was left out."""
    return default if value is None else value


def _train_moments(args: argparse.Namespace, folder: Path) -> None:
    """Scenes, training, members, calibration."""
    torch.set_flush_denormal(True)  # faint pixels are full of them, and a step takes a third longer
    settings = TrainingSettings(
        width=_given(args.width, 32),
        blocks=args.blocks,
        batch=_given(args.batch_size, 4),
        crop=args.crop,
        learning_rate=_given(args.lr, 1.5e-3),
        temperature=args.temperature,
        seed=args.seed,
    )
    progress = folder / PROGRESS
    if args.resume and progress.is_file():  # before a scene of another seed joins the set
        load_progress(progress, {}, asdict(settings))
    scenes = writable_folder(_given(args.set_dir, folder / "scenes"))
    held_out = writable_folder(scenes / "held_out")
    first = args.seed + 1
    kinds = ((first, args.scenes), (first + DENSE_SEED, args.dense))
    named = {sample_path(scenes, seed, n) for seed, count in kinds for n in range(count)}
    total = len(named | set(list_samples(scenes)))
    if total < settings.batch:  # before minutes of simulation
        raise InputError(
            f"scenes: expected at least {settings.batch} with those in {scenes}, as many as a "
            f"batch has, found {total}; ask for more, or for a smaller batch_size"
        )
    # The probability is calibrated for usual, sparse and dense labelling alike.
    usual, sparse, dense = ((args.held_out + 2 - n) // 3 for n in range(3))
    for place, seed, count, per_pixel in (
        (scenes, first, args.scenes, PER_PIXEL),
        (scenes, first + DENSE_SEED, args.dense, DENSE_PER_PIXEL),
        (held_out, first, usual, PER_PIXEL),
        (held_out, first + SPARSE_SEED, sparse, SPARSE_PER_PIXEL),
        (held_out, first + DENSE_SEED, dense, DENSE_PER_PIXEL),
    ):
        for number in counted(range(count), place.name, unit="scene"):
            write_sample(place, seed, number, SCENE_SIZE, per_pixel, held_out=place == held_out)
    device = choose_device(args.device)
    run = RunSettings(
        steps=args.steps,
        cooldown=args.cooldown,
        members=args.draws,
        member_steps=args.member_steps,
        folder=folder,
        device=device,
        dtype=choose_precision(args.precision, device),
    )
    paths = fit(settings, run, scenes, args.resume)
    if args.held_out:
        write_calibration(folder, held_out)
    print(f"{len(paths)} members in {folder}")


if __name__ == "__main__":
    run_script(main)
