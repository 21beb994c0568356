"""Progress of long work: a bar on a terminal, a line now and then in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

__all__ = ["Progress"]

LINE_EVERY_S = 10.0


class Progress:
    """Called with (done, total, what): a bar for each kind of work, or plain lines.

    A terminal gets a bar of its own for each kind of work. Where the output goes to a file, a bar
    would fill it with control characters: there, a line is printed every ten seconds, and none for
    work that is shorter.

    Args:
        name: name of what is worked on, the start of each line.
        clock: seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.clock, self.what = name, clock, None
        self.bar: tqdm | None = None
        self.began = self.said = clock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def __call__(self, done: int, total: int, what: str) -> None:
        if what != self.what:
            self.__exit__()
            self.what, self.began = what, self.clock()
        if sys.stderr.isatty():
            if self.bar is None:
                self.bar = tqdm(total=total, desc=f"{self.name}: {what}")
            self.bar.update(done - self.bar.n)
            return
        now = self.clock()
        if now - self.said >= LINE_EVERY_S:
            self.said = now
            left = (now - self.began) * (total - done) / done if done else 0.0
            rest = f", about {left:.0f} s left" if done else ""
            print(f"{self.name}: {what} {done} of {total}{rest}", flush=True)
