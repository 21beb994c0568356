"""Traces of camera, storage and other programs: saturation, clipping, filters, copies."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import fast_shape, frequencies, power, taper
from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = [
    "NoiseColour",
    "are_stretched",
    "clipped_share",
    "copies",
    "grey_step",
    "neighbour_ties",
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
LEVELS = 6  # differences of neighbours that are counted, in grey values
MOST_VALUES = 1 << 20  # in which the step between grey values is searched
LEAST_TIES, MOST_TIES = 0.05, 0.5  # usable share of neighbours with the same value
MOST_ROUNDING = 0.7  # of the noise beyond any lens
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


def copies(noise: Tensor, frames: Tensor) -> tuple[tuple[int, int], ...]:
    """Pairs whose noise is the same: correlation above 0.9 beyond the cut-off of any lens.

    What one of them does not explain of the other has to be less than that noise, too: smoothed
    frames hold too little noise to compare, but differ by their fringes.

    Args:
        noise: (9, H, W) of `noise.beyond_any_lens`.
        frames: (9, H, W) without background.

    Returns:
        Frame numbers, counted from 1.
    """
    rest = noise.flatten(1)
    limit = OUTLIER * 1.48 * rest.abs().median(dim=1, keepdim=True).values
    rest = torch.minimum(torch.maximum(rest, -limit), limit)
    norm = rest.square().sum(dim=1).sqrt().clamp(min=1e-30)
    alike = (rest @ rest.T) / norm[:, None] / norm[None] > ALIKE
    pairs = combinations(range(len(frames)), 2)
    return tuple(
        (a + 1, b + 1)
        for a, b in pairs
        if bool(alike[a, b]) and _unexplained(frames[a], frames[b]) < float(rest[b].var())
    )


def _unexplained(one: Tensor, other: Tensor) -> float:
    """Variance of a frame that another one does not explain, whatever its gain and offset."""
    one, other = one - one.mean(), other - other.mean()
    gain = (one * other).sum() / one.square().sum().clamp(min=1e-30)
    return float((other - gain * one).square().mean())


def grey_step(values: Tensor) -> float:
    """Smallest difference between two of the values; 1 for counts, next to zero for no grey values.

    Args:
        values: (9, N).
    """
    levels = torch.unique(values.flatten()[:MOST_VALUES])
    return float(levels.diff().min()) if len(levels) > 1 else 0.0


def neighbour_ties(counts: Tensor, light: Tensor, step: float) -> float:
    """Frequency of neighbours with the same value, over that expected of noise.

    A median filter gives neighbouring pixels one and the same value of the nine around them. The
    differences d of noisy neighbours follow a normal law, so that the share of d = 0 is
    `p1^(4/3) / p2^(1/3)` of the shares of 1 and 2 grey values. Only bright pixels count, and 1 is
    returned where the noise is too small against a grey value.

    Args:
        counts: (9, H, W).
        light: (H, W), mean frame.
        step: of `grey_step`.
    """
    if not step > 0:
        return 1.0
    lit = (light > light.median()) & (counts < counts.max()).all(dim=0)
    shares = []
    for axis in (1, 2):
        size = counts.shape[axis] - 1
        first, second = (counts.narrow(axis, start, size) for start in (0, 1))
        lit_pairs = lit.narrow(axis - 1, 0, size) & lit.narrow(axis - 1, 1, size)
        steps = ((first - second).abs() / step).round()[:, lit_pairs]
        shares.append(torch.stack([(steps == n).double().mean() for n in range(LEVELS)]))
    none, *others = torch.stack(shares).mean(dim=0).tolist()
    others = [share / 2 for share in others]  # of both signs
    if not LEAST_TIES < none < MOST_TIES:
        return 1.0
    # After a stretch some grey values never occur, and the next one takes the place of 1.
    expected = max(others[0] ** (4 / 3) / max(others[1], 1e-9) ** (1 / 3), *others)
    return none / max(expected, 1e-9)


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

    Attributes:
        ratio: that, without the noise of rounding, which is white after a filter, too.
        error: its standard error.
        rounding: share of the power at the highest frequencies that rounding alone makes, by
            `step^2 / 12` a pixel; small for a camera, 1 after a filter. Zero where ratio is NaN.
    """

    ratio: float
    error: float
    rounding: float = 0.0


def noise_colour(frames: Tensor, cutoff: float, step: float = 0.0) -> NoiseColour:
    """The colour of the noise in what differs between the frames, and its standard error.

    Shot and read noise of single pixels are white, whatever the light. Means over neighbours, as
    filters and interpolations take them, leave less at the highest frequencies.

    Args:
        frames: (9, H, W) without background.
        cutoff: of the lens, cycles per raw pixel.
        step: between grey values.
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
    error = math.sqrt(sum(1 / max(n, 1.0) for n in modes))
    rounding = step**2 / 12 * float(window.square().sum()) * (len(frames) - 1) / len(frames)
    share = rounding / max(high, 1e-30)
    # It brings the ratio nearer to 1. Where it is nearly all, it is left in.
    rounding = rounding if rounding < MOST_ROUNDING * min(low, high) else 0.0
    return NoiseColour((high - rounding) / (low - rounding), error * high / (low - rounding), share)
