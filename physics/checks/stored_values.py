"""Traces of camera, storage and other programs: saturation, clipping, ties, copies."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor

from bayesdl_sim.physics.spots import largest_within

__all__ = [
    "MEDIAN_SIDE",
    "SATURATED",
    "are_stretched",
    "clipped_share",
    "common_minimum",
    "copies",
    "grey_step",
    "median_ties",
    "neighbour_ties",
    "saturated_share",
]

SATURATED = 1e-3  # share of the values from which on a stack is doubtful
LEAST_SHARE = 5e-4  # of the values; the very largest ones are always few
ALIKE = 0.9  # correlation of the noise of two frames that are one exposure
LEAST_RANGE, PLACES = 32, 3  # grey values; places of the extreme values among the nine frames
LEVELS = 6  # differences of neighbours that are counted, in grey values
MOST_VALUES = 1 << 20  # in which the step between grey values is searched
LEAST_TIES, MOST_TIES = 0.05, 0.5  # usable share of neighbours with the same value
MOST_MEDIANS = 0.15  # of pixels, expected; more where the noise is below three grey values
MEDIAN_SIDE = 128  # raw pixels, of the square in which pixels are compared with their median
MEDIAN_REACH = 5  # squared distance in raw pixels of the neighbours that make the median
UNEVEN = 0.1  # of the step between most grey values: a gap that differs by more
MOST_UNEVEN = 0.2  # of the gaps
MINIMUM_SIDE = 24  # raw pixels, of the parts of a frame whose smallest values are compared
DARK_STEPS = 6.0  # grey values
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


def neighbour_ties(
    counts: Tensor, light: Tensor, step: float, left_out: Tensor | None = None
) -> float:
    """Frequency of neighbours with the same value, over that expected of noise.

    A median filter gives neighbouring pixels one and the same value of the nine around them. The
    differences d of noisy neighbours follow a normal law, so that the share of d = 0 is
    `p1^(4/3) / p2^(1/3)` of the shares of 1 and 2 grey values. Only bright pixels count, and 1 is
    returned where the noise is too small against a grey value.

    Args:
        counts: (9, H, W).
        light: (H, W), mean frame.
        step: of `grey_step`.
        left_out: (H, W), pixels that were filled from their neighbours; None: none.
    """
    if not step > 0:
        return 1.0
    lit = (light > light.median()) & (counts < counts.max()).all(dim=0)
    lit = lit if left_out is None else lit & ~left_out
    shares = []
    for axis in (1, 2):
        size = counts.shape[axis] - 1
        first, second = (counts.narrow(axis, start, size) for start in (0, 1))
        lit_pairs = lit.narrow(axis - 1, 0, size) & lit.narrow(axis - 1, 1, size)
        steps = ((first - second).abs() / step).round()[:, lit_pairs]
        shares.append(torch.stack([(steps == n).double().mean() for n in range(LEVELS)]))
    none, *others = torch.stack(shares).mean(dim=0).tolist()
    if not LEAST_TIES < none < MOST_TIES:
        return 1.0
    return none / _share_of_none([share / 2 for share in others])


def median_ties(counts: Tensor, left_out: Tensor | None = None) -> float:
    """Frequency of pixels with the median of their neighbours, over that expected of noise.

    Programs that remove outliers put the median in their place. With d the distance of a bright
    pixel from the upper median of the 20 around it, in grey values, the share of d = 0 is
    `p1^(4/3) / p2^(1/3)` of the shares of 1 and 2, as in `neighbour_ties`. The median of the pixel
    and its neighbours is that of the neighbours where the pixel was above it. 1 is returned
    where there are few grey values, or uneven ones, as after a stretch to 8 bits.

    Args:
        counts: (9, h, w), the brightest part of a field, without NaN.
        left_out: (h, w), pixels that were filled from their neighbours; None: none.
    """
    gaps = torch.unique(counts).diff()
    if len(gaps) < LEAST_RANGE:
        return 1.0
    step = float(gaps.median())  # after a stretch to 16 bits most grey values never occur
    if float(((gaps - step).abs() > UNEVEN * step).double().mean()) > MOST_UNEVEN:
        return 1.0
    reach = math.isqrt(MEDIAN_REACH)
    places = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    near = [place for place in places if 0 < place[0] ** 2 + place[1] ** 2 <= MEDIAN_REACH]
    light = counts.mean(dim=0)
    lit = light > light.median()
    if left_out is not None:
        lit &= largest_within(left_out.float(), reach) == 0
    around = torch.stack([counts.roll(place, dims=(1, 2))[:, lit] for place in near], dim=-1)
    median = around.sort(dim=-1).values[..., len(near) // 2]
    steps = ((counts[:, lit] - median).abs() / step).round()
    none, *others = (float((steps == n).double().mean()) for n in range(LEVELS))
    expected = _share_of_none([share / 2 for share in others])
    return none / expected if expected < MOST_MEDIANS else 1.0


def _share_of_none(shares: list[float]) -> float:
    """The share of no difference, from those of 1, 2, ... grey values of one sign.

    After a stretch some grey values never occur, and the next one takes the place of 1.
    """
    return max(shares[0] ** (4 / 3) / max(shares[1], 1e-9) ** (1 / 3), *shares, 1e-9)


def common_minimum(counts: Tensor, step: float) -> float:
    """Share of the parts of a frame whose smallest value is that of the frame, over all frames.

    The darkest pixels of a camera's frame differ from place to place. Programs that subtract a
    local background by a minimum (top hat, rolling ball) leave the same smallest value in every
    part. Zero is returned where few grey values lie between the smallest one and the median.

    Args:
        counts: (9, H, W), without NaN.
        step: of `grey_step`.
    """
    if not float(counts.median() - counts.min()) > DARK_STEPS * step:
        return 0.0
    side = min(MINIMUM_SIDE, *counts.shape[1:])
    parts = -torch.nn.functional.max_pool2d(-counts[None], side)[0].flatten(1)
    return float((parts == parts.min(dim=1, keepdim=True).values).double().mean())


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
