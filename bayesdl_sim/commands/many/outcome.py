"""The outcome of a task of a cluster: what it printed, or why it failed and for which stack."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

from bayesdl_sim.commands.many.identity import Identity
from bayesdl_sim.commands.many.work import TOO_LARGE, Job, fault_of_program
from bayesdl_sim.utils.errors import in_plain_words, is_out_of_memory, printable

__all__ = ["Outcome", "outcome_of"]

DIED = (
    "its workers died again and again, most likely for lack of memory: give each of them more, "
    "start fewer, or crop the stack"
)
WORDS = 300  # characters of the error of a scheduler that a message holds


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a task.

    Attributes:
        lines: lines to print.
        failure: why it failed; None if it did not.
        trace: traceback of a fault of the program; empty for another failure.
        identity: identity of the result; None where that is not known.
        is_open: whether a series is to be done, since its result is not there already.
    """

    lines: str = ""
    failure: str | None = None
    identity: Identity | None = None
    is_open: bool = False
    trace: str = ""


def outcome_of(future: Any, job: Job) -> Outcome:
    """The outcome of a job, also where its task raised an error or never came to an end."""
    try:
        return future.result()
    except Exception as error:
        source, kind = printable(job.entry.source), type(error)
        words = f"({kind.__name__}: {' '.join(str(error).split())[:WORDS]})"
        if is_out_of_memory(error):
            return Outcome(failure=f"{source}: {TOO_LARGE}")
        if (plain := in_plain_words(error)) is not None:
            return Outcome(failure=f"{source}: {plain}")
        if kind.__name__ == "KilledWorker":
            return Outcome(failure=f"{source}: {DIED} {words}")
        if kind.__module__.startswith(("distributed", "concurrent", "asyncio")):
            return Outcome(failure=f"{source}: no worker could do it {words}")
        trace = "".join(traceback.format_exception(error))
        return Outcome(failure=fault_of_program(job, error), trace=trace)
