"""Whether an array can be raw camera counts, and what is odd about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bayesdl_sim.data.layouts import MIN_SIZE
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "CountFacts",
    "check_counts",
    "count_facts",
    "count_warnings",
    "counts_or_fault",
    "facts_by_time",
    "is_too_many",
]

# Counts: the largest of a 32-bit integer file. No camera's frames hold more, nor sums of many; far
# beyond, products of a few values leave the range of 32-bit arithmetic.
LARGEST = float(2**32)
SHIFT = 32768  # counts by which "signed 16-bit" files of ImageJ lie below what the camera gave
MOST_NEGATIVE = 0.5  # share of the values; more is no camera's read noise
MOST_WITHOUT_DATA = 0.5  # share of the pixels
WRAPPED = (-1000, 30000)  # counts: 16-bit values that ran over reach from here to there
MANY_NEGATIVE = 0.05  # share of the values
TOO_MANY = 0.5  # of the time points, from which on those without counts refuse the series


class CountFacts(NamedTuple):
    """Shares of a stack's values, or of those of one time point, that are odd.

    Attributes:
        negative: below zero.
        missing: share of the pixels that hold no data, NaN.
    """

    negative: float
    missing: float


def check_counts(frames: np.ndarray, path: str | Path, gaps: bool = False) -> None:
    """Refuses what cannot be raw camera counts.

    Slightly negative values are what a calibrated camera gives, offset subtracted.

    Args:
        frames: (n, H, W), any type.
        path: named in the message.
        gaps: whether pixels may hold no data, NaN, in up to half of the field.

    Raises:
        InputError: frames under 16 px, infinite values or NaN, values beyond 32 bits, mostly
            negative ones, an integer overflow, a constant frame, exchanged bytes.
    """
    height, width = frames.shape[-2:]
    if min(height, width) < MIN_SIZE:
        raise InputError(
            f"{path} holds frames of {height}x{width} px, but at least {MIN_SIZE}x{MIN_SIZE} px "
            "are needed: check that it is an image stack"
        )
    lowest, highest = frames.min(axis=(-2, -1)), frames.max(axis=(-2, -1))  # NaN stays NaN
    odd = ~(np.isfinite(lowest) & np.isfinite(highest))
    if odd.any():
        if not gaps:
            raise _not_finite(odd, path)
        lowest, highest = _limits_beside_gaps(frames, odd, path)
    largest = max(-float(lowest.min()), float(highest.max()))
    if largest > LARGEST:
        raise InputError(
            f"{path} holds values up to {largest:.3g}, but camera counts of at most {LARGEST:.2g} "
            "(32 bits) were expected: were the frames multiplied, or is this not raw data? Save "
            "the raw data again, or divide all frames by one number"
        )
    if (lowest < 0).any():
        _check_negative(frames, lowest, highest, path)
    if (lowest == highest).any():
        frame = _first(lowest == highest)
        raise InputError(
            f"{path} is empty or constant in image {frame} (every pixel is "
            f"{lowest[frame - 1]:g}): check that all nine frames were recorded"
        )
    if _bytes_exchanged(frames[0]):
        raise InputError(
            f"{path} was stored with the other byte order: the low bytes of its 16-bit values have "
            "the few values that high bytes have; import the raw data again as little-endian, or "
            "as big-endian if it was that"
        )


def count_facts(frames: np.ndarray, path: str | Path) -> CountFacts:
    """Checks frames (n, H, W) of counts with `check_counts`, and measures their oddities."""
    check_counts(frames, path, gaps=True)
    return CountFacts(
        negative=float(np.mean(frames < 0)),
        missing=float(np.mean(np.isnan(frames).any(axis=0))),
    )


def counts_or_fault(frames: np.ndarray) -> CountFacts | str:
    """Facts about the frames (9, H, W) of one time point of a series, or why they are no counts."""
    try:
        return count_facts(frames, "it")
    except InputError as error:
        return str(error)


def facts_by_time(frames: np.ndarray, path: str | Path) -> tuple[list[CountFacts], dict[int, str]]:
    """Facts about frames (T, 9, H, W), and the time points that hold no counts, with the reason.

    Raises:
        InputError: as `check_counts`, where these are too many of a series.
    """
    try:
        return [count_facts(frames.reshape(-1, *frames.shape[2:]), path)], {}
    except InputError:
        checked = [counts_or_fault(one) for one in frames]
        faults = {t: one for t, one in enumerate(checked) if isinstance(one, str)}
        if not faults or is_too_many(len(faults), len(frames)):
            raise
        return [one for one in checked if isinstance(one, CountFacts)], faults


def is_too_many(faulty: int, times: int) -> bool:
    """Whether the fault is that of the series, and not of some of its time points."""
    return faulty >= TOO_MANY * times


def count_warnings(facts: Sequence[CountFacts]) -> list[str]:
    """Possible faults of a stack, in sentences for people.

    Args:
        facts: facts of the whole, or one by one of its time points.
    """
    negative, missing = np.mean(facts, axis=0)
    warnings = []
    if negative > MANY_NEGATIVE:
        warnings.append(
            f"{negative:.0%} of the values are negative, more than read noise makes: do not "
            "subtract the background"
        )
    if missing:
        warnings.append(f"{missing:.1%} of the pixels hold no data (NaN)")
    return warnings


def _bytes_exchanged(frame: np.ndarray) -> bool:
    """Whether the two bytes of 16-bit counts were read in the wrong order.

    Of camera counts, the low bytes take all values and the high bytes a few adjacent ones. Counts
    that share one high byte come out as a multiple of what they were, which does no harm.
    """
    values = frame[np.isfinite(frame)] if frame.dtype.kind == "f" else frame.ravel()
    if not values.size or values.min() < 0 or float(values.max()) > 65535:
        return False
    whole = values.astype(np.uint16)
    if not np.array_equal(whole, values):
        return False
    low, high = np.unique(whole & 255), np.unique(whole >> 8)
    adjacent = low[-1] - low[0] + 1 == len(low)
    return bool(len(low) > 1 and adjacent and 2 * len(low) <= len(high))


def _check_negative(
    frames: np.ndarray, lowest: np.ndarray, highest: np.ndarray, path: str | Path
) -> None:
    first = _first(lowest < 0)
    whole = frames.dtype.kind == "i"
    if whole and lowest.min() < WRAPPED[0] and highest.max() > WRAPPED[1]:
        raise InputError(
            f"{path} holds counts from {lowest.min():g} to {highest.max():g}, as when bright "
            f"pixels run over the largest signed number (first in image {first}): save the raw "
            "data as uint16"
        )
    if float(np.mean(frames < -SHIFT / 2)) > MOST_NEGATIVE and lowest.min() >= -SHIFT:
        raise InputError(
            f"{path} holds counts from {lowest.min():g} to {highest.max():g}, as when a program "
            f"stored unsigned counts as signed 16-bit numbers (ImageJ: signed 16-bit): add {SHIFT} "
            "to every value, or save the raw data as uint16"
        )
    share = float(np.mean(frames < 0))
    if share > MOST_NEGATIVE:
        raise InputError(
            f"{path} holds negative counts in {share:.0%} of its pixels (down to "
            f"{lowest.min():g}, first in image {first}): SIM frames are camera counts, 0 or more "
            "apart from read noise; do not subtract the background"
        )


def _limits_beside_gaps(
    frames: np.ndarray, odd: np.ndarray, path: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each frame without its NaN."""
    if np.isinf(frames).any():
        raise _not_finite(odd, path)
    missing = np.isnan(frames).any(axis=0)
    if missing.mean() > MOST_WITHOUT_DATA:
        raise InputError(
            f"{path} holds no data (NaN) in {missing.mean():.0%} of its pixels: crop it to the "
            "part that was recorded"
        )
    return np.nanmin(frames, axis=(-2, -1)), np.nanmax(frames, axis=(-2, -1))


def _not_finite(odd: np.ndarray, path: str | Path) -> InputError:
    return InputError(
        f"{path} holds NaN or infinite values in image {_first(odd)}: SIM frames are camera "
        "counts; save the raw data again"
    )


def _first(flags: np.ndarray) -> int:
    return int(np.argmax(flags)) + 1  # people count images from 1
