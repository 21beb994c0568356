"""One process that loads PyTorch for all workers of this computer, before they are needed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing import forkserver

__all__ = ["start_fork_server"]

METHOD = "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"  # read when dask is loaded
LOADED = ["distributed", "bayesdl_sim.commands.testing.run"]


def start_fork_server() -> None:
    """Starts to load what a worker needs, in a process that workers are then forked from.

    It does so while the calling process loads the same. A worker that dies is replaced at once.
    What cannot be loaded there, since the program was called from another folder, each worker loads
    for itself. Only on Linux, and not where the user has set another way to start workers.

    The workers ignore Ctrl-C, which a terminal sends to all processes: the calling one ends them.
    """
    if sys.platform != "linux" or os.environ.setdefault(METHOD, "forkserver") != "forkserver":
        return
    multiprocessing.set_forkserver_preload(LOADED)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a new process takes over
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
