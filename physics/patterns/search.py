"""Joint search for the wave vectors of three orientations in their correlation maps."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS
from bayesdl_sim.physics.patterns.bands import frequencies
from bayesdl_sim.physics.patterns.scores import ANNULUS

__all__ = ["SPREAD", "Fan", "find_fan", "log_evidence"]

TURN = math.pi / 3  # between orientations
SPREAD = 0.008  # cycles per raw pixel: usual deviation of a wave vector from its place in the fan
SAME_FAN = 3 * SPREAD  # cycles per raw pixel, between the wave vectors of fans that are one
PEAK = 2.5  # half frequencies around a peak that are its own
USUAL_ENERGY = 10.0  # of a pattern that is worth a search
CELL = 0.0025  # cycles per raw pixel, of the map that fans are tried on
ANGLE_STEP = 0.01  # rad
CLEAR_EVIDENCE, CERTAIN = 12.0, 0.99  # of every orientation of a fan that is beyond doubt
LEAST_ODDS = -80.0  # logarithm; smaller numbers than its exponential are slow to compute with
# Evidence beyond this is compressed, since sums of exponentials hold 16 digits and no more.
COMPRESSED = 25.0


@dataclass(frozen=True, kw_only=True)
class Fan:
    """Three wave vectors and the evidence for them.

    Attributes:
        waves: (ky, kx) in cycles per raw pixel, per orientation.
        heights: of their peaks in the correlation maps.
        evidence: log of the Bayes factor of such a fan against none, over all places of the fan.
        evidences: the share of each orientation, given the place of the fan.
        certainties: per orientation, the probability 0..1 that its wave vector is this one and no
            other place of the maps, if there are fringes at all.
    """

    waves: list[tuple[float, float]]
    heights: list[float]
    evidence: float
    evidences: list[float]
    certainties: list[float]

    @property
    def is_clear(self) -> bool:
        """Whether all three wave vectors are beyond doubt, so that no other optics show others."""
        return min(self.evidences) > CLEAR_EVIDENCE and min(self.certainties) > CERTAIN


def log_evidence(height: Tensor) -> Tensor:
    """Log of the Bayes factor of a peak against noise, for one place that was named beforehand.

    The power of noise over its median follows an exponential law, so `E = ln 2 height^2` has mean 1
    there, and mean `1 + E_0` where a pattern adds a random complex amplitude of energy `E_0`:

        ln p(E | pattern) / p(E | noise) = E E_0 / (1 + E_0) - ln(1 + E_0),

    whose exponential is 1 on average over noise.
    """
    share = math.log(2.0) * USUAL_ENERGY / (1 + USUAL_ENERGY)
    return share * height.square() - math.log(1 + USUAL_ENERGY)


def find_fan(maps: list[Tensor]) -> Fan:
    """Wave vectors of three orientations that fan out by 60 degrees, either way round.

    Public stands differ in start angle and sense of rotation, never in this: three weak peaks
    that fit together are found where each alone would drown. The evidence for a fan is the sum
    over the orientations of `ln mean exp(log_evidence)`, the mean over a Gaussian of `SPREAD`
    around the place of its wave vector. A few points that fringes light up differently may fit
    several wave vectors: `Fan.certainties` is the share that the returned one has in all of
    `exp(log_evidence)`, among the fans and near the place that the fan gives it.

    Args:
        maps: three maps of `correlation.score_map`.
    """
    shape, device = tuple(maps[0].shape), maps[0].device
    fy, fx = frequencies(shape, device)
    radius = torch.hypot(fy, fx)
    allowed = (radius > ANNULUS[0]) & (radius < ANNULUS[1])
    single = [log_evidence(torch.where(allowed, m, 0.0)) for m in maps]
    # Fringes at k are fringes at -k: which one shows depends on the direction of the phases.
    undirected = [
        torch.logaddexp(m, m.flip(0, 1).roll((1, 1), (0, 1))) - math.log(2.0) for m in single
    ]
    pool = max(1, round(CELL * min(shape)))
    cells = [n / pool for n in shape]
    best = _best_fan([_blurred(m, pool) for m in undirected], cells)
    sense, ky, kx = best.sense, best.ky, best.kx
    # The clearest orientation fixes where to expect the others.
    places = [_turn(ky, kx, sense * o * TURN) for o in range(ORIENTATIONS)]
    near = [
        _highest(_near(m, fy, fx, y, x), fy, fx)
        for m, (y, x) in zip(undirected, places, strict=True)
    ]
    anchor = max(range(ORIENTATIONS), key=lambda o: near[o][0])
    _, ky, kx = near[anchor]
    waves, heights, certainties = [], [], []
    for o, m in enumerate(single):
        y, x = _turn(ky, kx, sense * (o - anchor) * TURN)
        likely = _near(m, fy, fx, y, x, mirrored=True)
        _, y, x = _highest(likely, fy, fx)
        waves.append((y, x))
        heights.append(float(maps[o][round(y * shape[0]), round(x * shape[1])]))
        certainties.append(best.share * _share(likely, fy, fx, y, x))
    return Fan(
        waves=waves,
        heights=heights,
        evidence=best.evidence,
        evidences=best.evidences,
        certainties=certainties,
    )


def _near(
    evidence: Tensor, fy: Tensor, fx: Tensor, y: float, x: float, mirrored: bool = False
) -> Tensor:
    """The evidence with a Gaussian prior of `SPREAD` around a place, or it and its mirror."""
    rows, columns = fy.to(evidence), fx.to(evidence)
    away = (rows - y).square() + (columns - x).square()
    if mirrored:
        away = torch.minimum(away, (rows + y).square() + (columns + x).square())
    return evidence - away * (0.5 / SPREAD**2)


def _highest(likely: Tensor, fy: Tensor, fx: Tensor) -> tuple[float, float, float]:
    """The largest value of a map, and its ky and kx."""
    row, column = divmod(int(likely.argmax()), likely.shape[1])
    return float(likely[row, column]), float(fy[row, 0]), float(fx[0, column])


def _share(likely: Tensor, fy: Tensor, fx: Tensor, y: float, x: float) -> float:
    """The share of one peak in the sum of `exp(likely)`."""
    odds = (likely - likely.max()).clamp(min=LEAST_ODDS).exp()
    rows = (fy - y).abs() * odds.shape[0] < PEAK
    columns = (fx - x).abs() * odds.shape[1] < PEAK
    peak = odds[rows[:, 0]][:, columns[0]]
    return float(peak.sum(dtype=torch.float64) / odds.sum(dtype=torch.float64))


def _blurred(evidence: Tensor, pool: int) -> Tensor:
    """`ln (Gaussian * exp evidence)` on cells of `pool` frequencies, zero in the middle."""
    centred = torch.fft.fftshift(evidence)
    over = (centred - COMPRESSED).clamp(min=0.0)
    odds = (centred.clamp(max=COMPRESSED) + 8 * over / (over + 200)).exp()
    if pool > 1:
        odds = torch.nn.functional.avg_pool2d(
            odds[None, None], pool, ceil_mode=True, count_include_pad=False
        )[0, 0]
    odds = odds.double()  # for a transform that holds the largest and the smallest of them
    kernels = []
    for n, whole in zip(odds.shape, evidence.shape, strict=True):
        step = torch.arange(n, dtype=torch.float64, device=odds.device)
        step = torch.minimum(step, n - step) * pool / whole
        kernel = torch.exp(-0.5 * (step / SPREAD) ** 2)
        kernels.append(kernel / kernel.sum())
    kernel = torch.fft.rfft2(kernels[0][:, None] * kernels[1][None])
    blurred = torch.fft.irfft2(torch.fft.rfft2(odds) * kernel, s=tuple(odds.shape))
    return blurred.clamp(min=1e-2).log()


@dataclass(frozen=True, kw_only=True)
class _Best:
    """The best fan: evidence of all fans, of each orientation, sense, first wave, share in all."""

    evidence: float
    evidences: list[float]
    sense: float
    ky: float
    kx: float
    share: float


def _best_fan(blurred: list[Tensor], cells: list[float]) -> _Best:
    """The best fan on a grid of radius, angle and sense.

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
    whole = float(total.flatten().logsumexp(dim=0))
    # Fringes have no direction: a turn by half a circle is none.
    turn = torch.remainder(angle - a + math.pi / 2, math.pi) - math.pi / 2
    alike = (radius - r).square() + (r * turn).square() < SAME_FAN**2
    near = float(total[sense][alike].logsumexp(dim=0))
    return _Best(
        evidence=whole - math.log(total.numel()),
        evidences=parts[sense][:, row, column].tolist(),
        sense=(1.0, -1.0)[sense],
        ky=r * math.sin(a),
        kx=r * math.cos(a),
        share=math.exp(min(near - whole, 0.0)),
    )


def _turn(ky: float, kx: float, angle: float) -> tuple[float, float]:
    wave = complex(kx, ky) * cmath.exp(1j * angle)
    return wave.imag, wave.real
