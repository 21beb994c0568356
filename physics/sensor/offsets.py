"""Backgrounds that differ from frame to frame: stray light, or a camera offset that wanders."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = ["coarse_frames", "frame_offsets", "offsets_of"]

COARSE = 4  # raw pixels a side, averaged before anything else
SMOOTHING = 1.5  # coarse pixels; fringes of any SIM stand average out
HELD = 0.5  # share of a coarse pixel that has to hold data
DARK_SHARE = 0.1  # of the coarse pixels: the darkest of the mean frame
LIT_SHARE = 0.05  # of them: the brightest, whose darkest one stands for the structure
FEWEST = 8  # dark coarse pixels that a measurement takes
STANDARD_ERRORS = 4.0
LEAST_OFFSET = 0.002  # of the light of the structure; less costs under 0.1 dB


def frame_offsets(counts: Tensor, usable: Tensor) -> Tensor:
    """Counts (9,) by which the dark of each frame lies above that of the mean frame.

    With D the darkest tenth of the mean frame, both smoothed over the fringes,

        offset_f = mean over D of (frame_f - mean frame).

    All are zero unless one of them exceeds 0.2 % of the light of the structure and four standard
    errors, from the scatter of the smoothed difference over D. A flickering lamp changes the dark
    as far as there is haze, and this is levelled, too. Networks that were trained on frames with
    one background lose up to 4 dB by an offset of 1 %.

    Args:
        counts: (9, H, W), finite where they are usable.
        usable: (H, W), the pixels that hold data.
    """
    return offsets_of(coarse_frames(counts, usable))


def coarse_frames(counts: Tensor, usable: Tensor) -> Tensor:
    """Frames averaged over coarse pixels, and the share of usable ones: (10, H / 4, W / 4).

    Bands of rows can be averaged one by one if their height is a multiple of four.
    """
    held = torch.where(usable, counts, torch.zeros_like(counts))
    layers = torch.cat([held, usable.to(counts)[None]])
    return torch.nn.functional.avg_pool2d(layers, COARSE)


def offsets_of(coarse: Tensor) -> Tensor:
    """`frame_offsets` (9,) of the `coarse_frames` (10, h, w) of a field."""
    smooth = gaussian(coarse, SMOOTHING)
    frames, share = smooth[:-1] / smooth[-1].clamp(min=1e-3), coarse[-1]
    zero, mean = torch.zeros_like(frames[:, 0, 0]), frames.mean(dim=0)
    values = mean[share > HELD].sort().values
    dark_count = int(DARK_SHARE * len(values))
    if dark_count < FEWEST:
        return zero
    dark = (share > HELD) & (mean <= values[dark_count])
    light = float(values[-1 - int(LIT_SHARE * len(values))] - values[dark_count])
    differences = (frames - mean)[:, dark]
    offsets = differences.mean(dim=1)
    independent = max(dark_count / (4 * math.pi * SMOOTHING**2), 1.0)
    errors = differences.std(dim=1) / math.sqrt(independent)
    clear = offsets.abs() > (STANDARD_ERRORS * errors).clamp(min=LEAST_OFFSET * light)
    return offsets if bool(clear.any()) else zero
