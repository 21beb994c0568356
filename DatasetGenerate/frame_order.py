"""The order of the frames of a raw stack: made orientation-major, and checked against the fringes.

A wrong order makes no error anywhere later, only bad networks; but the fringes tell it.
"""

from typing import NamedTuple

import numpy as np

from bayesdl_sim.utils.errors import InputError

__all__ = ["ORDERS", "FrameOrder", "check_order", "fringe_peak"]

ORDERS = ("orientation,phase", "phase,orientation")  # what changes slowest comes first
ANNULUS = (0.15, 0.42)  # cycles per raw pixel, where fringes of SIM lie
HIGH_PASS = 0.06  # cycles per raw pixel
# On stacks of noise the peaks of the two orders differ by up to 1.2, and none reaches 5; on stacks
# with fringes the right order is 1.5 to 3 times higher.
CLEAR_PEAK = 5.0
CLEAR_RATIO = 1.35


class FrameOrder(NamedTuple):
    """How the images of a file follow each other; one of `ORDERS`, of N orientations, M phases."""

    order: str
    orientations: int = 3
    phases: int = 3

    @property
    def frames(self) -> int:
        """Images per stack."""
        return self.orientations * self.phases

    @property
    def other(self) -> "FrameOrder":
        """The other order of the same frames."""
        return self._replace(order=ORDERS[1 - ORDERS.index(self.order)])

    def triples(self, frames: np.ndarray) -> np.ndarray:
        """Frames (N M, H, W) in file order -> (N, M, H, W)."""
        if self.order == ORDERS[0]:
            return frames.reshape(self.orientations, self.phases, *frames.shape[1:])
        return frames.reshape(self.phases, self.orientations, *frames.shape[1:]).swapaxes(0, 1)

    def orientation_major(self, frames: np.ndarray) -> np.ndarray:
        """Frames (N M, H, W) in file order -> (N M, H, W), orientation by orientation."""
        return self.triples(frames).reshape(frames.shape)


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
    """Asks the fringes whether the order is right.

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
            f"{name}: the fringes do not follow --order {order.order}; they fit "
            f"{order.other.order} ({1 / ratio:.1f} times clearer): name that order, or, if you are "
            "sure of yours, add --check_order False"
        )
    if ratio > CLEAR_RATIO and np.median(own) > CLEAR_PEAK:
        return "confirmed by the fringes"
    return "fringes too weak to tell"
