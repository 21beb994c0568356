"""Replicas of one run: `torchrun --nproc_per_node N train.py ...`, data parallel.

Every process takes its share of each batch, and the mean of all gradients moves all replicas
alike: weights, optimiser and noise stay equal to the bit, since every replica draws the same noise
from an equal generator. `batch_size` is that of all processes together, so a run does not depend on
their number, and goes on with any other. The first process alone writes into the run folder; the
others follow in a scratch copy of it, so that no step depends on which replica it is.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.folders.lock import owned_folder

__all__ = [
    "Place",
    "average_gradients",
    "average_value",
    "main_process_first",
    "place",
    "replicated",
    "require_shares",
]

PATIENCE = datetime.timedelta(days=1)  # torchrun itself ends the others when one of them dies


class Place(NamedTuple):
    """Number of this process, from 0, and of all; (0, 1) where there is no other."""

    number: int
    count: int


def place() -> Place:
    """The place of this process among the replicas."""
    if not (dist.is_available() and dist.is_initialized()):
        return Place(0, 1)
    return Place(dist.get_rank(), dist.get_world_size())


@contextlib.contextmanager
def replicated(settings: Any) -> Iterator[Any]:
    """The run folder belongs to this run alone while the block runs, on every replica.

    Args:
        settings: settings of step 1 or step 2.

    Yields:
        The settings of this replica: its device, and the folder that it writes to.

    Raises:
        InputError: the folder cannot be had, or a batch cannot be shared.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        with owned_folder(writable_folder(settings.run.folder)):
            yield settings
        return
    settings, backend = _on_own_device(settings)
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        require_shares(settings)
        with contextlib.ExitStack() as stack:
            with main_process_first():
                if place().number == 0:
                    stack.enter_context(owned_folder(writable_folder(settings.run.folder)))
                else:
                    settings = stack.enter_context(_silent_copy(settings))
            dist.barrier()  # all copies are made before the first process writes
            yield settings
    finally:
        dist.destroy_process_group()


def _on_own_device(settings: Any) -> tuple[Any, str]:
    """The GPU with the number that torchrun gives, where there are GPUs; and the backend."""
    run = settings.run
    if run.device.startswith("cpu") or not torch.cuda.is_available():
        return settings, "gloo"
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if run.gpu_id is not None or ":" in run.device or number >= torch.cuda.device_count():
        raise InputError(
            f"device {run.device}, gpu_id {run.gpu_id}: each process takes its own GPU, and "
            f"there are {torch.cuda.device_count()}: start as many processes, and leave gpu_id out"
        )
    torch.cuda.set_device(number)
    return replace(settings, run=replace(run, gpu_id=number)), "nccl"


def require_shares(settings: Any) -> None:
    """`InputError` if a batch cannot be shared equally by all processes."""
    count = place().count
    sizes = {"batch_size": settings.data.batch_size}
    if getattr(settings, "energy", None) is not None and settings.energy.outlier_dir is not None:
        sizes["outlier_batch_size"] = settings.energy.outlier_batch_size
    for name, size in sizes.items():
        if size % count:
            raise InputError(
                f"{name}: expected a multiple of the {count} processes, which share it, found "
                f"{size}"
            )


@contextlib.contextmanager
def _silent_copy(settings: Any) -> Iterator[Any]:
    """Settings with a scratch copy of the run folder; what is printed meanwhile is dropped."""
    with tempfile.TemporaryDirectory(prefix="bayesdl-replica-") as scratch:
        folder = Path(scratch) / "run"
        hidden = shutil.ignore_patterns(".*", "tensorboard")
        shutil.copytree(settings.run.folder, folder, ignore=hidden)
        nothing = io.StringIO()
        with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
            yield replace(settings, run=replace(settings.run, folder=folder))


@contextlib.contextmanager
def main_process_first() -> Iterator[None]:
    """The block runs on the first process alone, then on the others, which find what it made.

    Raises:
        InputError: on every process, where the first one fails.
    """
    number, count = place()
    if count == 1:
        yield
        return
    if number == 0:
        failure: list[str | None] = [None]
        try:
            yield
        except BaseException as error:
            failure = [str(error) or type(error).__name__]
            raise
        finally:
            dist.broadcast_object_list(failure, src=0)
        return
    failure = [None]
    dist.broadcast_object_list(failure, src=0)
    if failure[0] is not None:
        raise InputError(failure[0])
    yield


@torch.no_grad()
def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replaces every gradient by its mean over the replicas, the same bits on each of them."""
    if place().count == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= place().count
    pieces = flat.split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def average_value(value: torch.Tensor) -> torch.Tensor:
    """The mean of a scalar over the replicas."""
    if place().count == 1:
        return value
    value = value.detach().clone()
    dist.all_reduce(value)
    return value / place().count
