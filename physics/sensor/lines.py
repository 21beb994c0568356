"""Rows and columns of a camera that do not respond to light as their neighbours do.

A lens passes nothing beyond its cut-off, so that the means over neighbouring lines differ there by
noise alone. A line with an offset or a gain of its own stands out, and where all lines have one,
their means scatter more than independent pixels allow.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from scipy.special import ndtri
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import power
from bayesdl_sim.utils.devices import exact_arithmetic

__all__ = ["line_noise", "odd_lines"]

BEYOND, TAPS = 0.44, 81  # cycles per pixel, beyond any lens of 2D-SIM; of the filter
SEGMENT, BLOCKS = 8, 8  # pixels that are averaged first; parts of a line that have to agree
SHORTEST = 64  # pixels of a line, and lines of a field, below which nothing is measured
LEFT = 0.01  # of the score of the oddest line, which the border of the field leaves
AROUND, RING = 8, 9  # lines in which one is located; frequencies that are averaged
EDGE = 8  # lines at the border of the field, where the filter meets its mirror image
ODD = 8.0  # standard errors of the mean over a line
FEW_PASS = 0.4  # cycles per pixel, which few lenses pass, and none well
SHARP, CHANCE = 0.5, 0.01  # of the offset of a pair, there; that noise alone has that in a field
MOST_ODD = 0.04  # of the lines; where more stand out, all differ, and none can be left out
ALL_DIFFER = 2.0  # standard errors by which the means of the others may scatter; 1.8 in good stacks


def odd_lines(mean: Tensor) -> Tensor:
    """Mask of the pixels in a row or column unlike its neighbours: (H, W), true where they are.

    Beyond the cut-off of any lens, the mean over such a line is eight standard errors away from
    zero, in most parts of its length alike. Of two adjacent lines, the offset is that far from zero
    at all frequencies together. None are odd where more than 4 % of the lines are.

    Args:
        mean: (H, W) counts, mean of the nine frames, finite.
    """
    rows, columns = _odd(mean), _odd(mean.T)
    return rows[:, None] | columns[None]


def line_noise(frames: Tensor) -> tuple[float, float]:
    """Scatter of the means over rows and over columns, relative to that of independent pixels.

    The standard deviation of the means beyond the cut-off of any lens, in standard errors: 1 for
    noise of single pixels. The larger one of what all frames share and of what differs between
    them.

    Args:
        frames: (n, H, W), without odd lines.
    """
    mean = frames.mean(dim=0)
    return tuple(
        max(_scatter([view(mean)]), _scatter([view(frame - mean) for frame in frames]))
        for view in (lambda image: image, lambda image: image.T)
    )


def _scatter(images: list[Tensor]) -> float:
    """Root mean square of the scores of all lines (n, length) of some images."""
    scores = torch.stack([_scores(_beyond(_segments(lines)))[0] for lines in images])
    inner = slice(TAPS // 4, -TAPS // 4)  # the noise of the border itself reaches inwards
    return float(scores[:, inner].square().mean().sqrt())


def _odd(lines: Tensor) -> Tensor:
    """Mask of the lines (n, length) that stand out from their neighbours: (n,)."""
    odd = torch.zeros(len(lines), dtype=torch.bool, device=lines.device)
    segments = _segments(lines)
    high, first = _beyond(segments), 0.0
    most = max(3, round(MOST_ODD * len(lines)))
    for _ in range(most + 1):
        rest, excess = _without(high, odd)
        mean, agreed = _scores(rest)
        score = torch.minimum(mean.abs(), agreed.abs()).masked_fill(odd, 0.0)
        worst = int(score.argmax())
        first = first or float(score[worst])
        if not float(score[worst]) > max(ODD, LEFT * first):
            pair = _odd_pair(segments - excess, odd)
            if pair is None:
                limit = max(ALL_DIFFER, LEFT * first)
                alike = 1.48 * float(mean[EDGE:-EDGE].abs().median()) < limit
                return odd & (alike and int(odd.sum()) <= most)
            worst = pair
        near = slice(max(worst - AROUND, 0), worst + AROUND + 1)
        matched = [place[near] for place in _matched(segments - excess, odd)]
        width, place = divmod(int(torch.cat(matched).argmax()), len(matched[0]))
        odd[near.start + place : near.start + place + width + 1] = True
    return torch.zeros_like(odd)


def _segments(lines: Tensor) -> Tensor:
    """Lines (n, length) as means over short segments (n, s), which all measures start from.

    Zero where the field is too small.
    """
    count, length = lines.shape
    if min(count, length) < SHORTEST:
        return torch.zeros(count, BLOCKS).to(lines)
    return lines[:, : length // SEGMENT * SEGMENT].reshape(count, -1, SEGMENT).mean(dim=-1)


def _matched(segments: Tensor, odd: Tensor) -> list[Tensor]:
    """Deviation of one, two and three lines from each one on, in standard errors: (n,) each.

    The part that is constant along lines is compared, frequency by frequency across them, with the
    part that changes slowly along them, as structures do. Adjacent lines that are off alike show at
    lower frequencies, which structures have, too.

    Args:
        segments: (n, s), without what the odd lines had too much.
        odd: (n,), lines that are not tested again.
    """
    count = len(segments)
    spectrum, usual = _across(segments)
    singles = torch.fft.irfft(spectrum.sum(dim=1) / usual, n=2 * count)[:count]
    one, next_one, third = torch.fft.irfft(1 / usual, n=2 * count)[:3]
    pairs = torch.cat([singles[:-1] + singles[1:], singles[:1] * 0])
    triples = torch.cat([pairs[:-2] + singles[2:], singles[:2] * 0])
    sums = (
        (singles, one),
        (pairs, 2 * (one + next_one)),
        (triples, 3 * one + 4 * next_one + 2 * third),
    )
    return [
        (total.abs() / variance.clamp(min=1e-30).sqrt()).masked_fill(odd, 0.0)
        for total, variance in sums
    ]


def _odd_pair(segments: Tensor, odd: Tensor) -> int | None:
    """A line of two adjacent ones that are off alike, if any are.

    Beyond any lens, two such lines nearly cancel. All frequencies are therefore used, weighted as
    for `_matched`, and those beyond most lenses have to show at least half of the same offset, more
    surely the more lines stand out. A straight structure along the lines has less there.

    Args:
        segments: (n, s), without what the odd lines had too much.
        odd: (n,), lines that are not tested again.
    """
    count = len(segments)
    if min(segments.shape) < BLOCKS:
        return None
    spectrum, usual = _across(segments)
    frequency = torch.arange(len(usual), device=usual.device) / (2 * count)
    pair = 2 * torch.cos(math.pi * frequency)  # the spectrum of two lines, about their middle
    shift = torch.exp(1j * math.pi * frequency)
    offsets, scores = [], []
    for lowest in (0.0, FEW_PASS):
        weight = pair * (frequency >= lowest) / usual
        unit = torch.fft.irfft(weight * pair, n=2 * count)[0].clamp(min=1e-30)
        filtered = torch.fft.irfft(spectrum * (weight * shift)[:, None], n=2 * count, dim=0)
        filtered = filtered[:count] / unit
        along = filtered.std(dim=1)
        uneven = (along / along[EDGE:-EDGE].square().mean().sqrt()).clamp(min=1.0)
        offsets.append(filtered.mean(dim=1))
        scores.append([score / uneven for score in _scores(filtered)])
    (mean, agreed), (beyond, _) = scores
    score = torch.minimum(mean.abs(), agreed.abs()) * (mean * agreed > 0)
    score[odd | odd.roll(-1)] = 0.0
    chance = CHANCE / max(int((score > ODD).sum()), 1)
    sharp = (offsets[1] / offsets[0] > SHARP) & (beyond.abs() > -ndtri(chance / 2))
    worst = int((score * sharp).argmax())
    return worst if sharp[worst] and float(score[worst]) > ODD else None


def _across(segments: Tensor) -> tuple[Tensor, Tensor]:
    """Spectrum across the lines and their mirror image (f, s), and its usual power (f,).

    The usual power is that of what changes slowly along the lines.
    """
    segments = segments - segments.mean()
    spectrum = torch.fft.rfft(torch.cat([segments, segments.flip(0)]), dim=0)
    usual = power(torch.fft.fft(spectrum, dim=1)[:, 1:5]).mean(dim=1)
    usual = torch.nn.functional.avg_pool1d(usual[None], RING, 1, RING // 2, False, False)[0]
    return spectrum, usual.clamp(min=1e-30)


def _beyond(segments: Tensor) -> Tensor:
    """The part that changes from line to line (n, s) faster than any lens passes."""
    reach = min(TAPS // 2, len(segments) - 1)
    segments = segments - segments.mean()
    kernel = _kernel(segments)[TAPS // 2 - reach : TAPS // 2 + reach + 1]
    # Mirrored at the point of the border, so that no slope breaks there.
    before, after = (
        2 * segments[end][None] - part.flip(0)
        for end, part in ((0, segments[1 : reach + 1]), (-1, segments[-reach - 1 : -1]))
    )
    mirrored = torch.cat([before, segments, after]).T[:, None]
    with exact_arithmetic():
        return torch.nn.functional.conv1d(mirrored, kernel[None, None])[:, 0].T


def _kernel(lines: Tensor) -> Tensor:
    return _taps().to(lines)


@cache
def _taps() -> Tensor:
    """High-pass filter, a windowed sinc: `scipy.signal.firwin`, which takes a second to load."""
    places = torch.arange(TAPS, dtype=torch.float64) - TAPS // 2
    low = 2 * BEYOND * torch.sinc(2 * BEYOND * places)
    taps = torch.signal.windows.hamming(TAPS, dtype=torch.float64) * (torch.sinc(places) - low)
    return taps / (taps * torch.cos(math.pi * places)).sum()


def _without(high: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
    """Result of `_beyond` as if the odd lines had no offset, and the offset to take off them.

    Both are (n, s), the second one zero in all other lines.
    """
    excess, numbers = torch.zeros_like(high), odd.nonzero().flatten()
    if not len(numbers):
        return high, excess
    distance = (torch.arange(len(high), device=high.device)[:, None] - numbers[None]).abs()
    kernel = torch.nn.functional.pad(_kernel(high)[TAPS // 2 :], (0, 1))
    responses = kernel[distance.clamp(max=len(kernel) - 1)]
    excess[numbers] = torch.linalg.solve(responses[numbers], high[numbers])
    return high - responses @ excess[numbers], excess


def _scores(high: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each line (n, segments), and the median over its parts, in standard errors: (n,).

    Zero at the border of the field.
    """
    rest = high - high.mean(dim=1, keepdim=True)
    error = rest[EDGE:-EDGE].square().mean().sqrt() / math.sqrt(high.shape[1])
    parts = torch.stack([part.mean(dim=1) for part in high.tensor_split(BLOCKS, dim=1)])
    scores = torch.stack([high.mean(dim=1), parts.median(dim=0).values])
    scores[:, :EDGE] = scores[:, -EDGE:] = 0.0
    return (scores / error.clamp(min=1e-30)).unbind()
