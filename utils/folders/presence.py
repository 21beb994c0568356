"""Which unfinished work has a live process: each that takes part holds a lock in its folder."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["Presence", "is_at_work"]

_LOCKS = "*.lock"


class Presence:
    """This process's mark in a folder of unfinished work; it ends with the process, at the latest.

    Only the owner of the results' folder may enter, or look whether somebody is at work: between
    the look and what follows from it, nobody can enter.

    Args:
        folder: existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / f"at_work-{secrets.token_hex(4)}.lock", thread_local=False)
        with contextlib.suppress(NotImplementedError):  # a network drive without locks
            self._lock.acquire()

    def leave(self) -> None:
        """Ends it."""
        self._lock.release()


def is_at_work(folder: Path) -> bool:
    """Whether a live process holds any lock of a folder."""
    for path in folder.glob(_LOCKS):
        try:
            with FileLock(path, timeout=0, thread_local=False):
                pass
        except Timeout:
            return True
        except NotImplementedError:
            return False
    return False
