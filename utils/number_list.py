"""Lists of numbers as people write them: `1-3,7` or, up to the last there is, `11-`."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["numbers_of", "ranges_in"]

Range = tuple[int, int | None]


def ranges_in(words: str) -> list[Range]:
    """First and last number of each piece of a list such as `1-5,8,11-`; None: to the end.

    Raises:
        ValueError: not such a list, or a range that falls.
    """
    ranges: list[Range] = []
    for piece in words.split(","):
        match = re.fullmatch(r"(\d{1,7})(-?)(\d{0,7})", piece.strip())
        if not match or (match[3] and not match[2]):
            raise ValueError(words)
        first = int(match[1])
        last = int(match[3]) if match[3] else None if match[2] else first
        if last is not None and last < first:
            raise ValueError(words)
        ranges.append((first, last))
    return ranges


def numbers_of(ranges: Iterable[Range]) -> list[int]:
    """Every number of closed ranges, in the order in which they are named.

    Raises:
        ValueError: a range has no end.
    """
    numbers: list[int] = []
    for first, last in ranges:
        if last is None:
            raise ValueError(f"{first}-")
        numbers += range(first, last + 1)
    return numbers
