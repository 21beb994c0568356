"""The first look at every time point of a series: dark, bright, copied, cut and moved frames.

It takes a few milliseconds, of which the full checks of `raw_checks` take a hundred, and it finds
what may be wrong. The full checks then decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from bayesdl_sim.physics.checks.stored_values import SATURATED, saturated_share
from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.bands import taper
from bayesdl_sim.utils.pieces.brightest import brightest_square

__all__ = ["FirstLook", "first_look"]

SIDE = 512  # raw pixels, of the brightest part of a field that is looked at
BLOCK = 8  # raw pixels, over which the fringes (3 to 6 pixels) and the noise average out


@dataclass(frozen=True, kw_only=True)
class FirstLook:
    """What the first look at a stack finds.

    Attributes:
        contrast: standard deviation of the mean frame over blocks of 8 pixels, in counts: the light
            of the structure, whatever the camera's offset.
        brightness: of the structure in each of the nine frames, over the third brightest: up to six
            of them may be dark, and two too bright.
        copies: pairs of frames, counted from 1, with the same value in every pixel.
        saturated_share: see `stored_values.saturated_share`.
        total: sum of the counts of all frames, by which two time points are told to be one.
        moved_px: largest shift between the orientations in whole pixels, raw ones; 0 where the
            three shifts do not add up, as in noise. `drift.drift` measures it to a fraction.
    """

    contrast: float
    brightness: tuple[float, ...]
    copies: tuple[tuple[int, int], ...]
    saturated_share: float
    total: float
    moved_px: float


def first_look(raw: Tensor) -> FirstLook:
    """Looks at a stack, of a large field at its brightest part.

    The brightness of a frame is the slope of its blocks against those of the mean frame. It is 0
    for a dark frame at any offset.

    Args:
        raw: (9, H, W) counts of 16 pixels or more each way; NaN where there is no data.
    """
    if max(raw.shape[1:]) > SIDE:
        raw = raw[:, *brightest_square(raw.nan_to_num(), SIDE)]
    if math.isnan(float(raw.sum())):  # faster than to test every pixel
        raw = raw.nan_to_num(float(raw[~raw.isnan()].median()))
    frames = _without_outliers(raw)
    blocks = torch.nn.functional.avg_pool2d(frames[None], BLOCK)[0].flatten(1).double()
    blocks = blocks - blocks.mean(dim=1, keepdim=True)
    mean = blocks.mean(dim=0)
    slopes = (blocks @ mean) / mean.square().sum().clamp(min=1e-30)
    usual = slopes.sort().values[-3].clamp(min=1e-6)
    sums = raw.sum(dim=(1, 2), dtype=torch.float64).tolist()
    return FirstLook(
        contrast=float(mean.square().mean().sqrt()),
        brightness=tuple((slopes / usual).tolist()),
        copies=_copies(raw, sums),
        saturated_share=_saturated(raw),
        total=sum(sums),
        moved_px=_moved(frames),
    )


def _without_outliers(frames: Tensor) -> Tensor:
    """The frames with no pixel above the brightest of its four neighbours: hot ones are gone."""
    around = torch.nn.functional.pad(frames[None], (1, 1, 1, 1), mode="replicate")[0]
    sides = (
        around[:, :-2, 1:-1],
        around[:, 2:, 1:-1],
        around[:, 1:-1, :-2],
        around[:, 1:-1, 2:],
    )
    highest = sides[0]
    for side in sides[1:]:
        highest = torch.maximum(highest, side)
    return torch.minimum(frames, highest)


def _moved(frames: Tensor) -> float:
    """The largest shift between the sums of the orientations, by their correlation."""
    shape = frames.shape[1:]
    sums = frames.reshape(ORIENTATIONS, PHASES, *shape).sum(dim=1)
    window = taper(tuple(shape), frames.device).to(frames)
    spectra = torch.fft.rfft2((sums - sums.mean(dim=(1, 2), keepdim=True)) * window)
    first, second, third = spectra
    pairs = torch.stack([first * second.conj(), second * third.conj(), first * third.conj()])
    peaks = torch.fft.irfft2(pairs, s=shape).flatten(1).argmax(dim=1).tolist()
    shifts = [
        [(place + side // 2) % side - side // 2 for place, side in zip(at, shape, strict=True)]
        for at in (divmod(peak, shape[1]) for peak in peaks)
    ]
    rest = max(abs(a + b - c) for a, b, c in zip(*shifts, strict=True))
    return 0.0 if rest > 1 else max(math.hypot(*shift) for shift in shifts)


def _copies(raw: Tensor, sums: Sequence[float]) -> tuple[tuple[int, int], ...]:
    """The pairs of equal frames; few frames share their sum."""
    return tuple(
        (a + 1, b + 1)
        for a, b in combinations(range(len(raw)), 2)
        if sums[a] == sums[b] and torch.equal(raw[a], raw[b])
    )


def _saturated(raw: Tensor) -> float:
    at_top = int((raw == raw.max()).count_nonzero()) / raw.numel()
    return saturated_share(raw) if at_top > SATURATED else 0.0
