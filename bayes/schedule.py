"""Schedule of exploring, sampling and keeping members: restarting cosine cycles."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from bayesdl_sim.utils.errors import InputError

__all__ = ["CyclicSchedule", "Phase", "Turn", "turn_of", "warm_up_cosine"]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Settings of one optimiser step.

    Attributes:
        cycle: number of the cycle, from 0.
        lr: step size of this step.
        temperature: 0 while exploring, the schedule's own while sampling.
        exploring: descent without noise; a preconditioner may adapt only now.
        collect: whether the weights after this step are kept as a member.
    """

    cycle: int
    lr: float
    temperature: float
    exploring: bool
    collect: bool


@dataclass(frozen=True)
class CyclicSchedule:
    """Cosine cycles: a large step finds another mode, a shrinking one samples it.

    Within a cycle of `n` steps, step `k = 0 ... n - 1` has
    `lr_k = lr_min + (lr_max - lr_min) (1 + cos(pi k / (n - 1))) / 2`, `lr_min = lr_min_fraction *
    lr_max`. The first `explore_fraction` of the steps is without noise; the rest samples along
    the same cosine. `members_per_cycle` members are taken at equal distances in the sampling
    part, the last one at its very end. The schedule decides, never the best PSNR: choosing draws
    by their score would make them too alike.

    Args:
        cycles: number of restarts, at least 1.
        steps_per_cycle: optimiser steps of each cycle.
        lr_max: step size at the start of a cycle.
        lr_min_fraction: step size at its end, as a fraction of `lr_max`, in [0, 1].
        explore_fraction: part of the cycle without noise, in [0, 1).
        members_per_cycle: members taken from each cycle, at least 1.
        temperature: `T` of the sampling part.

    Raises:
        InputError: a setting is out of range, or a cycle has fewer sampling steps than members.

    Source: Zhang, Li, Zhang, Chen and Wilson, ICLR 2020 (cyclical SG-MCMC), eq. 1 and sec. 3; there
    the step size falls to zero, where a chain stands still.
    """

    cycles: int
    steps_per_cycle: int
    lr_max: float
    lr_min_fraction: float = 0.1
    explore_fraction: float = 0.8
    members_per_cycle: int = 1
    temperature: float = 1.0

    def __post_init__(self) -> None:
        good = {
            "cycles": self.cycles >= 1,
            "lr_max": self.lr_max > 0,
            "lr_min_fraction": 0 <= self.lr_min_fraction <= 1,
            "explore_fraction": 0 <= self.explore_fraction < 1,
            "members_per_cycle": self.members_per_cycle >= 1,
            "temperature": self.temperature >= 0,
        }
        for name, is_good in good.items():
            if not is_good:
                raise InputError(f"schedule: {name} is out of range, found {getattr(self, name)}")
        if self.sampling_steps < self.members_per_cycle:
            raise InputError(
                f"schedule: {self.members_per_cycle} members per cycle need as many sampling "
                f"steps, found {self.sampling_steps} of {self.steps_per_cycle}: use longer cycles "
                "or a smaller explore_fraction"
            )

    @property
    def explore_steps(self) -> int:
        """Steps without noise at the start of each cycle."""
        return round(self.explore_fraction * self.steps_per_cycle)

    @property
    def sampling_steps(self) -> int:
        """Steps with noise at the end of each cycle."""
        return self.steps_per_cycle - self.explore_steps

    @property
    def total_steps(self) -> int:
        """Steps of all cycles."""
        return self.cycles * self.steps_per_cycle

    @property
    def members(self) -> int:
        """Members of all cycles."""
        return self.cycles * self.members_per_cycle

    def at(self, step: int) -> Phase:
        """The settings of a step, counted from 0 over all cycles.

        Raises:
            InputError: the step lies outside the schedule.
        """
        if not 0 <= step < self.total_steps:
            raise InputError(f"schedule: step {step} lies outside 0 ... {self.total_steps - 1}")
        cycle, k = divmod(step, self.steps_per_cycle)
        cosine = math.cos(math.pi * k / max(1, self.steps_per_cycle - 1))
        lr_min = self.lr_min_fraction * self.lr_max
        exploring = k < self.explore_steps
        return Phase(
            cycle=cycle,
            lr=lr_min + 0.5 * (self.lr_max - lr_min) * (1 + cosine),
            temperature=0.0 if exploring else self.temperature,
            exploring=exploring,
            collect=k in self._collecting(),
        )

    def _collecting(self) -> list[int]:
        """Steps of a cycle after which a member is kept, the last of them its last step."""
        return [
            self.explore_steps + (j * self.sampling_steps) // self.members_per_cycle - 1
            for j in range(1, self.members_per_cycle + 1)
        ]


class Turn(NamedTuple):
    """The position in the training of one network, of several that are trained in turn.

    Attributes:
        number: number of the network, from 0.
        step: within its turn, from 0.
        steps: number of steps in its turn.
    """

    number: int
    step: int
    steps: int

    @property
    def is_first(self) -> bool:
        """Whether its training begins with this step."""
        return self.step == 0

    @property
    def is_last(self) -> bool:
        """Whether its training ends with this step."""
        return self.step + 1 == self.steps


def turn_of(step: int, total: int, turns: int) -> Turn:
    """Splits a budget of steps: turn `k` has the steps `k total / turns <= step`, rounded down.

    Args:
        step: number of the step, from 0, over all turns together.
        total: the budget; at least one step for every turn.
        turns: number of networks.

    Raises:
        InputError: fewer steps than turns.
    """
    if total < turns:
        raise InputError(
            f"{turns} networks cannot share {total} steps: train longer (epoch), or fewer of them"
        )
    starts = [turn * total // turns for turn in range(turns + 1)]
    number = min(sum(start <= step for start in starts), turns) - 1
    return Turn(number, step - starts[number], starts[number + 1] - starts[number])


def warm_up_cosine(step: int, total: int, lr_max: float, longest_warm_up: int = 500) -> float:
    """Step size of the burn-in: a linear rise over a twentieth of it, then half a cosine.

    `lr_max (0.02 + 0.98 (1 + cos(pi p)) / 2)`, `p` the progress after the rise.

    Args:
        step: number of the step, from 0.
        total: steps of the burn-in.
        lr_max: step size at the end of the rise.
        longest_warm_up: the rise takes no more steps than this.
    """
    warm_up = max(1, min(longest_warm_up, total // 20))
    if step < warm_up:
        return lr_max * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, total - warm_up)
    return lr_max * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
