"""Patches of one value in a single frame: padding, lost lines, text and scale bars.

A registration of single frames leaves borders of zeros, a time stamp changes from frame to frame.
Such a patch ends in a step that neither noise nor a lens makes. A background that was cut, photons
counted in dim light, and saturation hold patches of one value, too, but around them the values come
close to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["SMALLEST", "flat_pixels", "patches_of_one_value"]

SMALLEST = 12  # pixels of one value side by side; of rounded counts a few agree by chance
MOST_LEVELS = 16  # of a frame, and patches of a level, that are looked at; no gap has more
MOST_PATCHES = 64
AROUND = slice(2, 5)  # raw pixels beyond a patch, where light and noise are measured
# Of the pixels beside a patch, and by how many standard deviations of the noise they have to differ
# from it. At most 0.4 do where a background was cut, or photons were counted.
FAR_SHARE, FAR_SIGMA = 0.8, 4.0
# Of the step from the light around to a bright patch: how far the pixels beside it may lie above
# that light. Beside saturated structure, where a lens spreads the light, it is 0.15 or more.
SPREAD = 0.1
MOST_AROUND = 0.5  # of the three lines beside lines of one value: pixels that have it, too
LINES = 3
SQUARE = np.ones((3, 3), bool)

Mask = NDArray[np.bool_]


def patches_of_one_value(frame: NDArray, broken: Mask) -> Mask:
    """Mask (H, W) of the patches of one value that are no data.

    They hold at least 12 pixels, in squares of four or in runs of twelve. Either nearly all pixels
    beside a patch differ from it by four standard deviations of the noise, and beside a bright one
    there is no light that a lens spread. Or the patch consists of whole rows or columns, and the
    lines beside them are of other values.

    Args:
        frame: (H, W) counts.
        broken: (H, W), pixels whose value means nothing.
    """
    found = np.zeros(frame.shape, bool)
    flat = flat_pixels(frame) & ~broken
    if flat.sum() < SMALLEST:
        return found
    levels, counts = np.unique(frame[flat], return_counts=True)
    kept = frame[~broken]
    ends, noise = (kept.min(), kept.max()), cache(lambda: _noise(frame, ~broken))
    for index in np.argsort(-counts)[:MOST_LEVELS]:
        if counts[index] < SMALLEST:
            break
        at_level = (frame == levels[index]) & ~broken
        if not at_level[~broken].all():
            found |= _whole_lines(at_level) | _whole_lines(at_level.T).T
            found |= _steep_patches(frame, at_level, flat, levels[index] in ends, noise)
    return found


def flat_pixels(frame: NDArray) -> Mask:
    """Pixels (H, W) in a square of four, or in a run of 12 along a line, of one value."""
    flat = np.zeros(frame.shape, bool)
    right, below = frame[:, 1:] == frame[:, :-1], frame[1:] == frame[:-1]
    square = right[1:] & right[:-1] & below[:, 1:]
    parts = (slice(1, None), slice(None, -1))
    for rows in parts:
        for columns in parts:
            flat[rows, columns] |= square
    _mark_runs(flat, right)
    _mark_runs(flat.T, below.T)
    return flat


def _mark_runs(flat: Mask, tied: Mask) -> None:
    """Marks runs of 12 pixels along the rows, whose neighbours are tied."""
    runs, length = tied, 1
    while length < SMALLEST - 1:
        step = min(length, SMALLEST - 1 - length)
        if runs.shape[1] <= step:
            return
        runs, length = runs[:, :-step] & runs[:, step:], length + step
    if runs.any():
        for start in range(SMALLEST):
            flat[:, start : start + runs.shape[1]] |= runs


def _whole_lines(at_level: Mask) -> Mask:
    """Rows of one value between others in which at most half of the pixels have it."""
    found, whole = np.zeros_like(at_level), at_level.all(axis=1)
    if at_level.shape[1] < SMALLEST or not whole.any():
        return found
    share = at_level.mean(axis=1)
    steps = np.diff(np.concatenate([[0], whole.astype(int), [0]]))
    for first, stop in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        beside = [share[max(first - LINES, 0) : first], share[stop : stop + LINES]]
        if max(part.mean() for part in beside if len(part)) < MOST_AROUND:
            found[first:stop] = True
    return found


def _steep_patches(
    frame: NDArray, at_level: Mask, flat: Mask, at_end: bool, noise: Callable[[], float]
) -> Mask:
    """The patches among the pixels of a level that end in a step.

    Args:
        at_end: whether it is the smallest or largest value. Then parts that lie two pixels from
            each other make one patch, as the letters of a text do.
        noise: see `_is_steep`.
    """
    found = np.zeros_like(at_level)
    near = ndimage.binary_dilation(at_level, SQUARE) if at_end else at_level
    labels, count = ndimage.label(near, SQUARE)
    sizes = np.bincount(labels[at_level & flat], minlength=count + 1)
    sizes[0] = 0
    if sizes.max() < SMALLEST:
        return found
    boxes = ndimage.find_objects(labels)
    for label in np.argsort(-sizes)[:MOST_PATCHES]:
        if sizes[label] < SMALLEST:
            break
        sides, margin = boxes[label - 1], AROUND.stop + 1
        box = tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in sides)
        patch = at_level[box] & (labels[box] == label)
        if _is_steep(frame[box], patch, at_level[box], noise):
            found[box] |= patch
    return found


def _is_steep(frame: NDArray, patch: Mask, at_level: Mask, noise: Callable[[], float]) -> bool:
    """Whether a patch ends in a step that neither noise nor a lens makes.

    Args:
        noise: gives that of the frame, for patches around which there is none.
    """
    level = frame[patch][0]
    beside = ndimage.binary_dilation(patch, SQUARE) & ~at_level
    within = ndimage.binary_dilation(patch, SQUARE, AROUND.start) | at_level
    around = ndimage.binary_dilation(patch, SQUARE, AROUND.stop) & ~within
    if not beside.any() or not around.any():
        return False
    sigma = _noise(frame, around) or noise()
    values, light = frame[beside], float(frame[around].mean())
    if not sigma > 0 or (np.abs(values - level) > FAR_SIGMA * sigma).mean() < FAR_SHARE:
        return False
    return level <= light or values.mean() - light < SPREAD * (level - light)


def _noise(frame: NDArray, where: Mask) -> float:
    """Standard deviation of the noise, from neighbours in a row; 0 where most are alike."""
    pairs = where[:, 1:] & where[:, :-1]
    steps = np.abs(np.diff(frame, axis=1)[pairs])
    return float(np.median(steps)) / (0.6745 * 2**0.5) if steps.size else 0.0
