"""Drift of the sample while a stack was taken: shifts between the orientations, also of a part."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from skimage.registration import phase_cross_correlation
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.bands import fast_shape, taper

__all__ = ["Drift", "drift", "local_drift"]

TAPERED = 0.25  # of a side
FINENESS = 20  # steps per pixel
PART, SMALLEST_PART = 0.4, 56  # of a side, which each corner has; raw pixels that it has at least
ERRORS = 3.0  # standard errors by which a corner has to move beyond them
LEAST_ERROR_PX = 0.1  # of a corner, so that a closure that is zero by chance does not decide


class Drift(NamedTuple):
    """The largest shift in raw pixels, and by how much three shifts fail to add up to zero."""

    largest_px: float
    error_px: float


def drift(frames: Tensor) -> Drift:
    """Shifts between the sums of the orientations, in which fringes cancel, by correlation.

    Args:
        frames: (9, H, W) without background.
    """
    shape = tuple(frames.shape[1:])
    sums = frames.reshape(ORIENTATIONS, PHASES, *shape).sum(dim=1)
    sums = (sums - sums.mean(dim=(1, 2), keepdim=True)) * taper(shape, frames.device, TAPERED)
    spectra = torch.fft.fft2(sums.to(frames), s=fast_shape(shape)).cpu().numpy()

    def shift(a: int, b: int) -> np.ndarray:
        correlation = phase_cross_correlation(
            spectra[a], spectra[b], space="fourier", upsample_factor=FINENESS, normalization=None
        )
        return np.asarray(correlation[0], dtype=np.float64)

    first, second, whole = shift(0, 1), shift(1, 2), shift(0, 2)
    largest = max(float(np.hypot(*one)) for one in (first, second, whole))
    return Drift(largest, float(np.hypot(*(first + second - whole))))


def local_drift(frames: Tensor) -> Drift:
    """The drift of two corners of the field: of that which moved second most certainly.

    A cell that spreads or turns has parts that move in opposite directions, and the field as a
    whole stays where it is. One corner alone may hold little structure, and noise that seems to
    move. The closure error can be small by chance, too. The error of each corner is therefore at
    least the median of the four.

    Args:
        frames: (9, H, W) without background.

    Returns:
        No drift, with an infinite error, for a field too small to be divided.
    """
    height, width = frames.shape[1:]
    sides = [max(SMALLEST_PART, round(PART * n)) for n in (height, width)]
    if min(height - sides[0], width - sides[1]) < SMALLEST_PART:
        return Drift(0.0, math.inf)
    rows, columns = ((slice(0, n), slice(-n, None)) for n in sides)
    corners = [drift(frames[:, y, x]) for y in rows for x in columns]
    least = max(float(np.median([corner.error_px for corner in corners])), LEAST_ERROR_PX)
    corners = [corner._replace(error_px=max(corner.error_px, least)) for corner in corners]
    return sorted(corners, key=lambda corner: corner.largest_px - ERRORS * corner.error_px)[-2]
