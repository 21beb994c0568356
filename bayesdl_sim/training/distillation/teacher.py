"""The teacher's predictions for many patches, computed once and kept: a shard per batch."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.bayes.distillation import log_variances
from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.data.inputs import FirstGuess, input_spec
from bayesdl_sim.data.layouts import FRAMES
from bayesdl_sim.data.sets.datasets import Patches, SimDataset
from bayesdl_sim.models.fields.poses import turn_input
from bayesdl_sim.models.members import OpenMember, hashes_of
from bayesdl_sim.physics.reconstruction.first_guess import FIRST_GUESS_VERSION, first_guess
from bayesdl_sim.training.distillation.settings import DistilSettings
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path, read_json, write_json
from bayesdl_sim.utils.pieces.poses import turn

__all__ = ["Lesson", "Lessons", "teach"]

SHARD = 8  # patches
GUESS = FirstGuess(first_guess, FIRST_GUESS_VERSION)


class Lesson(NamedTuple):
    """A batch of training data of the student; normalised intensity, float32.

    Attributes:
        raw: (B, F, P, P), input of both networks.
        mean: (B, 1, 2P, 2P), mean of the teacher.
        parameters: (B, 2, 2P, 2P), the teacher's log-variances of data and model.
        target: (B, 1, 2P, 2P), the truth, to score both.
    """

    raw: Tensor
    mean: Tensor
    parameters: Tensor
    target: Tensor


class Lessons:
    """All lessons, memory-mapped, in float16: `held_out` first, then those to learn from.

    Args:
        folder: folder of the shards, all there.
        shards: how many.
    """

    def __init__(self, folder: Path, shards: int, held_out: int) -> None:
        self.shards = [np.load(shard_path(folder, n), mmap_mode="r") for n in range(shards)]
        self.ends = np.cumsum([len(shard) for shard in self.shards])
        self.held_out, self.count = held_out, int(self.ends[-1])

    def lesson(self, numbers: np.ndarray) -> Lesson:
        """The lessons of these numbers as one batch."""
        rows = []
        for number in numbers:
            shard = int(np.searchsorted(self.ends, number, side="right"))
            row = self.shards[shard][number - self.ends[shard]]
            rows.append({name: np.array(row[name], np.float32) for name in Lesson._fields})
        return Lesson(*(torch.from_numpy(np.stack([r[n] for r in rows])) for n in Lesson._fields))

    def batch(self, step: int, seed: int, size: int) -> Lesson:
        """A batch of one step, which (seed, step) determine: drawn, turned and flipped at random.

        The chains were trained on all poses, so that the teacher of a turned patch is the turned
        teacher, nearly.
        """
        rng = np.random.default_rng([seed, step])
        lesson = self.lesson(rng.integers(self.held_out, self.count, size))
        pose = int(rng.integers(4)) + 4 * int(rng.integers(2))
        first_guess = lesson.raw.shape[1] > FRAMES
        targets = {n: turn(image, pose) for n, image in lesson._asdict().items() if n != "raw"}
        return Lesson(raw=turn_input(lesson.raw, pose, first_guess), **targets)


def shard_path(folder: Path, number: int) -> Path:
    """File of a shard, counted from 0."""
    return folder / f"lessons_{number:04d}.npy"


def teach(settings: DistilSettings, members: list[OpenMember]) -> Lessons:
    """The teacher's predictions for patches of every set; those that are there are kept.

    Raises:
        InputError: the folder holds predictions of another teacher, or for other patches.
    """
    spec = input_spec(members[0].facts.network, members[0].facts.path)
    sets = [
        SimDataset(root, "train", inputs=spec, first_guess=GUESS) for root in settings.root_dirs
    ]
    for data in sets:  # a patch that does not fit is refused before anything is predicted
        data.batches(0, settings.seed, SHARD, settings.patch_size)
    folder = settings.work / "lessons"
    _claim(folder, settings, sets, members)
    likelihood = members[0].facts.network["likelihood"]
    functions = [member.function for member in members]
    shards = 0
    # Of a set with few stacks, a batch holds as many patches as there are stacks.
    sizes = [min(SHARD, len(data)) for data in sets]
    total = sum(-(-n // size) for n, size in zip(settings.patches, sizes, strict=True))
    batches = counted(_batches(settings, sets), "the teacher predicts", total, unit="shard")
    for number, patches in enumerate(batches):
        path, shards = shard_path(folder, number), number + 1
        if not path.is_file():
            prediction = predict(functions, patches.raw, likelihood)
            parameters = log_variances(prediction.aleatoric, prediction.epistemic)
            _store(
                path, Lesson(patches.raw, prediction.mean.cpu(), parameters.cpu(), patches.target)
            )
    return Lessons(folder, shards, settings.held_out)


def _batches(settings: DistilSettings, sets: list[SimDataset]) -> Iterator[Patches]:
    """Shards of as many patches as requested, of one set after the other."""
    for data, missing in zip(sets, settings.patches, strict=True):
        epoch = 0
        while missing > 0:
            for patches in data.batches(epoch, settings.seed, SHARD, settings.patch_size):
                yield Patches(*(images[:missing] for images in patches))
                missing -= len(patches.raw)
                if missing <= 0:
                    break
            epoch += 1


def _claim(
    folder: Path, settings: DistilSettings, sets: list[SimDataset], members: list[OpenMember]
) -> None:
    """Records what the lessons are of, or compares with the record of an interrupted run."""
    facts = {
        "sets": [data.sha256 for data in sets],
        "members": hashes_of(member.facts for member in members),
        "patches": list(settings.patches),
        "patch_size": settings.patch_size,
        "seed": settings.seed,
        "first_guess": GUESS.version,
    }
    identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    path = folder / "lessons.json"
    if path.is_file() and read_json(path).get("identity") != identity:
        raise InputError(
            f"{folder} holds predictions of other members, or for other patches: choose another "
            "work folder, or delete it"
        )
    write_json(path, {"identity": identity, **facts})


def _store(path: Path, lesson: Lesson) -> None:
    """One array of records in float16: 0.05 % of an intensity of one, 1 % of a log-variance."""
    fields = {name: image.numpy().astype(np.float16) for name, image in lesson._asdict().items()}
    kind = np.dtype([(name, np.float16, image.shape[1:]) for name, image in fields.items()])
    records = np.empty(len(lesson.raw), kind)
    for name, image in fields.items():
        records[name] = image
    with atomic_path(path) as partial:
        np.save(partial, records)
