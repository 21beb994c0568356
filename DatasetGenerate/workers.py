"""Worker processes that end with the program that started them, even if it is killed."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

__all__ = ["worker_pool"]


def worker_pool(count: int) -> ProcessPoolExecutor:
    """A pool of at most `count` processes, none of which outlives its parent.

    A pool of the standard library leaves its workers alive when the parent is killed: they finish
    what they have, go on writing, and wait for more for ever.
    """
    return ProcessPoolExecutor(max(1, count), initializer=_end_with_parent)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent,), daemon=True).start()


def _wait_and_end(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()  # returns when the parent has ended, however it ended
    os._exit(1)  # at once: what is written under hidden names is not given its name any more
