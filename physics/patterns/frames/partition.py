"""Evidence for each of the 280 partitions of nine frames into three orientations.

Fringes of one orientation are one wave vector at three phases, 120 degrees apart. Three frames
added up with those phases show it three times as clearly as one frame, and three frames that do not
belong together show it less. So weak fringes, which no single frame shows, still fix the order.
"""

from __future__ import annotations

import cmath
import math
from itertools import combinations, permutations
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import FRAMES, ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.correlation import Field
from bayesdl_sim.physics.patterns.scores import ANNULUS, searched_places
from bayesdl_sim.physics.patterns.search import SPREAD, log_evidence
from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = ["PARTITIONS", "STATED", "Weighed", "weigh_partitions"]

TRIPLES = tuple(combinations(range(FRAMES), PHASES))
STEP = 0.004  # cycles per raw pixel, of the map that fans are tried on
ANGLES = 52  # in 60 degrees
LARGEST = 300.0  # of a log evidence: more is compressed, since exponentials end at 700
HEIGHT = 1 / math.sqrt(PHASES * math.log(2.0))  # of a sum of three amplitudes of noise


def _partitions() -> tuple[tuple[tuple[int, ...], ...], ...]:
    partitions = []
    for second, third in combinations(TRIPLES, 2):
        first = tuple(f for f in range(FRAMES) if f not in second + third)
        if len(first) == PHASES and first < second:
            partitions.append((first, second, third))
    return tuple(partitions)


PARTITIONS = _partitions()  # 280, each in order of its first frames
STATED = PARTITIONS.index(((0, 1, 2), (3, 4, 5), (6, 7, 8)))


class Weighed(NamedTuple):
    """Evidence of the fringes for the partitions of the frames.

    Attributes:
        evidence: (280,), per partition of `PARTITIONS` the log of the Bayes factor of three wave
            vectors that fan out by 60 degrees, one for each of its triples, against none.
        waves: (280, 3, 2), of their best fans the (ky, kx) of each triple, cycles per raw pixel, as
            exact as the grid that fans are tried on.
    """

    evidence: Tensor
    waves: Tensor

    @property
    def best(self) -> int:
        """The number of the partition with the most evidence."""
        return int(self.evidence.argmax())


def weigh_partitions(amplitudes: Tensor, field: Field) -> Weighed:
    """Weighs all partitions by the joint evidence of their triples.

    Args:
        amplitudes: (9, n) complex, `scores.amplitudes` of each frame's difference from the mean at
            the searched half places of the field.
        field: of the frames.
    """
    amplitudes = HEIGHT * amplitudes
    cells = _Cells(*searched_places(field).half_waves.unbind(dim=1), 2 * min(field.transfer.shape))
    turn, maps = cmath.exp(2j * math.pi / PHASES), []
    for a, b, c in TRIPLES:
        first, second, third = amplitudes[a], amplitudes[b], amplitudes[c]
        senses = [
            log_evidence((first + w * second + w * w * third).abs()) for w in (turn, 1 / turn)
        ]
        maps.append(cells.sums(torch.logaddexp(*senses) - math.log(2.0)))
    return _weighed(*cells.polar(torch.stack(maps)))


class _Cells:
    """Square cells of frequency around the origin, in which the places of the maps lie."""

    def __init__(self, ky: Tensor, kx: Tensor, side: int) -> None:
        self.step = max(STEP, 1.0 / side)
        self.middle = math.ceil(ANNULUS[1] / self.step) + 1
        self.size = 2 * self.middle + 1
        # k and -k are the same fringes
        self.index = torch.stack([self._index(ky, kx), self._index(-ky, -kx)])
        self.count = self._smooth(self.sums(torch.zeros(len(ky), device=ky.device))[None])

    def _index(self, ky: Tensor, kx: Tensor) -> Tensor:
        rows, columns = ((k / self.step).round().long() + self.middle for k in (ky, kx))
        last = self.size - 1
        return rows.clamp(0, last) * self.size + columns.clamp(0, last)

    def sums(self, evidence: Tensor) -> Tensor:
        """Sum of `exp(evidence)` over each cell: (size, size)."""
        over = (evidence - LARGEST).clamp(min=0.0)
        odds = evidence.clamp(max=LARGEST) + LARGEST * over / (over + 1000)
        odds = odds.double().exp()
        cells = odds.new_zeros(self.size**2)
        for index in self.index:
            cells.index_add_(0, index, odds)
        return cells.reshape(self.size, self.size)

    def _smooth(self, maps: Tensor) -> Tensor:
        return gaussian(maps, SPREAD / self.step, mirrored=False)

    def polar(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`ln mean exp(evidence)` over a Gaussian of `SPREAD` around each radius and angle.

        Returns:
            (84, radii, 3 ANGLES), and the radii and angles.
        """
        smooth = (self._smooth(maps) / self.count.clamp(min=1e-6)).clamp(min=1e-30).log()
        radius = torch.arange(*ANNULUS, STEP, dtype=torch.float64, device=maps.device)
        angle = torch.arange(3 * ANGLES, dtype=torch.float64, device=maps.device)
        angle = angle * (math.pi / (3 * ANGLES))
        index = self._index(radius[:, None] * angle.sin(), radius[:, None] * angle.cos())
        return smooth.flatten(1)[:, index.flatten()].reshape(-1, *index.shape), radius, angle


def _weighed(polar: Tensor, radius: Tensor, angle: Tensor) -> Weighed:
    """Sums of three triples over all fans: start angles, radii and which triple goes where."""
    # (84, 3, radii * ANGLES): at the first, second and third wave of each fan
    slots = polar.unflatten(2, (ORIENTATIONS, ANGLES)).transpose(1, 2).flatten(2)
    numbers = {triple: n for n, triple in enumerate(TRIPLES)}
    rows = [[numbers[t] for t in parts] for parts in PARTITIONS]
    rows = torch.tensor(rows, device=polar.device)
    ways = list(permutations(range(ORIENTATIONS)))
    totals = torch.stack(
        [sum(slots[rows[:, way[slot]], slot] for slot in range(ORIENTATIONS)) for way in ways],
        dim=1,
    )
    flat = totals.flatten(1)
    evidence = flat.logsumexp(dim=1) - math.log(flat.shape[1])
    way, place = _unravelled(flat.argmax(dim=1), totals.shape[2])
    r, start = _unravelled(place, ANGLES)
    # Where each triple of the best way is: the inverse of which triple is at each wave.
    slot = torch.tensor(ways, device=polar.device).argsort(dim=1)[way]
    a = angle[slot * ANGLES + start[:, None]]
    return Weighed(evidence, radius[r][:, None, None] * torch.stack([a.sin(), a.cos()], dim=2))


def _unravelled(index: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    return index // columns, index % columns
