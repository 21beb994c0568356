"""The wave vectors of three orientations, found together in their correlation maps."""

from __future__ import annotations

import cmath
import math
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS
from bayesdl_sim.physics.patterns.bands import frequencies
from bayesdl_sim.physics.patterns.correlation import ANNULUS

__all__ = ["Fan", "find_fan", "log_evidence"]

TURN = math.pi / 3  # between orientations
SPREAD = 0.008  # cycles per raw pixel: usual deviation of a wave vector from its place in the fan
CELL = 0.0025  # cycles per raw pixel, of the map that fans are tried on
ANGLE_STEP = 0.01  # rad
# Evidence beyond this is compressed, since sums of exponentials hold 16 digits and no more.
COMPRESSED = 25.0


class Fan(NamedTuple):
    """Three wave vectors, and what speaks for them.

    Attributes:
        waves: (ky, kx) in cycles per raw pixel, per orientation.
        heights: of their peaks in the correlation maps.
        evidence: log of the Bayes factor of such a fan against none, over all places of the fan.
        evidences: the share of each orientation, given the place of the fan.
    """

    waves: list[tuple[float, float]]
    heights: list[float]
    evidence: float
    evidences: list[float]


def log_evidence(height: Tensor) -> Tensor:
    """Log of the Bayes factor of a peak against noise, for one place that was named beforehand.

    The power of noise over its median follows an exponential law, so `E = ln 2 height^2` is the
    log-likelihood that a pattern gains. Its unknown complex amplitude costs `1 + ln E`.
    """
    energy = (math.log(2.0) * height.square()).clamp(min=1.0)
    return energy - 1 - energy.log()


def find_fan(maps: list[Tensor]) -> Fan:
    """Wave vectors of three orientations that fan out by 60 degrees, either way round.

    Public stands differ in start angle and sense of rotation, never in this: three weak peaks
    that fit together are found where each alone would drown. The evidence for a fan is the sum
    over the orientations of `ln mean exp(log_evidence)`, the mean over a Gaussian of `SPREAD`
    around the place of its wave vector.

    Args:
        maps: three maps of `correlation.score_map`.
    """
    shape, device = tuple(maps[0].shape), maps[0].device
    fy, fx = frequencies(shape, device)
    radius = torch.hypot(fy, fx)
    allowed = (radius > ANNULUS[0]) & (radius < ANNULUS[1])
    single = [torch.where(allowed, log_evidence(m), 0.0) for m in maps]
    # Fringes at k are fringes at -k: which one shows depends on the direction of the phases.
    both = [torch.maximum(m, m.flip(0, 1).roll((1, 1), (0, 1))) for m in single]
    pool = max(1, round(CELL * min(shape)))
    cells = [n / pool for n in shape]
    evidence, evidences, sense, ky, kx = _best_fan([_blurred(m, pool) for m in both], cells)
    # The clearest orientation tells where to expect the others.
    places = [_turn(ky, kx, sense * o * TURN) for o in range(ORIENTATIONS)]
    near = [_highest(m, fy, fx, y, x, SPREAD) for m, (y, x) in zip(both, places, strict=True)]
    anchor = max(range(ORIENTATIONS), key=lambda o: near[o][0])
    _, ky, kx = near[anchor]
    waves, heights = [], []
    for o, m in enumerate(single):
        y, x = _turn(ky, kx, sense * (o - anchor) * TURN)
        _, y, x = _highest(m, fy, fx, y, x, SPREAD, mirrored=True)
        waves.append((y, x))
        heights.append(float(maps[o][round(y * shape[0]), round(x * shape[1])]))
    return Fan(waves, heights, evidence, evidences)


def _highest(
    evidence: Tensor,
    fy: Tensor,
    fx: Tensor,
    y: float,
    x: float,
    spread: float,
    mirrored: bool = False,
) -> tuple[float, float, float]:
    """The best evidence near a place, with a Gaussian prior around it: value, ky and kx."""
    away = (fy - y).square() + (fx - x).square()
    if mirrored:
        away = torch.minimum(away, (fy + y).square() + (fx + x).square())
    likely = evidence - 0.5 * away / spread**2
    best = int(likely.argmax())
    row, column = divmod(best, likely.shape[1])
    return float(likely[row, column]), float(fy[row, 0]), float(fx[0, column])


def _blurred(evidence: Tensor, pool: int) -> Tensor:
    """`ln (Gaussian * exp evidence)` on cells of `pool` frequencies, zero in the middle."""
    centred = torch.fft.fftshift(evidence)
    if pool > 1:
        centred = torch.nn.functional.max_pool2d(centred[None, None], pool, ceil_mode=True)[0, 0]
    over = (centred - COMPRESSED).clamp(min=0.0)
    odds = (centred.clamp(max=COMPRESSED) + 8 * over / (over + 200)).double().exp()
    kernels = []
    for n, whole in zip(odds.shape, evidence.shape, strict=True):
        step = torch.arange(n, dtype=torch.float64, device=odds.device)
        step = torch.minimum(step, n - step) * pool / whole
        kernel = torch.exp(-0.5 * (step / SPREAD) ** 2)
        kernels.append(kernel / kernel.sum())
    kernel = torch.fft.rfft2(kernels[0][:, None] * kernels[1][None])
    blurred = torch.fft.irfft2(torch.fft.rfft2(odds) * kernel, s=tuple(odds.shape))
    return blurred.clamp(min=1e-2).log()


def _best_fan(
    blurred: list[Tensor], cells: list[float]
) -> tuple[float, list[float], float, float, float]:
    """Evidence of all fans together and of each orientation; sense and first wave of the best.

    Args:
        cells: how many of the maps' cells, as a fraction, make a frequency of 1 per raw pixel.
    """
    shape, device = tuple(blurred[0].shape), blurred[0].device
    radius = torch.arange(*ANNULUS, CELL, dtype=torch.float64, device=device)[:, None]
    angle = torch.arange(0, math.pi, ANGLE_STEP, dtype=torch.float64, device=device)[None]
    totals, parts = [], []
    for sense in (1.0, -1.0):
        values = []
        for o, m in enumerate(blurred):
            turned = angle + sense * o * TURN
            rows, columns = (
                ((radius * side(turned) + 0.5) * n).long().clamp(max=last - 1)
                for side, n, last in zip((torch.sin, torch.cos), cells, shape, strict=True)
            )
            values.append(m[rows, columns])
        parts.append(torch.stack(values))
        totals.append(parts[-1].sum(dim=0))
    total = torch.stack(totals)
    best = int(total.argmax())
    # Not by torch.unravel_index, whose first call loads half a second of PyTorch's compiler.
    sense, place = divmod(best, total.shape[1] * total.shape[2])
    row, column = divmod(place, total.shape[2])
    r, a = float(radius[row, 0]), float(angle[0, column])
    evidence = float(total.flatten().logsumexp(dim=0)) - math.log(total.numel())
    evidences = parts[sense][:, row, column].tolist()
    return evidence, evidences, (1.0, -1.0)[sense], r * math.sin(a), r * math.cos(a)


def _turn(ky: float, kx: float, angle: float) -> tuple[float, float]:
    wave = complex(kx, ky) * cmath.exp(1j * angle)
    return wave.imag, wave.real
