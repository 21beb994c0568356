"""What camera and storage did to a stack: saturation, clipping, copies."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import frequencies
from bayesdl_sim.physics.patterns.noise import BEYOND_ANY_LENS

__all__ = ["clipped_share", "copies", "saturated_share"]

LEAST_SHARE = 5e-4  # of the values; the very largest ones are always few
ALIKE = 0.9  # correlation of the noise of two frames that are one exposure
OUTLIER = 4.0  # standard deviations of the noise that count; hot pixels repeat in all frames


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
