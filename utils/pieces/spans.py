"""Division of a long axis into pieces that are computed with some of their surroundings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

__all__ = ["Block", "Span", "Square", "blocks_of", "doubled", "spans_of"]

Square = tuple[slice, slice]


class Span(NamedTuple):
    """Which part to read, which part of that to keep, and where that lies; along one axis."""

    read: slice
    keep: slice
    write: slice


class Block(NamedTuple):
    """The same along rows and columns."""

    read: Square
    keep: Square
    write: Square

    @property
    def at_border(self) -> bool:
        """Whether what is read ends where an axis does."""
        sides = zip(self.read, self.keep, strict=True)
        return any(keep.start == 0 or keep.stop == read.stop - read.start for read, keep in sides)


def spans_of(length: int, longest: int, margin: int, step: int = 1) -> Iterator[Span]:
    """Pieces of about equal length, at most `longest` (rounded up to whole steps).

    They begin at whole steps; only the last one may end between them.

    Args:
        length: length of the axis.
        margin: read on either side of a piece, as far as the axis goes.
    """
    piece = -(-length // -(-length // longest))
    piece = -(-piece // step) * step
    for start in range(0, length, piece):
        stop = min(start + piece, length)
        first, last = max(start - margin, 0), min(stop + margin, length)
        yield Span(
            read=slice(first, last),
            keep=slice(start - first, stop - first),
            write=slice(start, stop),
        )


def blocks_of(shape: tuple[int, int], longest: int, margin: int, step: int = 1) -> list[Block]:
    """`spans_of` rows and columns, row of blocks by row of blocks."""
    rows, columns = (list(spans_of(length, longest, margin, step)) for length in shape)
    pairs = product(rows, columns)
    return [Block(*zip(row, column, strict=True)) for row, column in pairs]


def doubled(part: slice) -> slice:
    """The same part of an axis of twice as many pixels."""
    return slice(2 * part.start, 2 * part.stop)
