"""Work that survives a kill: what has been finished, and what was begun and can continue.

Two hidden things lie in a folder of results. `.finished.json` names the work whose result is there
and its files; without it, or with another identity, the result has to be made. `.unfinished/` holds
the files of work that was begun, until all of them take their places together.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.folders.differences import difference
from bayesdl_sim.utils.folders.presence import is_at_work
from bayesdl_sim.utils.folders.staging import remove, take_place

__all__ = [
    "begun",
    "complete",
    "discard",
    "forget",
    "has_result",
    "is_complete",
    "is_finished",
    "mark_finished",
    "other_work",
    "require_idle",
    "require_own",
    "unfinished_folder",
]

FINISHED, UNFINISHED = ".finished.json", ".unfinished"
BEGUN, COMPLETE = "begun.json", "complete.json"


def is_finished(folder: str | Path, identity: str) -> bool:
    """Whether the result of this very work lies in the folder, with all of its files."""
    record = _read(Path(folder) / FINISHED)
    if record.get("identity") != identity:
        return False
    return all(_size(Path(folder) / name) == size for name, size in record["files"].items())


def has_result(folder: str | Path) -> bool:
    """Whether a finished result of any identity lies in the folder."""
    return (Path(folder) / FINISHED).is_file()


def mark_finished(folder: str | Path, identity: str, names: Iterable[str]) -> None:
    """Says that the files of these names in the folder are the whole result of this work."""
    folder = Path(folder)
    files = {name: _size(folder / name) for name in sorted(names)}
    write_json(folder / FINISHED, {"identity": identity, "files": files})


def forget(folder: str | Path) -> None:
    """Marks that the folder holds no finished result, before any of its files changes.

    Work whose files were only to take their places is discarded.
    """
    (Path(folder) / FINISHED).unlink(missing_ok=True)
    if (Path(folder) / UNFINISHED / COMPLETE).exists():
        shutil.rmtree(Path(folder) / UNFINISHED, ignore_errors=True)


def unfinished_folder(
    folder: str | Path, identity: str, settings: Mapping[str, Any] | None = None
) -> Path:
    """The hidden folder of work that was begun, made where there is none.

    What was begun with another identity is removed, unless a process is at work on it. Only the
    owner of the folder may call this.

    Args:
        settings: what the identity is a hash of; it is kept for messages.

    Raises:
        InputError: another process is at work on something else; its folder cannot be removed.
    """
    partial = writable_folder(folder) / UNFINISHED
    if begun(folder) != identity:
        require_idle(folder, identity, settings)
        shutil.rmtree(partial, ignore_errors=True)
        if partial.exists():
            raise InputError(f"{partial} cannot be removed: close what uses it, then run again")
        partial.mkdir()
        write_json(partial / BEGUN, {"identity": identity, "settings": settings})
    return partial


def discard(folder: str | Path) -> None:
    """Removes the unfinished work; only for the owner of the folder, with nobody at work on it."""
    shutil.rmtree(Path(folder) / UNFINISHED, ignore_errors=True)


def other_work(
    folder: str | Path, identity: str, settings: Mapping[str, Any] | None = None
) -> str | None:
    """The first setting of unfinished work with another identity that differs; None without any."""
    record = _read(Path(folder) / UNFINISHED / BEGUN)
    if record.get("identity") in (None, identity):
        return None
    return difference(record.get("settings"), settings)


def require_idle(
    folder: str | Path, identity: str, settings: Mapping[str, Any] | None = None
) -> None:
    """`InputError` if a process is at work on an unfinished result with another identity.

    Only the owner of the folder may call this.
    """
    other = other_work(folder, identity, settings)
    if other is not None and is_at_work(Path(folder) / UNFINISHED):
        raise InputError(
            f"{folder}: another run is at work on this result with other settings: {other}; give "
            "the same settings, wait until it has ended, or choose another folder"
        )


def require_own(
    folder: str | Path, identity: str, settings: Mapping[str, Any] | None = None
) -> None:
    """`InputError` if the unfinished work is no longer the one with this identity."""
    if begun(folder) == identity:
        return
    other = other_work(folder, identity, settings)
    reason = f"another run has begun with other settings: {other}" if other else "it was deleted"
    raise InputError(
        f"{folder}: the unfinished work of this run is gone, {reason}; nothing more is written; "
        "choose another folder, or run this again when the other has ended"
    )


def begun(folder: str | Path) -> str | None:
    """The identity of the work that was begun in a folder; None where there is none."""
    return _read(Path(folder) / UNFINISHED / BEGUN).get("identity")


def is_complete(folder: str | Path, identity: str) -> bool:
    """Whether all files of this work are written and only have to take their places.

    Some may have done so already: nothing but `complete` may touch them any more.
    """
    return begun(folder) == identity and (Path(folder) / UNFINISHED / COMPLETE).exists()


def complete(
    folder: str | Path,
    names: Collection[str],
    last: str,
    written: Iterable[str],
    changeable: Collection[str] = (),
) -> None:
    """Moves the files of the unfinished work into place; it can be called again after a kill.

    Args:
        folder: folder of the results.
        names: names of all files that a result may have; those that this one has not are removed.
        last: the one of them that stands for the whole: removed first, and put in place last.
        written: names of the files, or folders, of this result, which lie in the hidden folder.
        changeable: those of them that a user may change: the result is finished all the same.
    """
    folder = Path(folder)
    partial = folder / UNFINISHED
    identity = _read(partial / BEGUN)["identity"]
    if not (partial / COMPLETE).exists():
        write_json(partial / COMPLETE, {"files": sorted(written)})
    written = _read(partial / COMPLETE)["files"]
    (folder / FINISHED).unlink(missing_ok=True)
    if (partial / last).exists():
        (folder / last).unlink(missing_ok=True)
    for name in set(names) - set(written):
        remove(folder / name)
    for name in sorted(written, key=last.__eq__):
        if (partial / name).exists():
            take_place(partial / name, folder / name)
    mark_finished(folder, identity, set(written) - set(changeable))
    shutil.rmtree(partial, ignore_errors=True)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; -1 for nothing there."""
    if path.is_dir():
        return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    return path.stat().st_size if path.is_file() else -1


def _read(path: Path) -> dict[str, Any]:
    """A hidden record; empty where there is none, or where it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
