"""A folder of stacks, one after the other: a row of the table for each, and a file of all rows."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bayesdl_sim.data.found_stacks import found_stacks
from bayesdl_sim.data.stacks import StackEntry
from bayesdl_sim.inference.output.result_files import result_folders
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.napari.steps.opening import opened
from bayesdl_sim.napari.steps.reconstructing import Outcome, reconstruct
from bayesdl_sim.utils.console.progress import Report
from bayesdl_sim.utils.errors import InputError, is_out_of_memory, writable_folder
from bayesdl_sim.utils.files import atomic_path

__all__ = ["HEADINGS", "Row", "batch", "write_table"]

UNREADABLE = "not readable"
HEADINGS = ("stack", "verdict", "p", "reasons", "seconds", "file", "results")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stack of a batch.

    Attributes:
        name: name of the stack.
        source: its file.
        decision: decision of the verdict, or `UNREADABLE`.
        p_value: see `gate.Verdict`.
        reasons: the reasons of the verdict.
        seconds: time that it took.
        folder: folder of the results; None where nothing was written.
    """

    name: str
    source: Path
    decision: str
    p_value: float | None = None
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    folder: Path | None = None

    def cells(self) -> tuple[str, ...]:
        """The row as texts, in the order of `HEADINGS`."""
        p = "" if self.p_value is None else f"{self.p_value:.3f}"
        folder = "" if self.folder is None else str(self.folder)
        words = (self.name, self.decision, p, "; ".join(self.reasons), f"{self.seconds:.1f}")
        return (*words, str(self.source), folder)


def batch(
    folder: Path, results: Path, opener: Callable[[], Posterior], progress: Report
) -> Iterator[Row]:
    """Reconstructs every stack of the folder and writes its results; refused ones are named only.

    Args:
        progress: called with (done, total, "stacks") and with the parts of each stack.

    Raises:
        InputError: no stacks there, or the results cannot be written.
        Stopped: as `progress` raises it; what was written stays.
    """
    entries = list(found_stacks(folder))
    names = [entry.name for entry in entries]
    folders = result_folders([entry.source for entry in entries], writable_folder(results), names)
    for number, (entry, place) in enumerate(zip(entries, folders, strict=True)):
        progress(number, len(entries), "stacks")
        yield _row(entry, place, opener, progress)
    progress(len(entries), len(entries), "stacks")


def _row(entry: StackEntry, place: Path, opener: Callable[[], Posterior], progress: Report) -> Row:
    began = time.perf_counter()
    try:
        outcome = reconstruct(opened(entry), opener, progress)
        if outcome.result is not None:
            outcome.result.save(place)
    except (InputError, MemoryError, RuntimeError) as error:
        if not isinstance(error, InputError) and not is_out_of_memory(error):
            raise
        reason = str(error) or "not enough memory for this stack"
        return Row(name=entry.name, source=entry.source, decision=UNREADABLE, reasons=(reason,))
    return _judged(entry, outcome, place, time.perf_counter() - began)


def _judged(entry: StackEntry, outcome: Outcome, place: Path, seconds: float) -> Row:
    return Row(
        name=entry.name,
        source=entry.source,
        decision=outcome.verdict.decision,
        p_value=outcome.verdict.p_value,
        reasons=outcome.verdict.reasons,
        seconds=seconds,
        folder=None if outcome.result is None else place,
    )


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Writes the rows as CSV with a line of headings."""
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        writer.writerows(row.cells() for row in rows)
