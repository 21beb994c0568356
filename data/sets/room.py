"""Room on the disk, checked before a large file is written."""

import shutil
from pathlib import Path

from bayesdl_sim.utils.errors import InputError, writable_folder

__all__ = ["ADVICE", "in_bytes", "require_room"]

ADVICE = "set cache_dir to a folder with room that can be written"


def require_room(folder: Path, needed: int, what: str) -> None:
    """Makes the folder, and checks that `needed` bytes fit into it.

    Raises:
        InputError: it cannot be written, or has less room.
    """
    try:
        writable_folder(folder)
    except InputError as error:
        raise InputError(f"{folder} cannot be written, but {what} goes there: {ADVICE}") from error
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder} has {in_bytes(free)} free, but {what} takes {in_bytes(needed)}: {ADVICE}"
        )


def in_bytes(size: float) -> str:
    """A size with a unit in which it has one to three digits before the point."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
