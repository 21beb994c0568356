"""Patterns estimated in a part of a large field, refined for all of it.

A wave vector that is known to a fraction of a period over the part may be wrong by whole periods at
the far end of the field. The phases of blocks show it: they rise linearly with the error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.physics.illumination import directed
from bayesdl_sim.physics.patterns.estimation import Estimate
from bayesdl_sim.physics.patterns.known.constancy import FringeResponse

__all__ = ["refined"]

Place = tuple[float, float]
GROWTH = 1.5  # of the circle of blocks from one fit to the next
LEAST_ERROR_RAD = 0.02  # of the phase of a block: stands are not perfect


def refined(
    known: Estimate, middle: Place, responses: Sequence[tuple[Place, FringeResponse]]
) -> Estimate:
    """Corrects wave vectors and phases by the responses of blocks of the field.

    Per orientation the phase of a block's response is `a + 2 pi d.(r - r0)`: a is the error of the
    phases at the part's middle r0, d that of the wave vector. Both are fitted by weighted least
    squares, with the standard errors of the estimate as prior, to blocks within a circle that
    grows from r0, so that no phase is taken for one that is a whole turn away.

    Args:
        known: of the part, for the coordinates of the field.
        middle: of the part, rows and columns in raw pixels.
        responses: middle of each block, and its response to the known patterns.

    Returns:
        The same with other frequencies, angles and phases.
    """
    light, waves = known.illumination, []
    places = np.array([place for place, _ in responses], np.float64) - np.array(middle)
    for o in range(len(light.phase)):
        gains = np.array([response.gain[o] for _, response in responses])
        clear = np.array([response.clear[o] for _, response in responses])
        errors = np.array([response.error[o] for _, response in responses])
        spread = np.hypot(errors[clear] / np.abs(gains[clear]), LEAST_ERROR_RAD)
        prior = (known.phase_error[o], 2 * math.pi * known.frequency_error[o])
        waves.append(_tilt(places[clear], np.angle(gains[clear]), spread, prior))
    corrected = [_moved(known, o, tilt, middle) for o, tilt in enumerate(waves)]
    frequency, angle, phase = zip(*corrected, strict=True)
    return replace(
        known, illumination=replace(light, frequency=frequency, angle=angle, phase=phase)
    )


def _tilt(places: NDArray, phases: NDArray, errors: NDArray, prior: tuple[float, float]) -> NDArray:
    """`(a, t_y, t_x)` of phases `a + t.r` modulo a turn; zeros where nothing is clear."""
    tilt = np.zeros(3)
    if not len(places):
        return tilt
    design = np.concatenate([np.ones((len(places), 1)), places], axis=1)
    least = np.diag(1 / np.square([prior[0], prior[1], prior[1]]))
    distance = np.hypot(*places.T)
    reach = max(float(np.sort(distance)[min(3, len(distance) - 1)]), 1.0)
    while True:
        near = distance <= reach
        predicted = design[near] @ tilt
        unwrapped = predicted + _remainder(phases[near] - predicted)
        weighted = design[near] / np.square(errors[near])[:, None]
        tilt = np.linalg.solve(weighted.T @ design[near] + least, weighted.T @ unwrapped)
        if near.all():
            return tilt
        reach *= GROWTH


def _remainder(phases: NDArray) -> NDArray:
    return np.angle(np.exp(1j * phases))


def _moved(
    known: Estimate, o: int, tilt: NDArray, middle: Place
) -> tuple[float, float, tuple[float, ...]]:
    """Frequency, angle and phases of an orientation with its correction."""
    light = known.illumination
    ky, kx = (k + float(t) / (2 * math.pi) for k, t in zip(light.waves[o], tilt[1:], strict=True))
    at_origin = float(tilt[0] - tilt[1] * middle[0] - tilt[2] * middle[1])
    return directed(ky, kx, tuple(step + at_origin for step in light.phase[o]))
