"""Which fringes each single frame shows, whatever the order of the frames.

Pattern estimation unmixes the three frames of an orientation and so believes that they belong
together. Here every frame speaks for itself: its difference from the mean of all nine is
correlated with that mean moved by every wave vector, and frames that show the same wave vector
form a group. In a right stack these are the frames 1-3, 4-6 and 7-9.
"""

from __future__ import annotations

import cmath
import math
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import frequencies
from bayesdl_sim.physics.patterns.correlation import (
    ANNULUS,
    correlate,
    field_of,
    reference,
    sample_of,
    score_map,
    values_at,
)
from bayesdl_sim.physics.patterns.noise import noise_weight

__all__ = ["CLEAR", "FringeGroup", "frame_differences", "fringe_groups"]

CLEAR = 6.0  # height of a peak over the median of its ring; noise alone stays below 4.5
AT_A_KNOWN_PLACE = 4.0  # the same where nothing is searched: noise gets there in 1 of 60 000
NOT_BY_CHANCE = 0.6  # of a frame's highest peak: lower ones are side lobes


class FringeGroup(NamedTuple):
    """Frames that clearly show one wave vector.

    Attributes:
        frames: their numbers, from 0.
        frequency: cycles per raw pixel.
        angle: rad.
        height: of the peak in each of these frames; noise has about 1.
        phase: of the fringes in each of these frames, rad, up to a constant of the group.
    """

    frames: tuple[int, ...]
    frequency: float
    angle: float
    height: tuple[float, ...]
    phase: tuple[float, ...]


def frame_differences(frames: Tensor, window: Tensor) -> Tensor:
    """What tells each frame from the mean of all: `frame - b mean`, b by least squares.

    Args:
        frames: (9, H, W) without background.
        window: (H, W) taper, the weight of the fit.

    Returns:
        (9, H, W); fringes, noise and faults, no wide field.
    """
    mean = frames.mean(dim=0)
    centred = (mean - (mean * window).sum() / window.sum()) * window
    power = (centred * mean).sum().clamp(min=1e-300)
    slope = (centred * frames).sum(dim=(1, 2)) / power
    rest = frames - slope[:, None, None] * mean
    return rest - (rest * window).sum(dim=(1, 2), keepdim=True) / window.sum()


def fringe_groups(frames: Tensor, optics: Optics, noise: float) -> list[FringeGroup]:
    """Groups of frames by the wave vector that they clearly show, the clearest group first.

    The highest peak of the summed squared scores of all frames is taken, the frames that show it
    leave, and so on with those that are left. A frame without a clear peak of its own joins a group
    if it shows the same at the group's wave vector.

    Args:
        frames: (9, H, W) without background.
        noise: variance of a pixel of a frame.

    Returns:
        None, where fringes are too weak for the noise. A frame is in one group at most.
    """
    frames, noise = frames / math.sqrt(noise), 1.0
    field = field_of(optics, noise_weight(frames))
    sample = sample_of(field.spectra(frames.mean(dim=0)), field, noise / len(frames))
    maps, products = [], []
    for difference in field.spectra(frame_differences(frames, field.window)):
        ref = reference(sample, difference, field, noise)
        products.append(correlate(ref, difference, field))
        maps.append(score_map(ref, products[-1], field))
    fy, fx = frequencies(tuple(maps[0].shape), frames.device)
    radius = torch.hypot(fy, fx)
    scores = torch.stack(maps).masked_fill((radius < ANNULUS[0]) | (radius > ANNULUS[1]), 0.0)
    highest = scores.flatten(1).max(dim=1).values
    left, found = set(range(len(frames))), []
    while left:
        total = scores[sorted(left)].square().sum(dim=0)
        row, column = divmod(int(total.argmax()), total.shape[1])
        height = scores[:, row, column]
        clear = (height >= CLEAR) & (height >= NOT_BY_CHANCE * highest)
        members = tuple(f for f in sorted(left) if bool(clear[f]))
        if not members:
            break
        ky, kx = float(fy[row, 0]), float(fx[0, column])
        found.append((set(members), ky, kx, height))
        left -= set(members)
    for f in left:
        nearest = max(found, key=lambda group: float(group[3][f]), default=None)
        if nearest and float(nearest[3][f]) >= AT_A_KNOWN_PLACE:
            nearest[0].add(f)
    return [_group(sorted(members), ky, kx, height, products) for members, ky, kx, height in found]


def _group(
    members: list[int], ky: float, kx: float, height: Tensor, products: list[Tensor]
) -> FringeGroup:
    phase = tuple(cmath.phase(_value_at(products[f], ky, kx)) for f in members)
    heights = tuple(float(height[f]) for f in members)
    return FringeGroup(tuple(members), math.hypot(ky, kx), math.atan2(ky, kx), heights, phase)


def _value_at(product: Tensor, ky: float, kx: float) -> complex:
    """The Fourier transform of a product at one frequency; its phase is that of the fringes."""
    rows, columns = (product.real.new_tensor([k]) for k in (ky, kx))
    return complex(values_at(product[None], rows, columns))
