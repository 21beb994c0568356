"""Both steps share an opened run: its folder, its device and its data."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesdl_sim.data.inputs import FirstGuess, InputSpec, chosen_frames, input_spec, require_inputs
from bayesdl_sim.data.sets.datasets import Patches, SimDataset
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.models.members import open_member
from bayesdl_sim.physics.reconstruction.first_guess import FIRST_GUESS_VERSION, first_guess
from bayesdl_sim.training.identity import identity_of, run_record, trunks_hash
from bayesdl_sim.training.parallel.replicas import main_process_first, place
from bayesdl_sim.training.settings.shared import InputSettings
from bayesdl_sim.training.settings.step1 import Step1Settings
from bayesdl_sim.training.settings.step2 import Step2Settings
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.resume import require_same
from bayesdl_sim.utils.run_log import provenance

__all__ = ["Run", "check_record", "open_run", "to_device", "write_record"]

FIRST_GUESS = FirstGuess(first_guess, FIRST_GUESS_VERSION)
PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16"}
BEYOND_TRAINING = 10**6  # epochs from here on are never trained on


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """An opened run.

    Attributes:
        step: "step 1" or "step 2"; its key in config.json.
        settings: the settings, with every "auto" settled.
        identity: what a resumed run must share (`training.identity`).
        members: the members of step 1 that step 2 works on, or the one that step 1 starts from.
        device, dtype: device and number type of the networks' arithmetic.
        train, validation: the two parts of the data set.
        outliers: the stacks of the prior on functions, if there is one.
    """

    step: str
    settings: Any
    identity: dict[str, Any]
    members: tuple[Path, ...]
    device: torch.device
    dtype: torch.dtype
    train: SimDataset
    validation: SimDataset
    outliers: SimDataset | None = None

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        return self.settings.run.folder

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.settings.numerics.seed

    @property
    def steps_per_epoch(self) -> int:
        """Batches of the training part in one epoch."""
        return self.steps(self.train)

    def steps(self, part: SimDataset) -> int:
        """Batches of a part in one epoch."""
        data = self.settings.data
        return part.steps(data.batch_size, data.patches_per_stack)

    def batches(
        self, part: SimDataset, epoch: int, share: tuple[int, int] | None = None
    ) -> Iterator[Patches]:
        """One epoch of a part: of each batch the share of this process."""
        data, share = self.settings.data, share or place()
        return part.batches(
            epoch,
            self.seed,
            data.batch_size,
            data.patch_size,
            data.patches_per_stack,
            share=share,
        )

    def endless(self, part: SimDataset) -> Iterator[Patches]:
        """Whole batches of a part without end, none of them one of a training epoch."""
        for epoch in itertools.count(BEYOND_TRAINING):
            yield from self.batches(part, epoch, share=(0, 1))

    def outlier_batches(self, epoch: int) -> Iterator[Patches | None]:
        """Endless batches of outliers for an epoch; None for each where there are no outliers."""
        if self.outliers is None:
            yield from itertools.repeat(None)
            return
        size, patch = self.settings.energy.outlier_batch_size, self.settings.data.patch_size
        for lap in itertools.count(1):
            yield from self.outliers.batches(epoch, self.seed + lap, size, patch, share=place())


def open_run(
    settings: Step1Settings | Step2Settings,
    step: str,
    members: Sequence[Path],
    outlier_dir: Path | None = None,
) -> Run:
    """Finds the data, chooses the device, and prints both.

    Args:
        settings: settings of the step.
        step: "step 1" or "step 2".
        members: see `Run`.
        outlier_dir: data set of outliers.

    Raises:
        InputError: no such data or device, or members that were shown other frames.
    """
    root = find_dataset(settings.data.root_dir, settings.data.sample)
    chosen = settings.input
    stored = _input_of(members[0]) if members else None
    backbone = settings.network.backbone if isinstance(settings, Step1Settings) else None
    inputs = choose_inputs(chosen, stored, backbone)
    device = choose_device(settings.run.device, settings.run.gpu_id)
    dtype = choose_precision(settings.numerics.precision, device)
    numerics = dataclasses.replace(settings.numerics, precision=PRECISIONS[dtype])
    settings = dataclasses.replace(settings, numerics=numerics)

    def part(
        root: Path, name: str, most: int | None = None, tell_optics: bool = False
    ) -> SimDataset:
        return SimDataset(
            root,
            name,
            first_cells(root, name, most),
            settings.run.cache_dir,
            inputs,
            FIRST_GUESS,
            tell_optics=tell_optics,
        )

    tell_optics = settings.data.tell_optics
    with main_process_first():  # it makes the copies of the sets that the others open
        train = part(root, "train", settings.data.train_cells, tell_optics)
        validation = part(root, "validation", None, tell_optics)
        outliers = None
        if outlier_dir is not None:
            outliers = part(find_dataset(outlier_dir, "outliers"), "train")
    contents = {"root_dir": train.sha256, "outlier_dir": outliers.sha256 if outliers else ""}
    contents |= dict.fromkeys(("init_from", "pretrained_G"), trunks_hash(members))
    run = Run(
        step=step,
        settings=settings,
        identity=identity_of(settings, contents),
        members=tuple(members),
        device=device,
        dtype=dtype,
        train=train,
        validation=validation,
        outliers=outliers,
    )
    _print_facts(run)
    return run


def _input_of(member: Path) -> InputSpec:
    """The input of the network of a member."""
    return input_spec(open_member(member).network.config, member)


def first_cells(root: Path, part: str, most: int | None) -> list[int] | None:
    """The first cells of a part of a data set; None stands for all of them."""
    return None if most is None else sorted(DatasetTree(root).spec.splits[part])[:most]


def _print_facts(run: Run) -> None:
    for part in (run.train, run.validation):
        print(f"{part.part:>10}: {len(part)} stacks of {len(part.cells)} cells, {part.size} pixels")
    if run.outliers is not None:
        gain = run.settings.energy.outlier_gain
        print(f"  outliers: {len(run.outliers)} stacks, gain {gain:+g}")
    print(f"     input: {run.train.inputs.describe()}")
    precision = str(run.dtype).removeprefix("torch.")
    print(f"    device: {run.device}, {precision}; results in {run.folder}")


def choose_inputs(
    chosen: InputSettings, stored: InputSpec | None, backbone: str | None
) -> InputSpec:
    """The input of the network: that of the member it starts from, else that of the settings.

    Args:
        chosen: the settings.
        stored: input of the member, if there is one.
        backbone: backbone of the network that step 1 makes; None in step 2, which makes none.
    """
    if stored is not None:
        require_inputs(stored, chosen.SISR_or_SIM, chosen.input_frames)
        if backbone is None or chosen.first_guess is None:
            return stored
    frames = chosen_frames(chosen.SISR_or_SIM, chosen.input_frames)
    guess = frames is None and backbone == "unet"
    return InputSpec(frames, guess if chosen.first_guess is None else chosen.first_guess)


def find_dataset(root: Path, sample: str) -> Path:
    """`root/sample` as in the original scripts, or `root` itself."""
    for candidate in (root / sample, root):
        if (candidate / "Raw").is_dir():
            return candidate
    if root.name in ("Raw", "GT", "WF") and (root.parent / "Raw").is_dir():
        raise InputError(f"root_dir: {root} is a part of a data set; name its folder {root.parent}")
    raise InputError(
        f"no data set in {root} (looked for Raw/ in {root / sample} and {root}): make one with "
        f"python -m DatasetGenerate.from_simulation --sample {sample} --save_path {root / sample}"
    )


def check_record(run: Run) -> bool:
    """Compares a run that is resumed with the record of the interrupted one, if it left any.

    Returns:
        Whether there is a record.

    Raises:
        InputError: another setting, by name; or a record of an earlier version.
    """
    path = run.folder / "config.json"
    stored = read_json(path).get(run.step) if path.is_file() else None
    if stored is None:
        return False
    if not isinstance(stored, dict) or not isinstance(stored.get("settings"), dict):
        raise InputError(
            f"{path} is from an earlier version of this program, whose runs cannot be resumed: "
            "choose another exp_name, or delete the folder to start again"
        )
    require_same(stored["settings"], run.identity, str(run.folder))
    return True


def write_record(run: Run, facts: dict[str, Any]) -> None:
    """Enters the step, its settings and its provenance in config.json of the run."""
    path = run.folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    config[run.step] = {
        "settings": run.identity,
        "run": run_record(run.settings),
        "data": {"train_cells": len(run.train.cells), "train_stacks": len(run.train)},
        "provenance": provenance(),
        **facts,
    }
    write_json(path, config)


def to_device(patches: Patches, device: torch.device) -> tuple[Tensor, Tensor]:
    """Raw frames channels-last, where convolutions are fastest, and the target."""
    raw = patches.raw.to(device, memory_format=torch.channels_last, non_blocking=True)
    return raw, patches.target.to(device, non_blocking=True)
