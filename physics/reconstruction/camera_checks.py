"""What camera and storage did to a stack: saturation, clipping, hot pixels, copies, gamma."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import frequencies
from bayesdl_sim.physics.patterns.noise import BEYOND_ANY_LENS, BRIGHTNESS_BINS

__all__ = ["clipped_share", "copies", "noise_exponent", "saturated_share"]

LEAST_SHARE = 5e-4  # of the values; the very largest ones are always few
ALIKE = 0.9  # correlation of the noise of two frames that are one exposure
OUTLIER = 4.0  # standard deviations of the noise that count; hot pixels repeat in all frames
LEAST_RISE = 1.4  # of the noise variance from the darkest to the brightest pixels
FLAT, BRIGHT = 1.3, 20.0  # rise of the noise, and brightness in noise of the dark, that contradict


def saturated_share(raw: Tensor) -> float:
    """Share of values at the largest one, if more than in the bin below it; light thins out."""
    return _spike(raw)


def clipped_share(raw: Tensor) -> float:
    """Share of values at the smallest one, if more than in the bin above it: a cut background."""
    return _spike(-raw)


def _spike(raw: Tensor) -> float:
    values = raw.flatten()
    top, middle = float(values.max()), float(values.median())
    width = (top - middle) / 50
    if width <= 0:
        # The median itself is at the end: most of the values are cut, unless all are.
        share = float((values >= top).double().mean())
        return share if float(values.min()) < top else 0.0
    width = max(width, 1.0) if bool((values == values.round()).all()) else width
    last, before = (
        int(((values > top - (i + 1) * width) & (values <= top - i * width)).sum()) for i in (0, 1)
    )
    share = float((values >= top).double().mean())
    return share if last > 1.5 * before and share > LEAST_SHARE else 0.0


def copies(frames: Tensor) -> tuple[tuple[int, int], ...]:
    """Pairs whose noise is the same: correlation above 0.9 beyond the cut-off of any lens.

    Args:
        frames: (9, H, W) without background.

    Returns:
        Frame numbers, counted from 1.
    """
    shape = tuple(frames.shape[1:])
    outside = torch.hypot(*frequencies(shape, frames.device)) > BEYOND_ANY_LENS
    half = outside[:, : shape[1] // 2 + 1]
    rest = torch.fft.irfft2(torch.fft.rfft2(frames) * half, s=shape).flatten(1)
    limit = OUTLIER * 1.48 * rest.abs().median(dim=1, keepdim=True).values
    rest = torch.minimum(torch.maximum(rest, -limit), limit)
    norm = rest.square().sum(dim=1).sqrt().clamp(min=1e-30)
    alike = (rest @ rest.T) / norm[:, None] / norm[None] > ALIKE
    pairs = combinations(range(len(frames)), 2)
    return tuple((a + 1, b + 1) for a, b in pairs if bool(alike[a, b]))


def noise_exponent(bins: tuple[NDArray, NDArray], pixels: int) -> tuple[float, float]:
    """How the noise grows with the light: n of `variance = a + b light^n`, and its standard error.

    Counts of a camera have n = 1. A gamma g of the stored values (`counts^g`) leaves a
    variance that grows as `light^((2 g - 1) / g)`: n is 0.33 for g = 0.6, zero for a square root.

    Args:
        bins: brightness and noise variance, from `noise.noise_bins`.
        pixels: of all bins together, in nine frames.

    Returns:
        NaN and infinity where the noise rises too little to tell.
    """
    x, y = bins
    x = x - x.min()
    if len(x) < BRIGHTNESS_BINS // 2 or not y.min() > 0:
        return math.nan, math.inf
    rise, contrast = np.median(y[-4:]) / np.median(y[:4]), x[-1] / math.sqrt(np.median(y[:4]))
    if rise < LEAST_RISE:
        # A bright structure whose noise is that of the dark: no camera's, but a square root's.
        flat = rise < FLAT and contrast > BRIGHT
        return (0.0, 0.1) if flat else (math.nan, math.inf)
    # A mean of squares over the pixels of a bin, of which half the frequencies are used.
    error = math.sqrt(4 * len(x) / pixels)
    tried = np.linspace(0.1, 2.0, 39)
    misfits = []
    for n in tried:
        basis = np.stack([np.ones_like(x), (x / x.max()) ** n], axis=1) / y[:, None]
        rest = basis @ np.linalg.lstsq(basis, np.ones_like(y), rcond=None)[0] - 1
        misfits.append(float((rest**2).sum()))
    misfits = np.array(misfits)
    best = int(misfits.argmin())
    # What the line does not explain counts as error, too: structure leaks into the noise.
    scale = max(misfits[best] / max(len(x) - 3, 1), error**2)
    within = tried[misfits < misfits[best] + scale]
    return float(tried[best]), max(float(np.ptp(within)) / 2, 0.05)
