"""Number of threads and their way of waiting, set before PyTorch is loaded."""

from __future__ import annotations

import os
import sys

from bayesdl_sim.utils.console.allocation import reuse_freed_memory
from bayesdl_sim.utils.errors import InputError

__all__ = ["set_threads", "usable_cores"]

# Threads that wait for the slowest one hold their core by default. Where other programs use the
# cores too, most of the time is spent in that wait.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
MOST = 16  # more do not speed a single field up


def usable_cores() -> int:
    """Cores that this process may use, which a batch system or a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int | None = None) -> None:
    """Sets the environment that OpenMP reads when PyTorch is loaded, and how memory is reused.

    What the user has set there stays, unless a number of threads is given.

    Args:
        threads: None: as many as there are usable cores, at most 16.

    Raises:
        InputError: fewer than one thread.
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads: expected 1 or more, found {threads}")
    reuse_freed_memory()
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    if threads is not None:
        os.environ.update(dict.fromkeys(COUNTS, str(threads)))
    elif "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(min(usable_cores(), MOST))
    if threads is not None and "torch" in sys.modules:  # too late for the environment
        sys.modules["torch"].set_num_threads(threads)
