"""The choices of a reconstruction: maps, the numbers that they depend on, conventions.

This module does not load PyTorch, so that a command line is read quickly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "CHANGES",
    "CONVENTION_NAMES",
    "DEFAULT_MAPS",
    "INTERVAL",
    "MISFIT",
    "SHARP",
    "MapSettings",
]

DEFAULT_MAPS = ("SR", "Aleatoric", "Epistemic", "Credibility")
INTERVAL = ("Lower", "Upper")
MISFIT = ("Contradicted", "Misfit")
CHANGES = ("Change", "Changed")
SHARP = ("Sharp",)
CONVENTION_NAMES = ("total_variance", "released")
LEVELS = (0.5, 0.99)


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """The numbers that maps depend on; thresholds in normalised SR intensity.

    Attributes:
        delta: Credibility is the probability of an error below this share of the range of the
            structure, see `gaps.structure_range`.
        exceed: threshold of the channel Exceedance; None leaves it out.
        draws: number of channels that are drawn from the predictive distribution.
        interval: probability of the interval from Lower to Upper.
        changes: level of the credible interval that Changed compares a change with.
        force: give a result at those time points of a series, too, that would be refused alone.

    Raises:
        InputError: a value that makes no sense.
    """

    delta: float = DELTA
    exceed: float | None = None
    draws: int = 0
    interval: float = 0.9
    changes: float = 0.95
    force: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.delta < math.inf:
            raise InputError(f"delta: expected a positive tolerance, found {self.delta}")
        if self.draws < 0:
            raise InputError(f"draws: expected 0 or more, found {self.draws}")
        for name in ("interval", "changes"):
            level = getattr(self, name)
            if not LEVELS[0] <= level <= LEVELS[1]:
                raise InputError(f"{name}: expected a level of 0.5 to 0.99, found {level}")
