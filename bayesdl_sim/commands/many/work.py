"""All stacks of a call of `test`: finished ones are skipped, failures listed, a summary written."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bayesdl_sim.commands.many.identity import Identity, identity_of
from bayesdl_sim.commands.many.shards import WHOLE
from bayesdl_sim.commands.many.streamed import is_streamed
from bayesdl_sim.commands.many.summary import FAILED, PAGE, write_summary
from bayesdl_sim.commands.testing.options import TestSettings
from bayesdl_sim.data.stacks import StackEntry
from bayesdl_sim.utils.errors import (
    InputError,
    in_plain_words,
    out_of_memory_says,
    printable,
)
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.folders.finished import forget, has_result, is_finished, require_idle
from bayesdl_sim.utils.folders.staging import results_folder

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = [
    "PATIENCE_S",
    "TOO_LARGE",
    "Job",
    "do_all",
    "do_one",
    "fault_of_program",
    "identity_of_job",
    "jobs_of",
    "note_failure",
    "summarise",
]

PATIENCE_S = 12 * 3600.0  # that one part of shared work waits for another
TOO_LARGE = "not enough memory for this stack: crop it, or split the series"


class Job(NamedTuple):
    """A stack, the folder of its result, and whether it is a series that is streamed."""

    entry: StackEntry
    folder: Path
    streamed: bool

    @property
    def name(self) -> str:
        """Name of the result, unique among all stacks of the call."""
        return self.folder.name


Process = Callable[[Job, Identity, TestSettings, "Posterior", Callable], None]


def jobs_of(
    stacks: Sequence[StackEntry], folders: Sequence[Path], settings: TestSettings
) -> list[Job]:
    """The work of a call; `InputError` if a series was to be streamed and cannot be."""
    pairs = zip(stacks, folders, strict=True)
    return [Job(entry, folder, is_streamed(entry, settings)) for entry, folder in pairs]


def do_all(
    jobs: Sequence[Job], settings: TestSettings, posterior: Posterior, process: Process
) -> None:
    """Processes the stacks of one part of the work in turn; the last part writes the summary.

    Args:
        process: does one job of this identity; its last argument keeps the folder for it.

    Raises:
        InputError: at the end, naming the stacks that failed.
    """
    shard, save_path = settings.shard, settings.save_path
    alone = shard == WHOLE
    failures: dict[str, str] = {}
    digests: dict[str, str] = {}
    if not any(job.streamed or shard.takes(index) for index, job in enumerate(jobs)):
        print(f"part {shard.number} of {shard.count} has none of the {len(jobs)} stacks")
    with results_folder(save_path) if alone else nullcontext():
        for index, job in enumerate(jobs):
            if job.streamed or shard.takes(index):
                keep = nullcontext if alone and job.folder == save_path else None
                single = len(jobs) == 1
                identity = do_one(job, settings, posterior, process, failures, single, keep)
                digests |= {} if identity is None else {job.name: identity.digest}
        with nullcontext() if alone else results_folder(save_path, PATIENCE_S):
            digests |= _digests_of_others(jobs, settings, posterior, {*digests, *failures})
            summarise(jobs, settings, failures, digests)


def do_one(
    job: Job,
    settings: TestSettings,
    posterior: Posterior,
    process: Process,
    failures: dict[str, str],
    single: bool,
    keep: Callable[[], AbstractContextManager] | None = None,
) -> Identity | None:
    """Processes one stack, unless its result is there; a failure is noted in `failures`.

    So is a fault of the program, with its traceback in the record of the failure.

    Args:
        single: it is the only one: its error is raised.
        keep: keeps its folder; None: with the lock of the folder itself.

    Returns:
        The identity of its result; None where it failed.
    """
    source = printable(job.entry.source)
    if keep is None:
        patience = 0 if settings.shard == WHOLE else PATIENCE_S
        keep = partial(results_folder, job.folder, patience)
    try:
        with out_of_memory_says(f"{source}: {TOO_LARGE}"):
            identity, is_open = identity_of_job(job, settings, posterior, keep)
            if is_open:
                process(job, identity, settings, posterior, keep)
            return identity
    except (InputError, PermissionError) as error:
        if single:
            raise
        print(f"{source} ({printable(job.entry.name)}): NOT reconstructed")
        failures[job.name] = str(error)
        note_failure(job, str(error))
        return None
    except Exception as error:  # of one stack: the others go on
        if single or in_plain_words(error) is not None:  # a full disk stops them all
            raise
        print(f"{source} ({printable(job.entry.name)}): NOT reconstructed, a fault of the program")
        failures[job.name] = reason = fault_of_program(job, error)
        note_failure(job, reason, traceback.format_exc())
        return None


def fault_of_program(job: Job, error: BaseException) -> str:
    """One line on an error that the user cannot correct; its traceback lies beside the result."""
    words = f"{type(error).__name__}: {' '.join(printable(error).split())}"
    return (
        f"{printable(job.entry.source)}: {words}; this is a fault of the program: its traceback is "
        f"in {job.folder / FAILED}, please report it"
    )


def identity_of_job(
    job: Job, settings: TestSettings, posterior: Posterior, keep: Callable
) -> tuple[Identity, bool]:
    """The identity of a job, and whether it is to be done: its result is not there already.

    Raises:
        InputError: another process is at work on this result with other settings.
    """
    (job.folder / FAILED).unlink(missing_ok=True)
    identity = identity_of(job.entry, settings, posterior, job.streamed)
    with keep():
        if not settings.again and is_finished(job.folder, identity.digest):
            print(f"{printable(job.entry.source)}: finished before, results in {job.folder}")
            return identity, False
        require_idle(job.folder, *identity)
        if settings.again:
            forget(job.folder)
    return identity, True


def _digests_of_others(
    jobs: Sequence[Job], settings: TestSettings, posterior: Posterior, known: Collection[str]
) -> dict[str, str]:
    """Name -> hash of the identity of those jobs of other parts that have some finished result."""
    digests = {}
    for job in jobs:
        if job.name not in known and has_result(job.folder):
            with contextlib.suppress(InputError, OSError):  # its part will name the reason
                identity = identity_of(job.entry, settings, posterior, job.streamed)
                digests[job.name] = identity.digest
    return digests


def note_failure(job: Job, reason: str, trace: str = "") -> None:
    """Leaves the reason beside the place of the result, for the summary.

    Args:
        trace: traceback of a fault of the program; empty for a mistake in the input.
    """
    record = {"error": reason} | ({"traceback": trace.splitlines()} if trace else {})
    with contextlib.suppress(OSError):
        write_json(job.folder / FAILED, record)


def summarise(
    jobs: Sequence[Job],
    settings: TestSettings,
    failures: dict[str, str],
    digests: Mapping[str, str],
) -> None:
    """Writes the summary of several stacks, and names those that failed.

    Args:
        failures: name of a stack -> why it failed.
        digests: name of a stack -> hash of the identity of the result that this call makes.

    Raises:
        InputError: some failed.
    """
    if len(jobs) > 1:
        results = {job.name: job.folder for job in jobs}
        finished = {name for name in digests if is_finished(results[name], digests[name])}
        rows = write_summary(settings.save_path, results, finished)
        done = sum(row["state"] == "done" for row in rows)
        print(f"{done} of {len(rows)} stacks done; summary in {settings.save_path / PAGE}")
    if failures:
        raise InputError(
            f"{len(failures)} of {len(jobs)} stacks could not be reconstructed (the results of "
            f"the others are kept): {' | '.join(failures.values())}"
        )
