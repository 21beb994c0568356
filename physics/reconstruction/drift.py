"""How far the sample moved while a stack was taken: shifts between the orientations."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.bands import taper

__all__ = ["Drift", "drift", "shift_px"]

TAPERED = 0.25  # of a side
FINENESS = 20  # steps per pixel
REACH = 15  # steps around the highest whole pixel, where the peak is looked for


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
    spectra = torch.fft.rfft2(sums)
    first, second, whole = (
        shift_px(spectra[a], spectra[b], shape) for a, b in ((0, 1), (1, 2), (0, 2))
    )
    largest = max(math.hypot(*shift) for shift in (first, second, whole))
    rest = (x + y - z for x, y, z in zip(first, second, whole, strict=True))
    return Drift(largest, math.hypot(*rest))


def shift_px(still: Tensor, moved: Tensor, shape: tuple[int, int]) -> tuple[float, float]:
    """Rows and columns by which an image has to be moved back onto another.

    The highest value of their correlation: first at whole pixels, then around that place at every
    `FINENESS`th part of one, by exact Fourier sums.

    Args:
        still, moved: half planes of `rfft2` of images of that shape.

    Source: Guizar-Sicairos et al., Opt. Lett. 33, 156 (2008).
    """
    product = still * moved.conj()
    peak = int(torch.fft.irfft2(product, s=shape).abs().argmax())
    whole = [
        place - n if place > n // 2 else place
        for place, n in zip(divmod(peak, shape[1]), shape, strict=True)
    ]
    steps = torch.arange(-REACH, REACH, dtype=torch.float64, device=still.device) / FINENESS
    rows = torch.fft.fftfreq(shape[0], dtype=torch.float64, device=still.device)
    columns = torch.fft.rfftfreq(shape[1], dtype=torch.float64, device=still.device)
    both = torch.full_like(columns, 2.0)  # a frequency of the half plane stands for its opposite
    both[0] = 1.0
    if shape[1] % 2 == 0:
        both[-1] = 1.0
    down, along = (
        torch.exp(2j * math.pi * (at + steps)[:, None] * k)
        for at, k in zip(whole, (rows, columns), strict=True)
    )
    values = (down @ (product * both).to(down) @ along.T).real.abs()
    best = divmod(int(values.argmax()), len(steps))
    fine = (at + float(steps[place]) for at, place in zip(whole, best, strict=True))
    return tuple(fine)
