"""Step 1: the reconstruction. One loop for every way to a posterior (`training.posteriors`)."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from bayesdl_sim.models.bayesdl import BayesDL, member_payload
from bayesdl_sim.models.dropout import seed_dropout
from bayesdl_sim.models.fields.poses import note_poses
from bayesdl_sim.models.members import first_member
from bayesdl_sim.training.networks import initial_network
from bayesdl_sim.training.objective import energy_gradient
from bayesdl_sim.training.parallel.replicas import place
from bayesdl_sim.training.posteriors import POSTERIORS, Move
from bayesdl_sim.training.run import Run, check_record, open_run, write_record
from bayesdl_sim.training.settings.step1 import Step1Settings
from bayesdl_sim.training.summary import columns_of, write_summary
from bayesdl_sim.training.validation import MeanScores, validate
from bayesdl_sim.utils.checkpoints import (
    list_members,
    load_checkpoint,
    member_path,
    save_checkpoint,
)
from bayesdl_sim.utils.devices import exact_arithmetic
from bayesdl_sim.utils.resume import load_progress, refuse_used_folder, save_progress
from bayesdl_sim.utils.run_log import EpochLog

__all__ = ["fit_reconstruction", "noise_warning"]

# dB of PSNR. Members of a temperature that suits the set lost up to 0.4 dB against the network that
# sampling began with (15 small trainings, most gained); those of one that does not, 3.4 to 12.6 dB.
MOST_LOST_DB = 1.0


@exact_arithmetic()
def fit_reconstruction(settings: Step1Settings) -> int:
    """Trains step 1 into the run folder, or continues it.

    Returns:
        The number of members.

    Raises:
        InputError: a folder of another run, other settings than those of the resumed run, unusable
            data, or a training that diverges.
    """
    start_from = settings.network.init_from
    members = [] if start_from is None else [first_member(start_from)]
    run = open_run(settings, "step 1", members, settings.energy.outlier_dir)
    _claim(run)
    network = initial_network(run).to(run.device, memory_format=torch.channels_last)
    way = POSTERIORS[settings.sampler.posterior](run, network)
    parts = {"network": network, "posterior": way}
    start, collected = _resume(run, parts)
    count = sum(parameter.numel() for parameter in network.trunk.parameters())
    print(f"parameters: {count:,}; {run.steps_per_epoch} steps/epoch")
    write_record(run, {"network": network.config, "num_data": run.train.pixels})

    log = EpochLog(run.folder, "step1", start)
    step_log = EpochLog(
        run.folder, "step1_steps", start * run.steps_per_epoch, tensorboard=False, count="step"
    )
    for epoch in range(start, settings.sampler.epoch):
        first = epoch * run.steps_per_epoch
        steps = range(first, min(first + run.steps_per_epoch, way.steps))
        if not steps:
            break
        began, losses = time.time(), []
        network.train()
        number = place().number  # other masks in every replica; the first has those of a lone run
        seed_dropout(network, run.seed, epoch, *([number] if number else []))
        data = zip(steps, run.batches(run.train, epoch), run.outlier_batches(epoch), strict=False)
        name = f"epoch {epoch + 1}/{settings.sampler.epoch}"
        with tqdm(data, name, len(steps), leave=False, unit="step", disable=None) as bar:
            for step, patches, outliers in bar:
                way.begin(step)
                losses.append(
                    energy_gradient(run, network, patches, outliers, f"epoch {epoch + 1}")
                )
                move = way.step(step)
                step_log.write(step, {"loss": losses[-1], "lr": move.lr, "noise": move.noise})
                if move.collect:
                    collected += 1
                    save_member(run, network, way.record(collected, move.cycle), collected, step)
                bar.set_postfix(loss=f"{losses[-1]:.4f}", lr=f"{move.lr:.1e}", refresh=False)

        scores = validate(network, run)
        _log_epoch(log, epoch, time.time() - began, float(np.mean(losses)), move, scores)
        progress = {"epoch": epoch + 1, "collected": collected}
        save_progress(run.folder / "latest.pth", parts, run.identity, **progress)
        if epoch + 1 == settings.run.stop_after:
            break
    log.close()
    step_log.close()
    collected += _save_last(run, network, way, collected)
    write_summary(run.folder)
    _warn_of_noise(run)
    print(f"step 1 done: {collected} member(s) in {run.folder}")
    return collected


def _claim(run: Run) -> None:
    """Refuses a folder whose members are of another run, or of an unknown one."""
    if not (run.settings.run.resume and check_record(run)):
        refuse_used_folder(run.folder)


def _resume(run: Run, parts: dict[str, Any]) -> tuple[int, int]:
    """First epoch and members so far: of a new run, or of the interrupted one."""
    path = run.folder / "latest.pth"
    if not path.is_file():
        if run.settings.run.resume:
            print(f"   nothing to resume in {run.folder}: it begins")
        return 0, 0
    progress = load_progress(path, parts, run.identity, ("epoch", "collected"))
    print(f"   resuming after epoch {progress['epoch']}")
    return progress["epoch"], progress["collected"]


def save_member(run: Run, network: BayesDL, sampler: dict[str, Any], index: int, step: int) -> None:
    """Stores the present weights as a member, with their score on validation fields."""
    if run.outliers is not None:
        sampler = {**sampler, "outlier_gain": run.settings.energy.outlier_gain}
    scores = validate(network, run)
    network.train()
    training = {
        "sample": run.settings.data.sample,
        "seed": run.seed,
        "step": step + 1,
        "epoch": step // run.steps_per_epoch + 1,
        "psnr": scores.psnr,
        "ssim": scores.ssim,
    }
    path = member_path(run.folder, index)
    payload = member_payload(network, sampler, training)
    note_poses(run.folder, run.train.is_turned)  # first: a kill leaves no member without it
    save_checkpoint(path, {**payload, "settings": {"step 1": run.identity}})
    tqdm.write(f"   member {index}: {path} ({scores.psnr:.2f} dB on validation fields)")


def _save_last(run: Run, network: BayesDL, way: Any, collected: int) -> int:
    """Stores the members that the end of the training gives; returns how many."""
    stop, epochs = run.settings.run.stop_after, run.settings.sampler.epoch
    steps = min(stop or epochs, epochs) * run.steps_per_epoch
    number = 0
    for number, _ in enumerate(way.finish(collected, stop is not None), 1):
        path = member_path(run.folder, collected + number)
        if path.is_file() and load_checkpoint(path)["training"].get("step") == steps:
            continue  # written before the run was resumed; step 2 may have given it a tail
        save_member(run, network, way.record(number, 0), collected + number, steps - 1)
    return number


def _warn_of_noise(run: Run) -> None:
    """Prints the warning on the sampler's noise, where the user sets its temperature."""
    warning = noise_warning(run.folder, run.train.pixels)
    if warning and run.settings.sampler.posterior == "sgld":
        print(warning)


def noise_warning(folder: Path, pixels: int) -> str:
    """Says that the noise of the sampler has spoilt the members, or nothing where it has not.

    The median PSNR of the members is compared with that of the last epoch before the first noise.

    Args:
        folder: run folder with step1.csv and the members.
        pixels: target pixels of the training cells.
    """
    epochs = columns_of(folder / "step1.csv")
    noise = epochs.get("temperature", np.zeros(0))
    noisy = np.flatnonzero(noise > 0)
    if not noisy.size or noisy[0] == 0:  # no noise, or no epoch before it
        return ""
    scores = [load_checkpoint(path)["training"]["psnr"] for path in list_members(folder)]
    before, after = float(epochs["psnr"][noisy[0] - 1]), float(np.median(scores))
    if before - after <= MOST_LOST_DB:
        return ""
    return (
        f"WARNING: the noise of the sampler costs the members {before - after:.1f} dB on the "
        f"validation fields ({before:.1f} dB before it, {after:.1f} dB after): they are of little "
        f"use. The noise grows with temperature / target pixels, and {pixels:,} pixels are too few "
        f"for temperature {noise[noisy[0]]:g}: sample again with a lower temperature"
    )


def _log_epoch(
    log: EpochLog, epoch: int, seconds: float, loss: float, move: Move, scores: MeanScores
) -> None:
    """One line in the terminal, one in the CSV, curves and a picture in TensorBoard."""
    values = {
        "loss": loss,
        "psnr": scores.psnr,
        "ssim": scores.ssim,
        "lr": move.lr,
        "temperature": move.noise,
        "seconds": seconds,
    }
    log.write(epoch, values)
    log.image(epoch, "validation", scores.picture)
    tqdm.write(
        f"epoch {epoch + 1}: loss {loss:.4f}, validation {scores.psnr:.2f} dB / "
        f"{scores.ssim:.3f}, {seconds:.0f} s per epoch"
    )
