"""Finds the order of raw frames from their fringes.

A wrong order makes no error anywhere later, only bad networks and bad images; the fringes show it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
import torch

from bayesdl_sim.data.frame_order import ORDERS, FrameOrder
from bayesdl_sim.data.frames import FramesOnDisk
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.frames.fringe_search import (
    FringeGroup,
    FringeSearch,
    search_fringes,
)
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.patterns.scores import ANNULUS
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.pieces.brightest import brightest_square

__all__ = ["check_order", "fringe_peak", "in_proved_order", "ordered", "proved_order"]

HIGH_PASS = 0.06  # cycles per raw pixel
SEARCHED_FIELD = 512  # raw pixels a side; more would cost more and prove no more
TURN_DEG = 12.0  # how far fringes may be from 60 degrees between orientations
SAME_FREQUENCY = 1.25  # ratio of the frequencies of two orientations of one stand
# On stacks of noise the peaks of the two orders differ by up to 1.2, and none reaches 5; on stacks
# with fringes the right order is 1.5 to 3 times higher.
CLEAR_PEAK = 5.0
CLEAR_RATIO = 1.35


def fringe_peak(triples: np.ndarray) -> float:
    """Height of the fringe peak over its background, with the frames grouped as stated.

    With Z the mean of the M phases of an orientation and F = mean_m frame_m exp(2 pi i m / M),

        F conj(Z) = modulation / 2 |object|^2 exp(i k r),

    the spectrum of which has one peak, at k. Grouped wrongly, F holds the fringes of all
    orientations with both signs, each at a fraction 1 / N of the height.

    Args:
        triples: counts (N, M, H, W).

    Returns:
        Root mean square over the N orientations of peak / median within the annulus.
    """
    frames = triples.astype(np.float32)
    frames -= np.percentile(frames, 0.1)
    frames /= np.maximum(frames.mean(axis=(-2, -1), keepdims=True), 1e-6)
    height, width = frames.shape[-2:]
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    high_pass = 1 - np.exp(-0.5 * (radius / HIGH_PASS) ** 2)
    annulus = (radius > ANNULUS[0]) & (radius < ANNULUS[1])
    turns = np.exp(2j * np.pi * np.arange(frames.shape[1]) / frames.shape[1])
    squares = []
    for phases in frames:
        first = np.tensordot(turns, phases, 1) / len(turns)
        first, zero = (
            np.fft.ifft2(np.fft.fft2(band * window) * high_pass)
            for band in (first, phases.mean(axis=0))
        )
        spectrum = np.abs(np.fft.fft2(first * zero.conj()))[annulus]
        squares.append((spectrum.max() / max(np.median(spectrum), 1e-12)) ** 2)
    return float(np.sqrt(np.mean(squares)))


def check_order(stacks: list[np.ndarray], order: FrameOrder, name: str) -> str:
    """Compares the fringes in the stated order with those in the other one.

    Args:
        stacks: frames (N M, H, W) in file order, some of the set.
        order: order that the user states.
        name: the first of the files, for the message.

    Returns:
        Result of the comparison: "confirmed by the fringes", or "fringes too weak to tell".

    Raises:
        InputError: the fringes clearly follow the other order.
    """
    if min(order.orientations, order.phases) < 2:
        return "not checked: there is only one orientation or phase"
    stated, other = (
        np.array([fringe_peak(way.triples(frames)) for frames in stacks])
        for way in (order, order.other)
    )
    ratio = float(np.exp(np.median(np.log(stated / other))))
    if ratio < 1 / CLEAR_RATIO and np.median(other) > CLEAR_PEAK:
        raise InputError(
            f"{name}: the fringes do not follow the order {order.order}; they fit "
            f"{order.other.order} ({1 / ratio:.1f} times clearer): name that order, or, if you are "
            "sure of yours, set check_order to False"
        )
    if ratio > CLEAR_RATIO and np.median(stated) > CLEAR_PEAK:
        return "confirmed by the fringes"
    return "fringes too weak to tell"


def proved_order(raw: np.ndarray, device: torch.device | str = "cpu") -> tuple[int, ...] | None:
    """The order that the fringes prove, if it differs from the stated one.

    Frames that show the same wave vector belong to one orientation. The order is proved if every
    frame is in a group of three, or if two groups of three leave three frames over, and if the
    wave vectors of the groups are those of one stand: about 60 degrees apart and about equally
    long. Phases within an orientation need no order: they are estimated, and any order of three
    steps of 120 degrees is one of two senses of turning.

    Args:
        raw: counts (9, H, W) in the stated order.
        device: where to search.

    Returns:
        For each place the number, from 0, of the frame that belongs there, with as few frames moved
        as possible. None where the stated order may be right: it is proved, or the fringes are not
        visible in enough frames.

    Raises:
        InputError: more than three frames of an orientation follow each other: not 3 x 3 frames.
    """
    return _order_of(_search(raw, device))


def _search(raw: np.ndarray, device: torch.device | str = "cpu") -> FringeSearch | None:
    """The search for fringes in the brightest part of frames (9, H, W); None without noise."""
    frames = torch.as_tensor(raw).to(device)
    square = brightest_square(frames.nan_to_num(), SEARCHED_FIELD)
    stack = MeasuredFrames(frames[:, *square])
    if not stack.noise(TYPICAL_OPTICS) > 0:
        return None
    return search_fringes(stack, TYPICAL_OPTICS)


def _order_of(search: FringeSearch | None) -> tuple[int, ...] | None:
    groups = [] if search is None else search.groups()
    _refuse_five_phases(groups)
    triples = [group for group in groups if len(group.frames) == 3]
    if len(triples) < 2 or len(groups) > 3 or not _of_one_stand(triples):
        return None
    sets = [set(group.frames) for group in triples]
    if len(sets) == 2:
        sets.append(set(range(9)) - sets[0] - sets[1])
    order = _fewest_moved(sets)
    return None if order == tuple(range(9)) else order


class Ordered(NamedTuple):
    """A stack in the order that its fringes prove.

    Attributes:
        stack: the stack, with its frames in that order, which its notes then name.
        search: search for fringes in its first time point; None where the frames were put in order.
    """

    stack: RawStack
    search: FringeSearch | None


def in_proved_order(stack: RawStack, device: torch.device | str = "cpu") -> RawStack:
    """`ordered` without the search."""
    return ordered(stack, device).stack


def ordered(stack: RawStack, device: torch.device | str = "cpu") -> Ordered:
    """The stack with its frames in the order that its fringes prove.

    A stack without visible fringes, or in the right order, is returned as it is. The frames of a
    time series are put in the order of its first time point, if its last one agrees or is not
    clear; those whose frames have one value count for neither.

    Args:
        device: where to search; `Ordered.search` is there.

    Raises:
        InputError: five phases per orientation (see `proved_order`).
    """
    try:
        times = range(len(stack.raw))
        first = _first_with_data(stack, times)
        search = _search(first, device)
        order = _order_of(search)
        if order is not None and len(stack.raw) > 1:
            last = proved_order(_first_with_data(stack, times[::-1])[list(order)], device)
            order = None if last is not None else order
    except InputError as error:
        raise InputError(f"{stack.source}: {error}") from None
    if order is None:
        return Ordered(stack, search)
    numbers = ", ".join(str(frame + 1) for frame in order)
    known = order == tuple(FrameOrder(ORDERS[1]).orientation_major(np.arange(9)).tolist())
    what = f" ({ORDERS[1]})" if known else ""
    note = (
        f"the fringes prove another order{what} than the stated one: the frames are put in the "
        f"order {numbers}"
    )
    raw = _in_order(stack.raw, order)
    return Ordered(replace(stack, raw=raw, notes=(*stack.notes, note), order=order), None)


def _first_with_data(stack: RawStack, times: Sequence[int]) -> np.ndarray:
    """What is searched of the first of these time points whose frames all have several values."""
    for t in times:
        frames = _searched(stack.raw, t)
        if len(times) == 1 or (np.ptp(np.nan_to_num(frames), axis=(1, 2)) > 0).all():
            return frames
    return _searched(stack.raw, times[0])


def _searched(raw: np.ndarray | FramesOnDisk, t: int) -> np.ndarray:
    """The part (9, h, w) of a time point that is searched; of a file no more is read at once."""
    if not isinstance(raw, FramesOnDisk):
        return raw[t]
    height, width = raw.shape[-2:]
    bands = (slice(row, row + SEARCHED_FIELD) for row in range(0, height, SEARCHED_FIELD))
    light = [np.nan_to_num(raw.window(t, rows, slice(0, width))).mean(axis=0) for rows in bands]
    mean = torch.from_numpy(np.concatenate(light))[None]
    return raw.window(t, *brightest_square(mean, SEARCHED_FIELD)).astype(np.float32)


def _in_order(raw: np.ndarray | FramesOnDisk, order: tuple[int, ...]) -> np.ndarray | FramesOnDisk:
    if isinstance(raw, FramesOnDisk):
        return raw.in_order(order)
    return np.ascontiguousarray(raw[:, list(order)])


def _refuse_five_phases(groups: list[FringeGroup]) -> None:
    frame_sets = {group.frames for group in groups}
    if (0, 1, 2, 3, 4) in frame_sets and frame_sets <= {(0, 1, 2, 3, 4), (5, 6, 7, 8)}:
        raise InputError(
            "five frames in a row show the same fringes: 5 phases: not supported; a 2D-SIM stack "
            "has 3 orientations x 3 phases"
        )


def _of_one_stand(groups: list[FringeGroup]) -> bool:
    """Whether wave vectors are 60 degrees apart, modulo 180, and of about one length."""
    for a, b in combinations(groups, 2):
        gap = abs(math.remainder(a.angle - b.angle, math.pi))
        ratio = max(a.frequency, b.frequency) / min(a.frequency, b.frequency)
        if abs(math.degrees(gap) - 60) > TURN_DEG or ratio > SAME_FREQUENCY:
            return False
    return True


def _fewest_moved(sets: list[set[int]]) -> tuple[int, ...]:
    """Three sets of three frames as an order in which the most frames stay where they are."""
    places = [range(3 * slot, 3 * slot + 3) for slot in range(3)]
    best: tuple[int, ...] = ()
    stay = -1
    for arranged in permutations(sorted(sets, key=min)):
        order = []
        for frames, slot in zip(arranged, places, strict=True):
            moved = iter(sorted(frames - set(slot)))
            order += [place if place in frames else next(moved) for place in slot]
        staying = sum(frame == place for place, frame in enumerate(order))
        if staying > stay:
            best, stay = tuple(order), staying
    return best
