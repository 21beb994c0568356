"""Photoswitching of single fluorophores: transition matrices, their statistics, and draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.dlbi.conventions import EMITTING
from bayesdl_sim.utils.errors import InputError

__all__ = ["FLUOROPHORES", "Fluorophore", "sample_states"]


@dataclass(frozen=True, kw_only=True)
class Fluorophore:
    """A fluorophore whose state is a Markov chain from frame to frame.

    The states are 0 emitting, 1 dark and 2 bleached, with the transition matrix
    `[[p1, p2, 0], [p3, p4, p5], [0, 0, 1]]`: row the state now, column the state in the next frame.

    Args:
        p1: probability of emitting -> emitting; p2 = 1 - p1.
        p3: probability of dark -> emitting.
        p5: probability of dark -> bleached; p4 = 1 - p3 - p5.

    Raises:
        InputError: a probability outside 0..1, or rows that do not add up to 1.
    """

    p1: float
    p3: float
    p5: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("p1", self.p1), ("p3", self.p3), ("p5", self.p5), ("p4", self.p4)):
            if not 0 <= value <= 1:
                raise InputError(f"{name}: expected a probability from 0 to 1, found {value:g}")
        if self.p2 + self.p3 == 0:
            raise InputError(
                "p1, p3: expected a fluorophore that switches, found one that does not"
            )

    @property
    def p2(self) -> float:
        """Probability of emitting -> dark."""
        return 1.0 - self.p1

    @property
    def p4(self) -> float:
        """Probability of dark -> dark."""
        return 1.0 - self.p3 - self.p5

    @property
    def transition(self) -> NDArray[np.float64]:
        """Transition matrix (3, 3)."""
        return np.array([[self.p1, self.p2, 0.0], [self.p3, self.p4, self.p5], [0.0, 0.0, 1.0]])

    @property
    def initial(self) -> NDArray[np.float64]:
        """Probabilities (3,) in the first frame: equilibrium of emitting and dark, none bleached.

        With bleaching this is the equilibrium that the two living states would have without it.
        """
        on = self.on_fraction
        return np.array([on, 1.0 - on, 0.0])

    @property
    def on_fraction(self) -> float:
        """Stationary share of emitting frames of a fluorophore that is not bleached."""
        return self.p3 / (self.p2 + self.p3)

    def expected_emission(self, frames: int) -> NDArray[np.float64]:
        """Probability of emission in each frame, `initial transition^t`: (T,)."""
        state, emission = self.initial, np.empty(frames)
        for t in range(frames):
            emission[t] = state[EMITTING]
            state = state @ self.transition
        return emission


FLUOROPHORES = {
    "mEos3.2": Fluorophore(p1=0.21, p3=0.305),
    "bleaching": Fluorophore(p1=0.21, p3=0.49, p5=0.01),
    "3B": Fluorophore(p1=0.16, p3=0.495, p5=0.01),
    "slow": Fluorophore(p1=0.80, p3=0.086),
    "sparse": Fluorophore(p1=0.50, p3=0.016),
    "sparse-bleaching": Fluorophore(p1=0.50, p3=0.016, p5=0.004),
}


def sample_states(
    fluorophore: Fluorophore, count: int, frames: int, generator: torch.Generator
) -> Tensor:
    """Draws the states of independent fluorophores.

    Args:
        count: number of fluorophores N.
        frames: number of frames T.

    Returns:
        (N, T) int8: 0 emitting, 1 dark, 2 bleached.
    """
    bounds = torch.from_numpy(np.cumsum(fluorophore.transition, axis=1)[:, :2]).float()
    start = torch.from_numpy(np.cumsum(fluorophore.initial)[:2]).float()
    states = torch.empty((frames, count), dtype=torch.int8)
    limits = start.expand(count, 2)
    for t in range(frames):
        chance = torch.rand((count, 1), generator=generator)
        state = (chance >= limits).sum(dim=1)
        states[t] = state
        limits = bounds[state]
    return states.T.contiguous()
