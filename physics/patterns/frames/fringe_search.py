"""Fringes of each single frame, whatever the order of the frames.

Pattern estimation unmixes the three frames of an orientation and so assumes that they belong
together. Here every frame is measured by itself: its difference from the mean of all nine is
correlated with that mean shifted by every wave vector, and frames that show the same wave vector
form a group. In a right stack these are the frames 1-3, 4-6 and 7-9.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import FRAMES, PHASES
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.correlation import (
    Field,
    field_of,
    filtered,
    reference,
    values_at,
)
from bayesdl_sim.physics.patterns.frames.partition import PARTITIONS, STATED, weigh_partitions
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.patterns.noise import noise_weight
from bayesdl_sim.physics.patterns.positive import positive_sample
from bayesdl_sim.physics.patterns.scores import ANNULUS, amplitudes, heights, searched_places
from bayesdl_sim.physics.patterns.search import SPREAD

__all__ = [
    "CLEAR",
    "DOUBTFUL_ORDER",
    "FringeGroup",
    "FringeSearch",
    "frame_differences",
    "search_fringes",
]

CLEAR = 6.0  # height of a peak over the median of its ring; noise alone stays below 4.5
AT_A_KNOWN_PLACE = 4.0  # the same where nothing is searched: noise gets there in 1 of 60 000
CLEAR_FAN = 6.0  # evidence of the best partition of the frames; without fringes below 3
MOSTLY_EMPTY = 0.3  # of the values are the same: single photons, whose noise is no Gaussian
ANOTHER_ORDER = 8.0  # evidence by which another order beats the stated one, if it is put right
DOUBTFUL_ORDER = 3.0  # the same, if the stated one is not to be believed
NOT_BY_CHANCE = 0.6  # of a frame's highest peak: lower ones are side lobes

PlacedGroup = tuple[set[int], int]  # frames, and their peak's number among the searched places


@dataclass(frozen=True, kw_only=True)
class FringeGroup:
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
    """Difference of each frame from the mean of all: `frame - b mean`, b by least squares.

    Args:
        frames: (9, H, W) without background.
        window: (H, W) taper, the weight of the fit.

    Returns:
        (9, H, W); fringes, noise and faults, no wide field.
    """
    mean = frames.mean(dim=0)
    centred = (mean - (mean * window).sum() / window.sum()) * window
    power = (centred * mean).sum().clamp(min=1e-30)
    slope = (centred * frames).sum(dim=(1, 2)) / power
    rest = frames - slope[:, None, None] * mean
    return rest - (rest * window).sum(dim=(1, 2), keepdim=True) / window.sum()


@dataclass(frozen=True, kw_only=True, eq=False)
class FringeSearch:
    """Result of a search for fringes in single frames, before an order is decided on.

    Attributes:
        frames, optics: that were searched with, see `search_fringes`.
        peaks: groups of the frames with clear peaks of their own.
        best, stated: groups of the partition with the most evidence and of the stated one; empty
            where clear peaks suffice, or fringes are too weak for the noise.
        lead: evidence of the best partition over that of the stated one.
    """

    frames: MeasuredFrames
    optics: Optics
    peaks: list[FringeGroup]
    best: list[FringeGroup]
    stated: list[FringeGroup]
    lead: float

    def is_of(self, frames: MeasuredFrames, optics: Optics) -> bool:
        """Whether these frames, in this order, were searched with these optics."""
        return optics == self.optics and frames.equals(self.frames)

    @property
    def is_order_doubtful(self) -> bool:
        """Whether weak fringes speak for another order than the stated one, without proving it."""
        return bool(self.best) and DOUBTFUL_ORDER <= self.lead < ANOTHER_ORDER

    def groups(self, margin: float = ANOTHER_ORDER) -> list[FringeGroup]:
        """Groups of frames by the wave vector that they clearly show, the clearest group first.

        Args:
            margin: of evidence that weak fringes need in favour of another order than the stated
                one.

        Returns:
            An empty list where fringes are too weak for the noise. A frame is in one group at most.
        """
        if not self.best:
            return self.peaks
        return self.stated if self.lead < margin else self.best


def search_fringes(
    stack: MeasuredFrames, optics: Optics, known: FringeSearch | None = None
) -> FringeSearch:
    """Searches for the wave vector that each frame shows.

    The highest peak of the summed squared scores of all frames is taken, the frames that show it
    leave, and so on with those that are left. A frame without a clear peak of its own joins a group
    if it shows the same at the group's wave vector. Where that leaves frames over, all ways to part
    the frames into three orientations are weighed by the fringes of all frames together.

    Args:
        stack: the frames, with some noise.
        known: an earlier search, which is given back if it was of the same frames and optics.
    """
    if known is not None and known.is_of(stack, optics):
        return known
    weight = noise_weight(stack.frames, stack.validity, stack.noise_bins)
    field = field_of(optics, weight if stack.spots is None else weight * stack.spots)
    unit, (level, rise) = math.sqrt(stack.noise(optics)), stack.noise_line
    frames, line = stack.frames / unit, (level / unit**2, rise / unit)
    sample = positive_sample(frames.mean(dim=0), optics, line, field)
    frame_amplitudes, products = [], []
    for difference in field.half_spectra(frame_differences(frames, field.window)):
        ref = reference(sample, difference, field, 1.0)
        image = filtered(ref, difference, field)
        products.append(image * ref.sample)
        frame_amplitudes.append(amplitudes(ref, image, field))
    frame_amplitudes = torch.stack(frame_amplitudes)
    waves = searched_places(field).half_waves
    radius = waves.norm(dim=1)
    scores = heights(frame_amplitudes)
    scores = scores.masked_fill((radius < ANNULUS[0]) | (radius > ANNULUS[1]), 0.0)

    def groups(places: list[PlacedGroup]) -> list[FringeGroup]:
        return [
            _group(sorted(members), waves[place].tolist(), scores[:, place], products)
            for members, place in places
        ]

    peaks = _by_peaks(scores)
    many_photons = float((frames == frames.flatten().median()).float().mean()) < MOSTLY_EMPTY
    best, stated, lead = [], [], 0.0
    if many_photons and not _is_complete([members for members, _ in peaks]):
        best, stated, lead = _by_partition(frame_amplitudes, scores, field)
    return FringeSearch(
        frames=stack,
        optics=optics,
        peaks=groups(peaks),
        best=groups(best),
        stated=groups(stated),
        lead=lead,
    )


def _is_complete(groups: list[set[int]]) -> bool:
    """Whether all frames are in groups that an order can have: none of one or two frames."""
    sizes = [len(members) for members in groups]
    return sum(sizes) == FRAMES and min(sizes) >= PHASES


def _by_peaks(scores: Tensor) -> list[PlacedGroup]:
    """Frames with a clear peak of their own, and its place, of the scores (9, n)."""
    highest = scores.max(dim=1).values
    left, groups = set(range(len(scores))), []
    while left:
        total = sum(scores[f].square() for f in sorted(left))
        place = int(total.argmax())
        height = scores[:, place]
        clear = (height >= CLEAR) & (height >= NOT_BY_CHANCE * highest)
        members = {f for f in left if bool(clear[f])}
        if not members:
            break
        groups.append((members, place))
        left -= members
    for f in left:
        nearest = max(groups, key=lambda group: float(scores[f, group[1]]), default=None)
        if nearest and float(scores[f, nearest[1]]) >= AT_A_KNOWN_PLACE:
            nearest[0].add(f)
    return groups


def _by_partition(
    frame_amplitudes: Tensor, scores: Tensor, field: Field
) -> tuple[list[PlacedGroup], list[PlacedGroup], float]:
    """Three groups of three frames, by the evidence of all of them together.

    Args:
        frame_amplitudes: (9, n) `scores.amplitudes`.
        scores: (9, n), their heights.

    Returns:
        Those of the best partition, those of the stated one, and by how much it is better; no
        groups where the evidence does not suffice.
    """
    weighed = weigh_partitions(frame_amplitudes, field)
    best, evidence, places = weighed.best, weighed.evidence, searched_places(field).half_waves
    if float(evidence[best]) < CLEAR_FAN:
        return [], [], 0.0

    def placed(partition: int) -> list[PlacedGroup]:
        groups, waves = [], weighed.waves[partition].tolist()
        for triple, wave in zip(PARTITIONS[partition], waves, strict=True):
            energy = math.log(2.0) * sum(scores[f].square() for f in triple)
            wave = torch.tensor(wave).to(places)
            away = torch.minimum(*((places - way * wave).square().sum(dim=1) for way in (1, -1)))
            groups.append((set(triple), int((energy - 0.5 * away / SPREAD**2).argmax())))
        return groups

    return placed(best), placed(STATED), float(evidence[best] - evidence[STATED])


def _group(
    members: list[int], wave: list[float], height: Tensor, products: list[Tensor]
) -> FringeGroup:
    ky, kx = wave if wave[0] >= 0 else (-wave[0], -wave[1])
    return FringeGroup(
        frames=tuple(members),
        frequency=math.hypot(ky, kx),
        angle=math.atan2(ky, kx),
        height=tuple(float(height[f]) for f in members),
        phase=tuple(cmath.phase(_value_at(products[f], ky, kx)) for f in members),
    )


def _value_at(product: Tensor, ky: float, kx: float) -> complex:
    """The Fourier transform of a product at one frequency; its phase is that of the fringes."""
    rows, columns = (
        torch.tensor([k], dtype=torch.float64, device=product.device) for k in (ky, kx)
    )
    return complex(values_at(product[None].to(torch.complex64), rows, columns))
