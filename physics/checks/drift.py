"""Drift of the sample while a stack was taken: shifts between the orientations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from skimage.registration import phase_cross_correlation
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.bands import fast_shape, taper

__all__ = ["Drift", "drift"]

TAPERED = 0.25  # of a side
FINENESS = 20  # steps per pixel


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
