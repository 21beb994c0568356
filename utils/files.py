"""Files that are either whole or absent, and the few formats every room writes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bayesdl_sim.utils.errors import InputError, is_short_write, require_file

__all__ = ["atomic_path", "naming", "read_json", "sha256", "write_json"]

_STALE_AFTER_S = 24 * 3600


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place once the block has succeeded.

    A reader sees the old file or the new one, never half of one: the new bytes are on the disk
    before the name changes. When the block fails, the old file stays and the temporary one goes.
    The temporary name is hidden, and keeps the suffix because writers choose their format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # Unique, so that two runs that write the same file never share the temporary one.
    partial = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        with naming(path):
            yield partial
            with open(partial, "rb+") as handle:
                os.fsync(handle.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Adds the file name to errors of the system that do not name the file.

    A full disk shows when bytes are written, where the name is forgotten; NumPy even forgets why.
    """
    try:
        yield
    except OSError as error:
        if is_short_write(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _remove_leftovers(path: Path) -> None:
    """Removes what a killed run left behind; only old ones, another run may be at work."""
    start, end = f".{path.stem}.", f".partial{path.suffix}"
    for other in path.parent.iterdir():
        if other.name.startswith(start) and other.name.endswith(end):
            with contextlib.suppress(OSError):
                if time.time() - other.stat().st_mtime > _STALE_AFTER_S:
                    other.unlink()


def write_json(path: str | Path, payload: dict[str, Any]) -> None:
    """Writes a dictionary as JSON: sorted keys, indented by 2, whole or not at all."""
    text = json.dumps(payload, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: str | Path) -> dict[str, Any]:
    """Reads a dictionary back.

    Raises:
        InputError: when the file is missing, is not JSON or does not hold a dictionary.
    """
    path = require_file(path, "JSON file")
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:  # 100,000 brackets
        raise InputError(
            f"{path} is not valid JSON (nested too deeply); restore it or delete it and make it "
            "again"
        ) from None
    except ValueError as error:  # also text that is not UTF-8, and numbers of over 4300 digits
        raise InputError(
            f"{path} is not valid JSON ({str(error)[:120]}); restore it or delete it and make it "
            "again"
        ) from None
    if not isinstance(payload, dict):
        raise InputError(
            f"{path}: expected a JSON object {{...}}, found a {type(payload).__name__}; "
            "restore it or delete it and make it again"
        )
    return payload


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file in hexadecimal, read in pieces so that size does not matter."""
    path = require_file(path, "file")
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
