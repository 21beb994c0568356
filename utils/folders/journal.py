"""A list of finished work that a kill cannot spoil: one JSON object per line, added at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Journal", "journal_entries"]


class Journal:
    """A file of lines, to which one process adds; each line is on the disk before `add` returns.

    A last line that a kill cut off is removed when the file is opened.

    Args:
        path: made where it is missing.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = open(path, "a+b")  # noqa: SIM115
        self._file.seek(0)
        whole = self._file.read().rfind(b"\n") + 1
        self._file.truncate(whole)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, entry: Mapping[str, Any]) -> None:
        """Adds one line."""
        self._file.write(json.dumps(entry, sort_keys=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def journal_entries(folder: str | Path, pattern: str) -> Iterator[dict[str, Any]]:
    """The whole lines of all journals of a folder whose names match, file by file."""
    for path in sorted(Path(folder).glob(pattern)):
        with open(path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)
