"""Records of a run: provenance, and a log of every epoch."""

from __future__ import annotations

import contextlib
import csv
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.files import atomic_path, naming

__all__ = ["EpochLog", "provenance"]


def provenance() -> dict[str, Any]:
    """Provenance of a result: versions, kind of machine, commit of this repository if any."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    """Commit of the repository that holds this file, ``-dirty`` if changed; None without git."""
    root = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # An unpacked archive may lie inside some other repository, whose commit would mislead.
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root:
            return None
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


MOST_DIGITS = 15  # of an epoch or step; longer ones are damage


class EpochLog:
    """One line per epoch in ``folder/name.csv``, and the same curves in TensorBoard.

    Args:
        folder: the run's folder.
        name: names the CSV and the TensorBoard run (``folder/tensorboard/name``).
        first_epoch: the epoch that comes next. Lines of this and later epochs, which an interrupted
            run may have left, are dropped, so that no epoch stands there twice; 0 starts afresh.
        tensorboard: False writes the CSV alone.
        count: what a line stands for; names the first column.
    """

    def __init__(
        self,
        folder: str | Path,
        name: str = "log",
        first_epoch: int = 0,
        tensorboard: bool = True,
        count: str = "epoch",
    ) -> None:
        self.count = count
        self.path = writable_folder(folder) / f"{name}.csv"
        self._columns = self._keep_before(first_epoch)
        self._board = None
        if tensorboard:
            self._board = _board(self.path.parent / "tensorboard" / name, first_epoch)

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Adds one epoch; ``values`` has the same names every time.

        Raises:
            InputError: when an existing log has other columns.
        """
        columns = [self.count, *values]
        if self._columns is None:
            self._append(columns)
            self._columns = columns
        if columns != self._columns:
            raise InputError(
                f"{self.path}: expected the columns {', '.join(self._columns)}, found "
                f"{', '.join(columns)}; use another exp_name, or move the old log away"
            )
        numbers = {key: float(value) for key, value in values.items()}
        self._append([str(epoch), *(f"{number:.8g}" for number in numbers.values())])
        if self._board is not None:
            for key, number in numbers.items():
                self._board.add(self._board.scalar(key, number), epoch)

    def image(self, epoch: int, tag: str, array: Any) -> None:
        """Shows a 2-D picture (H, W) in TensorBoard, stretched from darkest to brightest."""
        if self._board is None:
            return
        picture = array.detach().float().cpu().numpy() if torch.is_tensor(array) else array
        picture = np.squeeze(np.asarray(picture, dtype=np.float32))
        low, high = np.percentile(picture, (0.1, 99.9))
        grey = np.clip((picture - low) / max(high - low, 1e-12), 0, 1)
        self._board.add(self._board.image(tag, grey, dataformats="HW"), epoch)

    def close(self) -> None:
        """Ends the TensorBoard file; the CSV is complete after every line."""
        if self._board is not None:
            self._board.close()

    def _append(self, row: list[str]) -> None:
        with naming(self.path), open(self.path, "a", newline="", encoding="utf-8") as handle:
            csv.writer(handle, lineterminator="\n").writerow(row)

    def _keep_before(self, first_epoch: int) -> list[str] | None:
        """Drops later epochs and a half-written last line; returns the columns, None if no log."""
        if not self.path.is_file():
            return None
        with open(self.path, newline="", encoding="utf-8", errors="replace") as handle:
            rows = list(_rows(handle))
        columns = rows[0] if rows else []
        kept = [
            row for row in rows[1:] if len(row) == len(columns) and _is_before(row[0], first_epoch)
        ]
        if not kept:
            self.path.unlink()
            return None
        with (
            atomic_path(self.path) as partial,
            open(partial, "w", newline="", encoding="utf-8") as out,
        ):
            csv.writer(out, lineterminator="\n").writerows([columns, *kept])
        return columns


def _is_before(text: str, epoch: int) -> bool:
    return text.isdecimal() and len(text) <= MOST_DIGITS and int(text) < epoch


def _rows(handle: TextIO) -> Iterator[list[str]]:
    """The rows of a CSV up to the first that is none: of a damaged log, what is left of it."""
    with contextlib.suppress(csv.Error):
        yield from csv.reader(handle)


class _Board:
    """TensorBoard's file, written at once.

    TensorBoard's own writer hands everything to a thread: on a full disk that thread ends with a
    traceback, and the program learns of it later, or waits for the thread for ever. Its file also
    bears the computer's name.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter
        from torch.utils.tensorboard.summary import image, scalar

        self._event, self.image, self.scalar = Event, image, scalar
        self.path = folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        with naming(self.path):
            self._file = open(self.path, "wb")  # noqa: SIM115, since it stays open
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        # Hides what an interrupted run wrote of this and later epochs.
        self._write(Event(step=first_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, summary: Any, step: int) -> None:
        """Adds what `scalar` or `image` made."""
        self._write(self._event(step=step, summary=summary))

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        with naming(self.path):
            self._records.write(event.SerializeToString())
            self._records.flush()


def _board(folder: Path, first_step: int) -> _Board | None:
    """TensorBoard's file, or None with a notice: the curves are a comfort, not a result."""
    try:
        return _Board(folder, first_step)
    except ImportError:
        print("TensorBoard is not installed: the curves are in the CSV only")
        return None
