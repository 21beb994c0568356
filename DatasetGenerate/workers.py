"""Worker processes that end with the program that started them, even if it is killed."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from bayesdl_sim.utils.errors import InputError

__all__ = ["worker_pool"]


@contextmanager
def worker_pool(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of at most `count` processes, none of which outlives its parent.

    A pool of the standard library leaves its workers alive when the parent is killed: they finish
    what they have, go on writing, and wait for more for ever. After an error, what has not begun
    is not begun any more.

    Raises:
        InputError: a worker was killed.
    """
    with ProcessPoolExecutor(max(1, count), initializer=_end_with_parent) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process was killed, perhaps for lack of memory: run the same "
                "command again with fewer --workers; the cells that are written are kept"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent,), daemon=True).start()


def _wait_and_end(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()  # returns when the parent has ended, however it ended
    os._exit(1)  # at once: what is written under hidden names is not given its name any more
