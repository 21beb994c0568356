"""Training of the moments generator: Adam to a good fit, then Langevin dynamics for the members."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.bayes.sgld import SGLD
from bayesdl_sim.dlbi.network.losses import Losses, losses_of
from bayesdl_sim.dlbi.network.samples import Sample, batches, list_samples, load_sample
from bayesdl_sim.dlbi.network.unrolled import FORMAT, MomentsGenerator
from bayesdl_sim.models.dropout import seed_dropout
from bayesdl_sim.utils.checkpoints import save_checkpoint
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.devices import autocast
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.resume import load_progress, save_progress

__all__ = ["PROGRESS", "MomentsTraining", "TrainingSettings", "fit", "member_name"]

PROGRESS = "progress.pth"
WARM_UP = 100  # steps
CLIP = 1.0  # norm of the gradient
SAVE_EVERY = 100  # steps
REPORT_EVERY = 50


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings that determine the result of a training; a resumed run must share them.

    Args:
        width, blocks: of the network, see `MomentsGenerator`.
        batch: crops of one step.
        crop: side of a crop in camera pixels.
        learning_rate: of Adam, before it falls.
        sgld_rate: step size of Langevin dynamics.
        temperature: of the Gibbs posterior that is sampled.
        seed: of weights, crops, dropout and noise.
    """

    width: int = 32
    blocks: int = 1
    batch: int = 4
    crop: int = 24
    learning_rate: float = 1.5e-3
    sgld_rate: float = 1e-5
    temperature: float = 100.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """When to stop and where to write; may change when a run is resumed.

    Args:
        steps: steps of Adam at the full learning rate.
        cooldown: steps over which it falls to a twentieth.
        members: draws of Langevin dynamics that are kept.
        member_steps: steps before each draw.
        folder: of members and progress.
        device, dtype: of the arithmetic.
    """

    steps: int
    cooldown: int
    members: int
    member_steps: int
    folder: Path
    device: torch.device
    dtype: torch.dtype


class MomentsTraining:
    """The moving parts of a training, and one step of it."""

    def __init__(self, settings: TrainingSettings, run: RunSettings) -> None:
        self.settings, self.run = settings, run
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            network = MomentsGenerator(settings.width, blocks=settings.blocks)
        self.network = network.to(run.device, memory_format=torch.channels_last).train()
        self.adam = torch.optim.AdamW(self.network.parameters(), lr=settings.learning_rate)
        self.step_number = 0

    def rate(self) -> float:
        """Learning rate of Adam at this step: warm-up, constant, linear fall."""
        warm = min(1.0, (self.step_number + 1) / WARM_UP)
        left = 1 - (self.step_number - self.run.steps) / max(self.run.cooldown, 1)
        return self.settings.learning_rate * warm * min(1.0, max(left, 0.05))

    def losses(self, sample: Sample) -> Losses:
        """Loss of one batch, in mixed precision."""
        with autocast(self.run.device, self.run.dtype):
            structure = self.network(on_device(sample, self.run.device).features)
        return losses_of(structure, on_device(sample, self.run.device))

    def step(self, sample: Sample, optimiser: torch.optim.Optimizer) -> Losses:
        """One step of an optimiser, with the gradient clipped."""
        seed_dropout(self.network, self.settings.seed, self.step_number)
        optimiser.zero_grad()
        losses = self.losses(sample)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        optimiser.step()
        self.step_number += 1
        return losses


def on_device(sample: Sample, device: torch.device) -> Sample:
    """The sample with all its tensors on a device."""
    if device.type == "cpu":
        return sample
    moved = {name: value.to(device) for name, value in vars(sample.features).items()}
    return Sample(
        features=replace(sample.features, **moved),
        fluorophores=sample.fluorophores.to(device),
        brightness=sample.brightness.to(device),
    )


class _Stream:
    """Endless batches; the set is read again at each epoch, since it may still grow."""

    def __init__(self, folder: Path, settings: TrainingSettings) -> None:
        self.folder, self.settings = folder, settings
        self.loaded: dict[Path, Sample] = {}
        self.epoch = self.used = 0  # epochs begun, and batches taken of the last one
        self.iterator = iter(())

    def restart(self, epoch: int, used: int) -> None:
        """Continues after the batches of an epoch that `epoch` and `used` count."""
        self.epoch, self.used, self.iterator = max(epoch - 1, 0), 0, iter(())
        for _ in range(used):
            self.next()

    def next(self) -> Sample:
        for sample in self.iterator:
            self.used += 1
            return sample
        for path in list_samples(self.folder):
            if path not in self.loaded:
                self.loaded[path] = load_sample(path)
        if len(self.loaded) < self.settings.batch:
            raise InputError(
                f"{self.folder}: expected at least {self.settings.batch} scenes, found "
                f"{len(self.loaded)}"
            )
        generator = torch.Generator().manual_seed(self.settings.seed * 100003 + self.epoch)
        samples = [self.loaded[path] for path in sorted(self.loaded)]
        self.iterator = batches(samples, self.settings.batch, self.settings.crop, generator)
        self.epoch, self.used = self.epoch + 1, 1
        return next(self.iterator)


def fit(
    settings: TrainingSettings, run: RunSettings, set_folder: Path, resume: bool = False
) -> list[Path]:
    """Trains on the scenes of a folder and writes the members.

    Progress is saved every `SAVE_EVERY` steps in `progress.pth`, so that an interrupted run
    continues with `resume`, and ends with the same members. Without progress it starts from the
    beginning.

    Returns:
        Files of the members.
    """
    training, stream = MomentsTraining(settings, run), _Stream(set_folder, settings)
    parts = {"network": training.network, "adam": training.adam}
    identity, progress_file = asdict(settings), run.folder / PROGRESS
    if resume and progress_file.is_file():
        progress = load_progress(progress_file, parts, identity, ("step", "epoch"))
        training.step_number = progress["step"]
        stream.restart(progress["epoch"], progress.get("used", 0))
    bar = tqdm(
        total=run.steps + run.cooldown, initial=training.step_number, unit="step", disable=None
    )
    recent: list[float] = []
    started = time.monotonic()
    while training.step_number < run.steps + run.cooldown:
        for group in training.adam.param_groups:
            group["lr"] = training.rate()
        losses = training.step(stream.next(), training.adam)
        recent.append(losses.image.item())
        if not math.isfinite(recent[-1]):
            raise InputError(
                f"{set_folder}: the loss of step {training.step_number} is {recent[-1]}, a finite "
                "number was expected: a scene holds infinities; remove it and start again"
            )
        bar.update()
        if training.step_number % REPORT_EVERY == 0:
            mean = sum(recent) / len(recent)
            bar.write(
                f"step {training.step_number}: relative error {mean:.4f}, "
                f"{time.monotonic() - started:.0f} s"
            )
            recent.clear()
        if training.step_number % SAVE_EVERY == 0:
            _save(progress_file, parts, identity, training, stream)
    bar.close()
    _save(progress_file, parts, identity, training, stream)
    return draw_members(training, stream)


def _save(
    path: Path, parts: dict[str, Any], identity: dict[str, Any], training: Any, stream: _Stream
) -> None:
    position = {"step": training.step_number, "epoch": stream.epoch, "used": stream.used}
    save_progress(path, parts, identity, **position)


def draw_members(training: MomentsTraining, stream: _Stream) -> list[Path]:
    """Members of the posterior: Langevin dynamics from the trained weights.

    The preconditioner is adapted in the first `member_steps`, and then frozen.
    """
    settings, run, paths = training.settings, training.run, []
    pixels = len(stream.loaded) * stream_pixels(stream)
    sampler = SGLD(
        training.network.parameters(),
        lr=settings.sgld_rate,
        num_data=pixels,
        temperature=settings.temperature,
        precondition=True,
        generator=torch.Generator(training.run.device).manual_seed(settings.seed + 1),
    )
    for _ in range(run.member_steps):
        training.step(stream.next(), sampler)
    sampler.freeze_preconditioner()
    for number in counted(range(1, run.members + 1), "members", unit="draw"):
        losses: list[Tensor] = []
        for _ in range(run.member_steps):
            losses.append(training.step(stream.next(), sampler).image.detach())
        path = run.folder / member_name(number)
        payload = member_payload(training, float(torch.stack(losses).mean()))
        save_checkpoint(path, payload)
        paths.append(path)
    return paths


def stream_pixels(stream: _Stream) -> int:
    """Fine pixels of one scene: the number of data that the energy averages."""
    return next(iter(stream.loaded.values())).fluorophores.numel()


def member_name(number: int) -> str:
    return f"member_{number:02d}.pth"


def member_payload(training: MomentsTraining, loss: float) -> dict[str, Any]:
    """Content of a member's file; weights in half precision, so that eight fit in 15 MB."""
    weights = training.network.state_dict()
    return {
        "format": FORMAT,
        "network": {"generator": "moments", **training.network.settings},
        "training": {**asdict(training.settings), "steps": training.step_number, "loss": loss},
        "state": {name: value.half().cpu() for name, value in weights.items()},
    }
