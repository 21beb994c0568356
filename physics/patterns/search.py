"""The wave vectors of three orientations, found together in their correlation maps."""

from __future__ import annotations

import cmath
import math

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS
from bayesdl_sim.physics.patterns.bands import frequencies

__all__ = ["ANNULUS", "find_fan"]

ANNULUS = (0.15, 0.42)  # cycles per raw pixel
FAN = math.pi / 3  # between orientations
FAN_TOLERANCE = 0.02  # cycles per raw pixel, of a wave vector from its place in the fan
FAN_SPREAD = 0.01  # its usual standard deviation


def find_fan(maps: list[Tensor], largest: float) -> tuple[list[tuple[float, float]], list[float]]:
    """Wave vectors of three orientations that fan out by 60 degrees, either way round.

    Public stands differ in start angle and sense of rotation, never in this: three weak peaks
    that fit together are found where each alone would drown.

    Args:
        maps: three maps of `correlation.score_map`.
        largest: radius that the search stops at, if below `ANNULUS`.

    Returns:
        (ky, kx) in cycles per raw pixel and the height of the peak, per orientation.
    """
    shape, device = tuple(maps[0].shape), maps[0].device
    fy, fx = frequencies(shape, device)
    radius = torch.hypot(fy, fx)
    allowed = (radius > ANNULUS[0]) & (radius < min(ANNULUS[1], largest))
    maps = [torch.where(allowed, m, 0.0) for m in maps]
    # Fringes at k are fringes at -k: which one shows depends on the direction of the phases.
    both = [torch.maximum(m, m.flip(0, 1).roll((1, 1), (0, 1))) for m in maps]
    sense, ky, kx = _best_fan(both)
    near = []
    for o, m in enumerate(both):
        y, x = _turn(ky, kx, sense * o * FAN)
        near.append(torch.where(torch.hypot(fy - y, fx - x) < 1.5 * FAN_TOLERANCE, m, -1.0))
    # The clearest orientation tells where to expect the others; their own peaks weigh by the
    # log-likelihood of the height, 0.69 = half the square of the median of Rayleigh's law.
    anchor = max(range(ORIENTATIONS), key=lambda o: float(near[o].max()))
    best = int(near[anchor].argmax())
    ky, kx = float(fy[best // shape[1], 0]), float(fx[0, best % shape[1]])
    waves, heights = [], []
    for o, m in enumerate(maps):
        y, x = _turn(ky, kx, sense * (o - anchor) * FAN)
        away = torch.minimum(torch.hypot(fy - y, fx - x), torch.hypot(fy + y, fx + x))
        likely = 0.69 * m**2 - 0.5 * (away / FAN_SPREAD) ** 2
        best = int(torch.where(allowed, likely, -math.inf).argmax())
        waves.append((float(fy[best // shape[1], 0]), float(fx[0, best % shape[1]])))
        heights.append(float(m.flatten()[best]))
    return waves, heights


def _best_fan(maps: list[Tensor]) -> tuple[float, float, float]:
    """Sense of rotation and first wave vector (ky, kx) of the fan with the highest peaks."""
    height, width = maps[0].shape
    reach = (max(1, round(FAN_TOLERANCE * height)), max(1, round(FAN_TOLERANCE * width)))
    peaks = [_local_maximum(m, reach) ** 2 for m in maps]
    radius = torch.arange(*ANNULUS, 0.005, dtype=torch.float64, device=maps[0].device)[:, None]
    angle = torch.arange(0, math.pi, 0.0175, dtype=torch.float64, device=maps[0].device)[None]
    best = (-1.0, 1.0, 0.0, 0.0)
    for sense in (1.0, -1.0):
        total = torch.zeros_like(radius * angle)
        for o, peak in enumerate(peaks):
            ky = radius * torch.sin(angle + sense * o * FAN)
            kx = radius * torch.cos(angle + sense * o * FAN)
            total += peak[
                (ky * height).round().long() % height, (kx * width).round().long() % width
            ]
        if float(total.max()) > best[0]:
            row, column = divmod(int(total.argmax()), angle.shape[1])
            best = (float(total.max()), sense, float(radius[row, 0]), float(angle[0, column]))
    _, sense, r, a = best
    return sense, r * math.sin(a), r * math.cos(a)


def _local_maximum(image: Tensor, reach: tuple[int, int]) -> Tensor:
    """Maximum over a box of `reach` pixels each way, on a grid that wraps around."""
    for axis, pixels in enumerate(reach):
        width, seen = 2 * pixels + 1, 1
        while seen < width:  # the maximum over twice as many pixels, from that over `seen`
            step = min(seen, width - seen)
            image, seen = torch.maximum(image, image.roll(-step, axis)), seen + step
        image = image.roll(pixels, axis)
    return image


def _turn(ky: float, kx: float, angle: float) -> tuple[float, float]:
    wave = complex(kx, ky) * cmath.exp(1j * angle)
    return wave.imag, wave.real
