"""The phases of the three frames of one orientation."""

from __future__ import annotations

import cmath
import math

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import PHASES
from bayesdl_sim.physics.patterns.bands import unmixing
from bayesdl_sim.physics.patterns.correlation import values_at

__all__ = ["NOMINAL", "phases_from_mixture", "turned"]

NOMINAL = tuple(2 * math.pi * p / PHASES for p in range(PHASES))
PHASE_SPREAD_RAD = 0.04  # of phases around steps of 120 degrees


def turned(
    phases: tuple[float, ...], product: Tensor, wave: tuple[float, float]
) -> tuple[float, ...]:
    """Phases turned together, so that the correlation at the wave vector is real and positive."""
    ky, kx = (torch.tensor([k], dtype=torch.float64, device=product.device) for k in wave)
    turn = cmath.phase(complex(values_at(product[None], ky, kx)))
    return tuple(math.remainder(phase + turn, 2 * math.pi) for phase in phases)


def phases_from_mixture(
    phases: tuple[float, ...], u: complex, v: complex, error: float
) -> tuple[float, ...]:
    """Phases that unmix the band which was separated with `phases`.

    The mixture is a sum of the frames with weights `w_p`. It holds the shifted band alone if
    `sum w_p = 0` and `sum w_p exp(-i phase_p) = 0`: two triangles with sides of the same
    length, mirror images of each other, hence `phase_p = 2 arg w_p + constant`. The constant
    makes the shifted band a positive multiple of the sample. The phases are then drawn towards
    steps of 120 degrees as far as their standard error exceeds what they usually deviate.
    """
    _, real, imaginary = unmixing((phases,))[0]
    single = torch.complex(real, imaginary).tolist()
    weights = [u * w + v * w.conjugate() for w in single]
    angles = [2 * cmath.phase(w) for w in weights]
    turns = zip(weights, angles, strict=True)
    offset = cmath.phase(sum(w * cmath.exp(1j * a) for w, a in turns))
    fits = []
    for sense in (1, -1):
        rest = [a - offset - sense * n for a, n in zip(angles, NOMINAL, strict=True)]
        mean = cmath.phase(sum(cmath.exp(1j * r) for r in rest))
        away = [math.remainder(r - mean, 2 * math.pi) for r in rest]
        fits.append((sum(a * a for a in away), sense, mean, away))
    _, sense, mean, away = min(fits)
    # An error of v / u turns a weight by as much, and its phase by twice that.
    trust = PHASE_SPREAD_RAD**2 / (PHASE_SPREAD_RAD**2 + 4 * error**2)
    steps = zip(NOMINAL, away, strict=True)
    return tuple(math.remainder(mean + sense * n + trust * a, 2 * math.pi) for n, a in steps)
