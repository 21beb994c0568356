"""Exact percentiles of more values than fit into memory, from pieces that are read twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["percentiles_of"]

HALF = 16  # bits
AT_ONCE = 1 << 20  # values


def percentiles_of(
    pieces: Callable[[], Iterable[NDArray]], percentages: Sequence[float]
) -> list[float]:
    """Percentiles as `numpy.percentile` has them, linear between neighbouring values.

    Every float32 has a whole number of 32 bits that rises with it. The first reading counts the
    upper halves of these numbers; the second counts the lower ones, where a percentile lies.

    Args:
        pieces: gives all values in pieces of any shape, finite, at every call.
        percentages: 0..100.

    Raises:
        ValueError: there are no values.
    """
    upper = np.zeros(1 << HALF, np.int64)
    for keys in _all_keys(pieces()):
        upper += np.bincount(keys >> HALF, minlength=1 << HALF)
    total = int(upper.sum())
    if not total:
        raise ValueError("expected at least one value")
    places = [share / 100 * (total - 1) for share in percentages]
    ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
    before = np.concatenate([[0], np.cumsum(upper)])
    buckets = {rank: int(np.searchsorted(before, rank, side="right")) - 1 for rank in ranks}
    lower = {bucket: np.zeros(1 << HALF, np.int64) for bucket in buckets.values()}
    for keys in _all_keys(pieces()):
        heads = keys >> HALF
        for bucket, counts in lower.items():
            tails = keys[heads == bucket] & ((1 << HALF) - 1)
            counts += np.bincount(tails, minlength=1 << HALF)
    values = {}
    for rank, bucket in buckets.items():
        tail = int(np.searchsorted(np.cumsum(lower[bucket]), rank - before[bucket], side="right"))
        values[rank] = _value((bucket << HALF) | tail)
    return [_between(values, place) for place in places]


def _between(values: dict[int, float], place: float) -> float:
    low, high = values[math.floor(place)], values[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def _all_keys(pieces: Iterable[NDArray]) -> Iterator[NDArray[np.uint32]]:
    """Whole numbers that are sorted as the values are, not too many at once.

    They are the bits of the values: all of them turned for a negative one, else the sign bit.
    """
    for piece in pieces:
        values = np.ascontiguousarray(piece, np.float32).ravel()
        for start in range(0, values.size, AT_ONCE):
            bits = values[start : start + AT_ONCE].view(np.uint32)
            yield np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))


def _value(key: int) -> float:
    bits = key & 0x7FFFFFFF if key >> 31 else ~key & 0xFFFFFFFF
    return float(np.array(bits, np.uint32).view(np.float32))
