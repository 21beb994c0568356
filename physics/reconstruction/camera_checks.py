"""What camera, storage and other programs did to a stack: saturation, clipping, filters, copies."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import fast_shape, frequencies, gaussian, power, taper

__all__ = [
    "NoiseColour",
    "are_stretched",
    "clipped_share",
    "copies",
    "noise_colour",
    "saturated_share",
]

LEAST_SHARE = 5e-4  # of the values; the very largest ones are always few
ALIKE = 0.9  # correlation of the noise of two frames that are one exposure
LEAST_RANGE, PLACES = 32, 3  # grey values; places of the extreme values among the nine frames
LOW_RING, HIGH_RING = (0.45, 0.52), (0.6, 0.71)  # cycles per raw pixel: beyond any lens, corners
WIDEST_CUTOFF = 0.43  # cycles per raw pixel, below which both rings hold noise alone
SMOOTHING = 6.0  # raw pixels, of the variance that the frames are divided by
LINES = 0.03  # cycles per raw pixel beside the axes, where the noise of rows and columns lies
ALL_ALIKE = 1e-3  # of the noise of a frame, in what differs between frames of one exposure
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
    width, at_top = (top - middle) / 50, int((values >= top).sum()) / values.numel()
    if width <= 0:
        # The median itself is at the end: most of the values are cut, unless all are.
        return at_top if float(values.min()) < top else 0.0
    width = max(width, 1.0) if bool((values == values.round()).all()) else width
    last, before = (
        int(((values > top - (i + 1) * width) & (values <= top - i * width)).sum()) for i in (0, 1)
    )
    return at_top if last > 1.5 * before and at_top > LEAST_SHARE else 0.0


def copies(noise: Tensor) -> tuple[tuple[int, int], ...]:
    """Pairs whose noise is the same: correlation above 0.9 beyond the cut-off of any lens.

    Args:
        noise: (9, H, W) of `noise.beyond_any_lens`.

    Returns:
        Frame numbers, counted from 1.
    """
    rest = noise.flatten(1)
    limit = OUTLIER * 1.48 * rest.abs().median(dim=1, keepdim=True).values
    rest = torch.minimum(torch.maximum(rest, -limit), limit)
    norm = rest.square().sum(dim=1).sqrt().clamp(min=1e-30)
    alike = (rest @ rest.T) / norm[:, None] / norm[None] > ALIKE
    pairs = combinations(range(len(noise)), 2)
    return tuple((a + 1, b + 1) for a, b in pairs if bool(alike[a, b]))


def are_stretched(values: Tensor) -> bool:
    """Whether each frame fills the same range, as by an automatic contrast frame by frame.

    Nine frames of a camera have nine largest values. The same ones by saturation or a cut
    background lie at the same places.

    Args:
        values: (9, N) counts of the pixels that hold data and are not faulty.
    """
    lowest, highest = values.min(dim=1), values.max(dim=1)
    if len(highest.values.unique()) > 1 or len(lowest.values.unique()) > 1:
        return False
    grey = int(values[0].unique().numel())
    places = (len(end.indices.unique()) for end in (lowest, highest))
    return grey >= LEAST_RANGE and min(places) >= PLACES


class NoiseColour(NamedTuple):
    """Power of the noise at the highest frequencies over that just beyond any lens.

    It is 1 for white noise, less after a filter or an interpolation, and NaN where the lens leaves
    no frequency to the noise alone, or the frames do not differ.
    """

    ratio: float
    error: float


def noise_colour(frames: Tensor, cutoff: float) -> NoiseColour:
    """The colour of the noise in what differs between the frames, and its standard error.

    Shot and read noise of single pixels are white, whatever the light. Means over neighbours, as
    filters and interpolations take them, leave less at the highest frequencies.

    Args:
        frames: (9, H, W) without background.
        cutoff: of the lens, cycles per raw pixel.
    """
    if cutoff > WIDEST_CUTOFF:
        return NoiseColour(math.nan, math.inf)
    size = tuple(frames.shape[1:])
    shape = fast_shape(size)
    rows, columns = frequencies(shape, frames.device)
    columns = columns[:, : shape[1] // 2 + 1]
    radius, free = torch.hypot(rows, columns), torch.minimum(rows.abs(), columns.abs()) > LINES
    # Bright pixels hold most of the noise: all are brought to about the same.
    rest = frames - frames.mean(dim=0)
    light = gaussian(rest.square().sum(dim=0) / (len(frames) - 1), SMOOTHING)
    window = taper(size, frames.device).to(frames) / light.clamp(min=1e-30).sqrt()
    strength = power(torch.fft.rfft2(rest * window, s=shape)).mean(dim=0)
    rings = [free & (radius > low) & (radius < high) for low, high in (LOW_RING, HIGH_RING)]
    low, high = (float(strength[ring].mean()) for ring in rings)
    # The taper ties neighbouring frequencies.
    modes = [(len(frames) - 1) * float(ring.sum()) / 1.3 for ring in rings]
    one = power(torch.fft.rfft2(frames[0] * window, s=shape))[rings[0]].mean()
    if not low > ALL_ALIKE * float(one):
        return NoiseColour(math.nan, math.inf)
    ratio = high / low
    return NoiseColour(ratio, ratio * math.sqrt(sum(1 / max(n, 1.0) for n in modes)))
