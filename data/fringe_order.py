"""Asks the fringes of raw frames in which order they follow each other.

A wrong order makes no error anywhere later, only bad networks and bad images; the fringes show it.
"""

from __future__ import annotations

import numpy as np

from bayesdl_sim.data.frame_order import FrameOrder
from bayesdl_sim.utils.errors import InputError

__all__ = ["check_order", "fringe_peak"]

ANNULUS = (0.15, 0.42)  # cycles per raw pixel, where fringes of SIM lie
HIGH_PASS = 0.06  # cycles per raw pixel
# On stacks of noise the peaks of the two orders differ by up to 1.2, and none reaches 5; on stacks
# with fringes the right order is 1.5 to 3 times higher.
CLEAR_PEAK = 5.0
CLEAR_RATIO = 1.35


def fringe_peak(triples: np.ndarray) -> float:
    """Height of the fringe peak over its background, if the frames are grouped as said.

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
        order: what the user says.
        name: the first of the files, for the message.

    Returns:
        What was found: "confirmed by the fringes", or "fringes too weak to tell".

    Raises:
        InputError: the fringes clearly say the other order.
    """
    if min(order.orientations, order.phases) < 2:
        return "not checked: there is only one orientation or phase"
    own, other = (
        np.array([fringe_peak(way.triples(frames)) for frames in stacks])
        for way in (order, order.other)
    )
    ratio = float(np.exp(np.median(np.log(own / other))))
    if ratio < 1 / CLEAR_RATIO and np.median(other) > CLEAR_PEAK:
        raise InputError(
            f"{name}: the fringes do not follow the order {order.order}; they fit "
            f"{order.other.order} ({1 / ratio:.1f} times clearer): name that order, or, if you are "
            "sure of yours, set check_order to False"
        )
    if ratio > CLEAR_RATIO and np.median(own) > CLEAR_PEAK:
        return "confirmed by the fringes"
    return "fringes too weak to tell"
