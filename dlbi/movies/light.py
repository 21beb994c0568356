"""Frames whose light is not that of their neighbours: shutters, flashes, alternating excitation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bayesdl_sim.dlbi.movies.reading import FEWEST, Movie
from bayesdl_sim.dlbi.movies.survey import Survey
from bayesdl_sim.utils.errors import InputError

__all__ = ["odd_light", "without_odd_frames"]

# Frames on either side of a frame whose median is the usual light. Bleaching within them is a small
# part of the light, and bright frames at the beginning of a movie are fewer.
HALF = 20
FEWEST_COMPARED = 10  # frames; of fewer nobody can say what is usual
# Least change of the light above the darkest pixels, as a share of it, and in standard deviations
# of the other frames. Of 90 random movies without a fault none had a frame beyond 0.7 of both
# dark limits, or 0.8 of both bright ones (few fluorophores in a small field: emissions of some of
# them make a bright frame, but nothing makes a dark one). A black frame of a movie with usual
# blinking has a change of -1 and 10 to 300 deviations.
DARKENED, DARK_SIGMAS = -0.5, 5.0
BRIGHT, BRIGHT_SIGMAS = 1.0, 16.0
# Median difference between a frame and its neighbours, as a share of the light. It was at most 0.32
# in the same movies, and above 1 in most of them when every second frame was black.
ALTERNATING = 0.5
MOST_ODD = 0.1  # share of the frames that may be left out
LEAST_MOST = 2  # frames that may be left out of a short movie
TINY = 1e-9  # counts and shares, against a division by zero
FLANK = 0.5  # share of both limits that a frame beside such a frame has to exceed
MOST_NAMED = 4  # runs of frames in a message


def without_odd_frames(movie: Movie, seen: Survey) -> tuple[Movie, list[str]]:
    """The movie without repeated, dark and bright frames, and sentences that name them.

    Returns:
        The movie itself where there are none.

    Raises:
        InputError: many frames are dark or bright, or every second one is.
    """
    repeated = np.flatnonzero(seen.repeated.numpy())
    kept = np.flatnonzero(~seen.repeated.numpy())
    if len(kept) < FEWEST:  # a constant movie, which other checks refuse
        return movie, []
    dark, bright = odd_light(seen.tiles.numpy()[kept], seen.floor, movie.name)
    odd = [("dark", kept[dark]), ("bright", kept[bright])]
    count = len(dark) + len(bright)
    if count > max(MOST_ODD * len(kept), LEAST_MOST):
        listed = " and ".join(named_frames(frames, what) for what, frames in odd if len(frames))
        raise InputError(
            f"{movie.name}: {count} of {len(kept)} frames have another light than the rest "
            f"({listed}): save those of one illumination as a movie of their own"
        )
    notes = []
    if len(repeated):
        of = "1 frame repeats" if len(repeated) == 1 else f"{len(repeated)} frames repeat"
        first = f"{'' if len(repeated) == 1 else 'the first is '}frame {repeated[0] + 1}"
        notes.append(f"{of} the one before ({first}): left out")
    notes += [f"{named_frames(frames, what)}: left out" for what, frames in odd if len(frames)]
    left_out = [*repeated, *kept[dark], *kept[bright]]
    return (movie.without([int(frame) for frame in left_out]) if left_out else movie), notes


def odd_light(
    tiles: NDArray[np.float64], floor: float, name: str = "movie"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the dark and of the bright frames.

    Each tile of the field is compared with its own course, the running median, since bleaching and
    a slow lamp are normal. The median over the tiles then counts: fluorophores that happen to emit
    change a few tiles, a shutter changes all.

    Args:
        tiles: (T, n) mean counts of n parts of the field.
        floor: counts of the darkest pixels.

    Raises:
        InputError: every second frame is dark.
    """
    if len(tiles) < FEWEST_COMPARED:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    course = _running_median(tiles)
    light = np.maximum(course - floor, TINY)
    change = np.median((tiles - course) / light, axis=1)
    sigma = np.maximum(1.48 * _running_median(np.abs(change)), TINY)
    beside = (tiles[1:-1] - (tiles[:-2] + tiles[2:]) / 2) / light[1:-1]
    jump = float(np.median(np.abs(np.median(beside, axis=1))))
    if jump > ALTERNATING:
        raise InputError(
            f"{name}: the light of a frame differs from that of its neighbours by "
            f"{100 * jump:.0f} % (median), as where every second frame is dark or has another "
            "excitation: save the frames of one illumination as a movie of their own"
        )
    dark = np.minimum(change / DARKENED, -change / (DARK_SIGMAS * sigma))
    bright = np.minimum(change / BRIGHT, change / (BRIGHT_SIGMAS * sigma))
    return _beyond_limit(dark), _beyond_limit(bright)


def named_frames(frames: Sequence[int] | NDArray[np.int64], what: str) -> str:
    """Subject and verb of a sentence on frames, numbered from 0: "frames 1 to 6 are bright"."""
    ends = [-1, *(n for n, (a, b) in enumerate(pairwise(frames)) if b > a + 1), len(frames) - 1]
    runs = [(frames[a + 1] + 1, frames[b] + 1) for a, b in pairwise(ends)]
    listed = ", ".join(
        f"{first}" if first == last else f"{first} to {last}" for first, last in runs[:MOST_NAMED]
    )
    more = " and more" if len(runs) > MOST_NAMED else ""
    if len(frames) == 1:
        return f"frame {listed} is {what}"
    return f"frames {listed}{more} are {what}"


def _beyond_limit(excess: NDArray[np.float64]) -> NDArray[np.int64]:
    """Frames beyond 1, and those beside them that are beyond `FLANK`."""
    labels, _ = ndimage.label(excess > FLANK)
    return np.flatnonzero(np.isin(labels, np.unique(labels[excess > 1])) & (labels > 0))


def _running_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the frames around each frame, of (T, ...)."""
    starts = range(-HALF, len(values) - HALF)
    windows = (values[max(start, 0) : start + 2 * HALF + 1] for start in starts)
    return np.array([np.median(window, axis=0) for window in windows])
