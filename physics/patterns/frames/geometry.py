"""Phase steps and angles of fringes found frame by frame, against those of a SIM stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.frames.fringe_search import FringeGroup

__all__ = ["Geometry", "geometry_of"]

STEP = 2 * math.pi / PHASES


class Geometry(NamedTuple):
    """Deviation of phases and angles from steps of 120 and angles of 60 degrees.

    Attributes:
        phase_step_deg: per complete orientation, largest deviation of its steps.
        phase_step_error_deg: their standard error.
        angle_error_deg: largest deviation of the angles between the orientations, each found
            without the others; NaN where not all of them are complete.
    """

    phase_step_deg: tuple[float, ...]
    phase_step_error_deg: tuple[float, ...]
    angle_error_deg: float


def geometry_of(groups: Sequence[FringeGroup]) -> Geometry:
    """The geometry of the orientations among groups of frames with the same fringes."""
    complete = [group for group in groups if _is_orientation(group.frames)]
    steps = [_phase_steps(group) for group in complete]
    return Geometry(
        tuple(step for step, _ in steps), tuple(error for _, error in steps), _angle_error(complete)
    )


def _is_orientation(frames: tuple[int, ...]) -> bool:
    return len(frames) == PHASES and frames[0] % PHASES == 0 and frames[2] == frames[0] + 2


def _phase_steps(group: FringeGroup) -> tuple[float, float]:
    """Largest deviation from 120 degrees, either way round, and the standard error of a step."""
    first, second, third = group.phase
    steps = (second - first, third - second, first - third)
    worst = [
        max(abs(math.remainder(step - sense * STEP, 2 * math.pi)) for step in steps)
        for sense in (1, -1)
    ]
    # A peak of height h over the median 1.18 sigma of its noise: a phase is known to 0.85 / h.
    error = 0.85 * math.sqrt(sum(1 / h**2 for h in group.height) * 2 / 3)
    return math.degrees(min(worst)), math.degrees(error)


def _angle_error(groups: Sequence[FringeGroup]) -> float:
    """Fringes have no direction: angles between them are compared modulo 180 degrees."""
    if len(groups) < ORIENTATIONS:
        return math.nan
    pairs = combinations((group.angle for group in groups), 2)
    gaps = [abs(math.remainder(a - b, math.pi)) for a, b in pairs]
    return math.degrees(max(abs(gap - math.pi / ORIENTATIONS) for gap in gaps))
