"""All stacks at a path, including those that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bayesdl_sim.data.folders import find_stacks
from bayesdl_sim.data.layouts import FrameLayout
from bayesdl_sim.data.stacks import RawStack, StackEntry, list_stacks
from bayesdl_sim.utils.errors import InputError

__all__ = ["found_stacks"]


def found_stacks(path: str | Path, layout: FrameLayout | None = None) -> Iterator[StackEntry]:
    """Every stack of a file or of a folder of stacks.

    A file that cannot be read is an entry whose `read` raises the `InputError` with the reason.

    Raises:
        InputError: nothing there, or no images in the folder.
    """
    for file in find_stacks(path, layout):
        try:
            yield from list_stacks(file, layout)
        except InputError as error:
            name = file.name if file.is_dir() else file.stem
            yield StackEntry(name=name, source=file, read=partial(_refused, error))


def _refused(error: InputError) -> RawStack:
    raise error
