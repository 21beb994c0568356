"""Step 2: an uncertainty tail for every member, on a frozen trunk."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from bayesdl_sim.bayes.likelihoods import find_likelihood
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.models.bayesdl import BayesDL, load_member, member_payload, with_tail
from bayesdl_sim.models.fields.poses import are_posed, note_poses
from bayesdl_sim.models.released import is_released, list_released
from bayesdl_sim.training.identity import trunk_hash
from bayesdl_sim.training.objective import require_finite
from bayesdl_sim.training.parallel.replicas import average_gradients, average_value
from bayesdl_sim.training.run import Run, check_record, open_run, to_device, write_record
from bayesdl_sim.training.settings.step2 import Step2Settings
from bayesdl_sim.training.summary import write_summary
from bayesdl_sim.training.tail_part import choose_part
from bayesdl_sim.training.validation import validate_tail
from bayesdl_sim.utils.checkpoints import (
    list_members,
    load_checkpoint,
    member_path,
    save_checkpoint,
)
from bayesdl_sim.utils.devices import autocast, exact_arithmetic
from bayesdl_sim.utils.errors import InputError, require_folder
from bayesdl_sim.utils.resume import load_progress, refuse_used_folder, save_progress
from bayesdl_sim.utils.run_log import EpochLog

__all__ = ["fit_uncertainty_tail"]

SMALLEST_STEP = 1 / 50  # of the largest, at the end of the cosine


class _Task(NamedTuple):
    """One member to be given a tail: its number from 0, of how many, where from, where to."""

    index: int
    count: int
    source: Path
    target: Path


@exact_arithmetic()
def fit_uncertainty_tail(settings: Step2Settings) -> int:
    """Fits one tail per member by negative log-likelihood; the trunk does not move.

    Returns:
        The number of members with a tail of these settings.

    Raises:
        InputError: no members, a folder of another run, other settings than those of the resumed
            run, unusable data, or a training that diverges.
    """
    paths = step_1_members(settings)
    run = open_run(settings, "step 2", paths)
    elsewhere = paths[0].parent.resolve() != run.folder.resolve()
    _resume(run, elsewhere)
    write_record(run, {"members": len(paths)})
    targets = [member_path(run.folder, i + 1) if elsewhere else p for i, p in enumerate(paths)]
    tasks = [_Task(i, len(paths), *pair) for i, pair in enumerate(zip(paths, targets, strict=True))]
    if settings.run.resume:
        tasks = [task for task in tasks if not _has_this_tail(task, run)]
    if tasks:
        _fit_all(run, tasks)
    # Members are shown poses of their own only if both steps have shown them all poses.
    note_poses(run.folder, run.train.is_turned and are_posed(paths[0].parent))
    write_summary(run.folder)
    print(f"step 2 done: {len(paths)} member(s) with tails in {run.folder}")
    return len(paths)


def _fit_all(run: Run, tasks: list[_Task]) -> None:
    """Every tail that is still to be fitted, one after the other."""
    fit_on, ratio = choose_part(run, load_member(run.members[0]).network)
    progress = _progress(run)
    epochs = run.settings.tail.epoch
    first = tasks[0].index * epochs
    if progress.get("member") == tasks[0].target.name:
        first += progress["epoch"]
    log = EpochLog(run.folder, "step2", first)
    for task in tasks:
        member = load_member(task.source)
        network = with_tail(member, run.settings.tail.likelihood, run.seed + task.index)
        network = network.to(run.device, memory_format=torch.channels_last)
        nll = _fit(run, task, network, fit_on, log)
        training = {**member.training, "tail_epochs": epochs, "tail_part": fit_on.part}
        payload = member_payload(network, member.sampler, training)
        records = {**load_checkpoint(task.source).get("settings", {}), "step 2": run.identity}
        save_checkpoint(task.target, {**payload, "settings": records})
        print(
            f"   {task.target.name}: tail fitted on {fit_on.part} cells (residual variance "
            f"unseen/seen {ratio.value:.2f} +- {ratio.error:.2f}), nll {nll:.3f}"
        )
    log.close()
    _progress_path(run).unlink(missing_ok=True)


def _fit(run: Run, task: _Task, network: BayesDL, fit_on: SimDataset, log: EpochLog) -> float:
    """All epochs of one tail; returns the mean loss of the last."""
    settings, name = run.settings.tail, task.target.name
    network.trunk.requires_grad_(False).eval()
    steps = run.steps(fit_on)
    adam = torch.optim.Adam(network.tail.parameters(), lr=settings.lr)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(
        adam, settings.epoch * steps, settings.lr * SMALLEST_STEP
    )
    parts = {"tail": network.tail, "adam": adam, "cosine": cosine}
    trunk, start = trunk_hash(task.source), 0
    progress = _progress(run)
    if (progress.get("member"), progress.get("trunk")) == (name, trunk):
        start = load_progress(_progress_path(run), parts, run.identity)["epoch"]
    for epoch in range(start, settings.epoch):
        began = time.time()
        title = f"tail {task.index + 1}/{task.count}, epoch {epoch + 1}/{settings.epoch}"
        losses = []
        batches = run.batches(fit_on, epoch)
        with tqdm(batches, title, steps, leave=False, unit="step", disable=None) as bar:
            for patches in bar:
                losses.append(_descend(run, network, patches, adam, f"epoch {epoch + 1} of {name}"))
                cosine.step()
                bar.set_postfix(nll=f"{losses[-1]:.3f}", refresh=False)
        scores = validate_tail(network, run)
        row = task.index * settings.epoch + epoch
        log.image(row, "aleatoric", scores.picture)
        nll = float(np.mean(losses))
        values = {"member": task.index + 1, "nll": nll, "validation_nll": scores.nll}
        log.write(row, {**values, "seconds": time.time() - began})
        if epoch + 1 < settings.epoch:
            record = {"member": name, "trunk": trunk, "epoch": epoch + 1}
            save_progress(_progress_path(run), parts, run.identity, **record)
    return nll


def _descend(run: Run, network: BayesDL, patches: Any, adam: torch.optim.Adam, where: str) -> float:
    """One step of Adam; returns the loss."""
    raw, target = to_device(patches, run.device)
    with autocast(run.device, run.dtype):
        mean, log_var = network(raw)
    loss = find_likelihood(run.settings.tail.likelihood).nll(mean.detach(), log_var, target)
    value = require_finite(average_value(loss), where)
    adam.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients(network.tail.parameters())
    adam.step()
    return value


def _progress_path(run: Run) -> Path:
    return run.folder / "latest_tail.pth"


def _progress(run: Run) -> dict[str, Any]:
    """How far the tail that was being fitted is; empty where none was."""
    path = _progress_path(run)
    return load_progress(path, {}, run.identity, ("epoch",)) if path.is_file() else {}


def _resume(run: Run, elsewhere: bool) -> None:
    """Refuses a folder of another run, and clears what an earlier one has left half-done."""
    if run.settings.run.resume and check_record(run):
        return
    if elsewhere:
        refuse_used_folder(run.folder)
    _progress_path(run).unlink(missing_ok=True)


def _has_this_tail(task: _Task, run: Run) -> bool:
    """Whether the file already holds this trunk with a tail of these settings.

    The file is read, not a list of finished tails: step 1 may have written the member since.
    """
    if not task.target.is_file():
        return False
    if load_checkpoint(task.target).get("settings", {}).get("step 2") != run.identity:
        return False
    return task.target == task.source or trunk_hash(task.target) == trunk_hash(task.source)


def step_1_members(settings: Step2Settings) -> list[Path]:
    """The members of step 1, in the run folder or in `pretrained_G`.

    Raises:
        InputError: there are none, with the command that makes them.
    """
    if settings.tail.pretrained_G is not None:
        return _trained_elsewhere(settings.tail.pretrained_G)
    folder = settings.run.folder
    require_folder(folder, "run folder")
    try:
        return list_members(folder)
    except InputError:
        name, home = folder.name.rpartition("-")[0], folder.parent.parent
        raise InputError(
            f"step 2 needs the members of step 1, and {folder} holds none: run step 1 first, "
            f"python train.py --model BayesDL --train_type '' --likehood '' --SGLD True "
            f"--sample {settings.data.sample} --save_model_dir {home} --exp_name {name} "
            f"--root_dir {settings.data.root_dir}"
        ) from None


def _trained_elsewhere(path: Path) -> list[Path]:
    """A member, or those of a folder; not the released ones, whose frames were scaled otherwise."""
    paths = [path] if path.is_file() else list_released(path) or list_members(path)
    if is_released(paths[0]):
        raise InputError(
            f"{paths[0]} takes frames scaled by their smallest and largest count, but a data set "
            "here is scaled by percentiles: start step 1 from it (init_from), then step 2"
        )
    return paths
