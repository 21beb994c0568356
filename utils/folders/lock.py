"""One owner per folder: an OS lock that a kill releases, and the owner's name for the others."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path

__all__ = ["owned_folder"]

LOCK, OWNER = ".in_use.lock", ".in_use.json"
NAMING_TRIES, NAMING_PAUSE_S = 20, 0.05
COMMAND_LENGTH = 120  # characters of a command line that a message shows


@contextlib.contextmanager
def owned_folder(folder: str | Path, patience_s: float = 0) -> Iterator[Path]:
    """Keeps a folder for this process alone while the block runs.

    The lock is the operating system's (`fcntl.flock`, on Windows `msvcrt.locking`): it ends with
    its process, however that ends, so that no leftover ever has to be removed by hand. Two hidden
    files stay in the folder; only the lock on the first one counts, the second names the owner.

    Args:
        folder: exists and can be written.
        patience_s: how long to wait for another owner to end.

    Raises:
        InputError: another process owns the folder; the message names it.
    """
    folder = Path(folder)
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=patience_s)
    except Timeout:
        raise InputError(
            f"{folder} is in use by {_owner(folder)}: wait until that has ended, or choose another "
            "folder"
        ) from None
    except NotImplementedError:  # a network drive without locks
        print(f"   {folder} lies on a drive without locks: start nothing else on it meanwhile")
        yield folder
        return
    try:
        facts = {"command": " ".join(sys.argv), "process": os.getpid(), "host": platform.node()}
        with atomic_path(folder / OWNER) as partial:
            partial.write_text(json.dumps(facts), encoding="utf-8")
        yield folder
    finally:
        # The file stays: removed, it could be locked by two processes, one of them on its ghost.
        with contextlib.suppress(OSError):
            (folder / OWNER).unlink()  # or the next owner would bear this name for a moment
        lock.release()


def _owner(folder: Path) -> str:
    """The owner of the folder, in one line; a new owner is given time to state its name."""
    for _ in range(NAMING_TRIES):
        try:
            facts = json.loads((folder / OWNER).read_text(encoding="utf-8"))
            command = textwrap.shorten(facts["command"], COMMAND_LENGTH, placeholder=" ...")
            return f"{command} (process {facts['process']} on {facts['host']})"
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            time.sleep(NAMING_PAUSE_S)
    return "another process"
