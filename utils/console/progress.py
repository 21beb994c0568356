"""Progress of long work: a bar on a terminal, a line now and then in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

__all__ = ["Progress", "Report", "counted", "unreported"]

LINE_EVERY_S = 10.0

T = TypeVar("T")
Report = Callable[[int, int, str], None]  # (done, total, what)


def unreported(done: int, total: int, what: str) -> None:
    """Reports no progress."""


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
        self.name, self.clock, self.what, self.first = name, clock, None, 0
        self.bar: tqdm | None = None
        self.began = self.printed = clock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def __call__(self, done: int, total: int, what: str) -> None:
        if what != self.what:
            self.__exit__()
            self.what, self.began, self.first = what, self.clock(), done
        if sys.stderr.isatty():
            if self.bar is None:
                self.bar = tqdm(total=total, desc=f"{self.name}: {what}")
            self.bar.update(done - self.bar.n)
            return
        now = self.clock()
        if now - self.printed >= LINE_EVERY_S:
            self.printed = now
            rest = ""
            if done > self.first:
                left = (now - self.began) * (total - done) / (done - self.first)
                rest = f", about {left:.0f} s left"
            print(f"{self.name}: {what} {done} of {total}{rest}", flush=True)


def counted(
    items: Iterable[T], what: str, total: int | None = None, *, unit: str, done: int = 0
) -> Iterator[T]:
    """The items, one after the other, with the progress that `Progress` shows.

    Args:
        what: what is done, the start of each line.
        total: their number, with those that were done before; None: that of a sized collection.
        unit: what an item is.
        done: how many were done before.
    """
    if total is None:
        if not isinstance(items, Sized):
            raise TypeError(f"{what}: how many {unit}s there are has to be said")
        total = done + len(items)
    with Progress(what) as progress:
        progress(done, total, unit)
        for number, item in enumerate(items, start=done + 1):
            yield item
            progress(number, total, unit)
