"""A set of files that appears in its folder together: the earlier set stays until then."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from bayesdl_sim.utils.errors import writable_folder
from bayesdl_sim.utils.folders.lock import owned_folder

__all__ = ["remove", "remove_leftovers", "results_folder", "staged", "take_place"]

_START, _END = ".result.", ".partial"


@contextlib.contextmanager
def staged(
    folder: str | Path, names: Collection[str] = (), last: str | None = None
) -> Iterator[Path]:
    """A hidden folder whose files take their places in ``folder`` once the block has succeeded.

    It lies inside ``folder``, hence on the same disk, so that files only change their names. When
    the block fails, by a full disk for instance, ``folder`` stays as it was. Files of other names
    that lie there are left alone.

    Args:
        folder: made where it is missing.
        names: names of the files that make a set; those that the block did not write are removed.
        last: the one of them that stands for a complete set: removed first, and put in place last.
            None: each file stands for itself, and an earlier one stays until it is replaced.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = writable_folder(folder)
    partial = folder / f"{_START}{secrets.token_hex(4)}{_END}"
    partial.mkdir()
    try:
        with _named_in(folder, partial):
            yield partial
        written = sorted(path.name for path in partial.iterdir())
        if last is not None:
            (folder / last).unlink(missing_ok=True)
        for name in set(names) - set(written):
            remove(folder / name)
        for name in sorted(written, key=lambda name: name == last):
            take_place(partial / name, folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _named_in(folder: Path, partial: Path) -> Iterator[None]:
    """Errors name the file where the user will look for it."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and Path(error.filename).is_relative_to(partial):
            error.filename = str(folder / Path(error.filename).relative_to(partial))
        raise


@contextlib.contextmanager
def results_folder(folder: str | Path, patience_s: float = 0) -> Iterator[Path]:
    """A folder for this process alone: made if missing, without what a killed run left in it.

    Args:
        patience_s: how long to wait for another owner to end.

    Raises:
        InputError: it cannot be written, or another process works in it.
    """
    with owned_folder(writable_folder(folder), patience_s) as own:
        remove_leftovers(own)
        yield own


def take_place(source: Path, target: Path) -> None:
    """Moves a file or a folder to where an earlier one of that name may lie."""
    if source.is_dir():
        remove(target)
    os.replace(source, target)


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: str | Path) -> None:
    """Removes the hidden folders that killed runs left; call it as the folder's only user."""
    for path in Path(folder).glob(f"{_START}*{_END}"):
        shutil.rmtree(path, ignore_errors=True)
