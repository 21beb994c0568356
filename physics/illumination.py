"""Structured illumination: three orientations, three phases, sinusoidal fringes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "FRAMES",
    "ORIENTATIONS",
    "PHASES",
    "Illumination",
    "directed",
    "fringe_phase",
    "patterns",
]

ORIENTATIONS = 3
PHASES = 3
FRAMES = ORIENTATIONS * PHASES


@dataclass(frozen=True)
class Illumination:
    """The nine fringe patterns of a 2D-SIM stack, orientation-major.

    Args:
        frequency: per orientation, cycles per raw pixel.
        angle: per orientation, direction of the wave vector in rad, x (columns) towards y (rows).
        phase: per orientation and phase step, rad, at the centre of the first raw pixel.
        modulation: per orientation, depth of the fringes, 0..1.
        brightness: per orientation, relative; 1 is the mean.
    """

    frequency: tuple[float, float, float]
    angle: tuple[float, float, float]
    phase: tuple[tuple[float, float, float], ...]
    modulation: tuple[float, float, float]
    brightness: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def mean_frequency(self) -> float:
        """Mean over the orientations, cycles per raw pixel."""
        return sum(self.frequency) / len(self.frequency)

    @property
    def waves(self) -> tuple[tuple[float, float], ...]:
        """Wave vector (ky, kx) of each orientation, cycles per raw pixel."""
        pairs = zip(self.frequency, self.angle, strict=True)
        return tuple((k * math.sin(angle), k * math.cos(angle)) for k, angle in pairs)

    def seen_from(self, row: float, column: float) -> Illumination:
        """The same fringes with their phases at another pixel, `phase + 2 pi k.r`.

        Args:
            row, column: place of that pixel, in raw pixels from the first one.
        """
        phase = []
        for (ky, kx), steps in zip(self.waves, self.phase, strict=True):
            moved = 2 * math.pi * (kx * column + ky * row)
            phase.append(tuple(step + moved for step in steps))
        return replace(self, phase=tuple(phase))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Illumination:
        """The patterns that `dataclasses.asdict` has described, after their way through a file."""
        phase = tuple(tuple(steps) for steps in stored["phase"])
        others = {name: tuple(values) for name, values in stored.items() if name != "phase"}
        return cls(phase=phase, **others)


def directed(
    ky: float, kx: float, phases: tuple[float, ...]
) -> tuple[float, float, tuple[float, ...]]:
    """Frequency, angle from 0 to pi, and phases of the fringes `cos(2 pi k.r + phase)`.

    Of the two wave vectors of such fringes the one with ky >= 0 is taken: `cos(k.r + phase) =
    cos(-k.r - phase)`.
    """
    if ky < 0:
        ky, kx, phases = -ky, -kx, tuple(-phase for phase in phases)
    return math.hypot(ky, kx), math.atan2(ky, kx), phases


def fringe_phase(
    frequency: float, angle: float, shape: tuple[int, int], device: torch.device | str = "cpu"
) -> Tensor:
    """`2 pi k.r` on the super-resolution grid.

    The origin is the centre of the first raw pixel, so that patterns on the grid of the raw
    frames and on that of the target share one phase.

    Args:
        shape: (2H, 2W).

    Returns:
        (2H, 2W) in rad.
    """
    rows = (torch.arange(shape[0], device=device) + 0.5) / 2 - 0.5  # raw pixels
    columns = (torch.arange(shape[1], device=device) + 0.5) / 2 - 0.5
    kx, ky = frequency * math.cos(angle), frequency * math.sin(angle)
    return 2 * math.pi * (ky * rows[:, None] + kx * columns[None, :])


def patterns(
    illumination: Illumination, shape: tuple[int, int], device: torch.device | str = "cpu"
) -> Tensor:
    """Illumination intensity `b (1 + m cos(2 pi k.r + phase))` of the nine frames.

    Args:
        shape: (2H, 2W) of the super-resolution grid.

    Returns:
        (9, 2H, 2W), mean 1 where brightness is 1.
    """
    frames = []
    for o in range(ORIENTATIONS):
        carrier = fringe_phase(illumination.frequency[o], illumination.angle[o], shape, device)
        for phase in illumination.phase[o]:
            fringes = 1.0 + illumination.modulation[o] * torch.cos(carrier + phase)
            frames.append(illumination.brightness[o] * fringes)
    return torch.stack(frames)
