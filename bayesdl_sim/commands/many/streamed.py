"""A long series, or a large field, under the command `test`: begun, done in parts, finished."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bayesdl_sim.commands.many.identity import Identity
from bayesdl_sim.commands.many.shards import WHOLE, Shard
from bayesdl_sim.commands.testing.options import TestSettings
from bayesdl_sim.data.fringe_order import in_proved_order
from bayesdl_sim.data.layouts import FRAMES
from bayesdl_sim.data.stacks import StackEntry
from bayesdl_sim.inference.facts import result_lines
from bayesdl_sim.inference.judging.gate import Verdict
from bayesdl_sim.inference.judging.verdict import judge_frames
from bayesdl_sim.inference.prepared.large_field import is_large
from bayesdl_sim.inference.streaming.run import SeriesRun
from bayesdl_sim.utils.console.progress import Progress
from bayesdl_sim.utils.errors import InputError, printable
from bayesdl_sim.utils.folders.finished import is_finished, other_work

if TYPE_CHECKING:
    from bayesdl_sim.inference.posterior import Posterior

__all__ = [
    "STREAMED_BYTES",
    "STREAMED_TIMES",
    "begin_series",
    "finish_series",
    "is_streamed",
    "open_run",
    "stream",
]

# A short series is held in memory, on the exact range of its result, as a single stack is.
STREAMED_TIMES = 17  # from so many time points on
STREAMED_BYTES = 2**28  # of frames; beyond
BYTES = 4  # of a value of the frames in memory

Keep = Callable[[], AbstractContextManager[None]]
Refuse = Callable[[Verdict], None]


def is_streamed(entry: StackEntry, settings: TestSettings) -> bool:
    """Whether a stack is read, reconstructed and written time point by time point.

    Raises:
        InputError: it was requested, and is not possible.
    """
    impossible, large = "", is_large(entry.size)
    if entry.times < 2 and not large:
        impossible = "it is no series"
    elif entry.open is None:
        impossible = "its format can only be read whole"
    elif settings.target is not None:
        impossible = "a stack with a target is compared as a whole"
    elif settings.convention == "released":
        impossible = "the convention released gives every time point a scale of its own"
    if settings.stream == "never" or (settings.stream == "auto" and impossible):
        return False
    if settings.stream == "always":
        if impossible and entry.times > 1:
            raise InputError(f"stream: {entry.source} cannot be streamed: {impossible}")
        return not impossible
    height, width = entry.size
    size = BYTES * FRAMES * entry.times * height * width
    return large or entry.times >= STREAMED_TIMES or size > STREAMED_BYTES


def stream(
    entry: StackEntry,
    folder: Path,
    settings: TestSettings,
    posterior: Posterior,
    identity: Identity,
    refuse: Refuse,
    keep: Keep,
) -> None:
    """Makes the time points of one part of a series, and finishes it if nothing is missing.

    Args:
        refuse: raises `InputError` if a verdict of the raw frames refuses them.
        keep: keeps the folder of the results for this process alone, while that is needed.
    """
    run = begin_series(entry, folder, settings, posterior, identity, refuse, keep)
    if run is None:
        return
    points = settings.shard.points(len(run.prepared))
    try:
        with Progress(printable(entry.name)) as progress:
            run.make(points, _part_name(settings.shard), progress)
        finish_series(run, settings.shard, keep)
    finally:
        run.leave()


def open_run(
    entry: StackEntry,
    folder: Path,
    settings: TestSettings,
    posterior: Posterior,
    identity: Identity,
) -> SeriesRun:
    """The work on a series, as every process that takes part opens it."""
    stack = in_proved_order(entry.open(), posterior.device)
    stack = replace(stack, pixel_size_nm=settings.pixel_size_nm or stack.pixel_size_nm)
    optics = settings.microscope.optics(stack.pixel_size_nm, printable(entry.source))
    prepared = posterior.prepare(stack, optics)
    arguments = (settings.maps, settings.numbers, settings.format)
    return SeriesRun(
        posterior, prepared, folder, identity.digest, *arguments, record=identity.record
    )


def begin_series(
    entry: StackEntry,
    folder: Path,
    settings: TestSettings,
    posterior: Posterior,
    identity: Identity,
    refuse: Refuse,
    keep: Keep,
) -> SeriesRun | None:
    """Surveys a series, unless that has been done; None where it is finished, see `stream`.

    The caller takes part in the series until `SeriesRun.leave`.
    """
    run = open_run(entry, folder, settings, posterior, identity)
    with keep(), Progress(printable(entry.name)) as progress:
        if is_finished(folder, identity.digest) or _settled(run):
            return None
        source = printable(entry.source)
        if not run.has_begun():
            if other := other_work(folder, *identity):
                print(f"{source}: unfinished work with other settings is discarded: {other}")
            for note in settings.microscope.notes(run.prepared.stack):
                print(f"{source}: {note}")
            refuse(judge_frames(run.prepared))
        run.begin(progress, refuse)
        if run.posterior is not posterior:
            precision = run.posterior.facts["run"]["precision"]
            print(f"{source}: goes on in {precision}, in which the series was begun")
    return run


def finish_series(run: SeriesRun, shard: Shard, keep: Keep) -> None:
    """Writes the facts of a series whose time points are all there, and prints the outcome."""
    stack, points = run.prepared.stack, shard.points(len(run.prepared))
    source = printable(stack.source)
    with keep():
        if is_finished(run.folder, run.identity) or _settled(run):
            return
        run.require_own()
        missing = run.missing()
        if missing:
            print(
                f"{source}: part {shard.number} of {shard.count} is done ({len(points)} time "
                f"points); {len(missing)} of other parts are missing"
            )
            return
        numbers, result = run.numbers(), run.finish()
    print(f"{source}: verdict: {result.verdict.sentence()}")
    for number, line in enumerate(result_lines(stack, result, numbers)):
        print(f"{'   ' if number else ''}{line}")
    print(f"   results in {run.folder}")


def _settled(run: SeriesRun) -> bool:
    """Whether nothing but the places of the files was missing; they are there now."""
    if not run.settle():
        return False
    source = printable(run.prepared.stack.source)
    print(f"{source}: finished before, but for the places of its files; results in {run.folder}")
    return True


def _part_name(shard: Shard) -> str:
    return "all" if shard == WHOLE else f"{shard.number}-of-{shard.count}"
