"""Test whether known fringe patterns still hold in a later stack; faster than an estimation."""

from __future__ import annotations

import cmath
import math
from typing import NamedTuple

import torch

from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.bands import frequencies, power, separate, taper
from bayesdl_sim.physics.patterns.measured import Counts, measured

__all__ = ["FringeResponse", "fringe_response", "fringes_appeared", "patterns_hold"]

LOWEST = 0.03  # cycles per raw pixel; below lies mostly haze, which fringes do not modulate
PASSED = 0.9 * TYPICAL_OPTICS.cutoff  # cycles per raw pixel
EMPTY = 0.42  # cycles per raw pixel; no stand passes more
CLEAR = 6.0  # standard errors
PHASE_TOLERANCE_RAD = 0.15  # less does not change a first guess
LEAST_SHARE = 0.7  # of the earlier response; a wave vector half a fringe off leaves 0.64
SIGMAS = 3.0
TIED = 1.3  # times: the taper ties neighbouring frequencies, which are fewer for the noise
# How much stronger the fringes of an orientation are where it had none before, and now has some:
# times the earlier strength, and by how many standard errors on top. Strength is a power, of which
# a lost orientation has less than a tenth, and a dim healthy one as much as before.
STRONGER, STRONGER_SIGMAS = 3.0, 6.0


class FringeResponse(NamedTuple):
    """Response of the fringes of a stack to given patterns, per orientation.

    Attributes:
        gain: the shifted band, shifted back by the wave vector, over the wide-field band: half the
            modulation, times what the lens passes, times `exp(i phase error)`.
        error: its standard error, of the real and of the imaginary part.
        strength: power of the fringe band above its noise, over that of the wide-field band, mean
            over the orientations. Unlike the gain it does not depend on the wave vectors.
        strength_error: its standard error.
    """

    gain: tuple[complex, ...]
    error: tuple[float, ...]
    strength: tuple[float, ...]
    strength_error: tuple[float, ...]

    @property
    def clear(self) -> tuple[bool, ...]:
        """Where the fringes stand out from the noise."""
        pairs = zip(self.gain, self.error, strict=True)
        return tuple(abs(gain) > CLEAR * error for gain, error in pairs)


def fringe_response(raw: Counts, light: Illumination) -> FringeResponse:
    """Measures the response of a stack to patterns, `g = <Z, F> / <Z, Z>` per orientation.

    Z is the spectrum of the wide-field band, F that of the shifted band times `exp(-ikr)`, over the
    frequencies that the lens passes in both places.

    Args:
        raw: (9, H, W) counts, measured or not.
        light: wave vectors and phases that are to be tried.

    Raises:
        InputError: for a stack that cannot be one (`MeasuredFrames`).
    """
    frames = measured(raw).frames
    shape, device = tuple(frames.shape[1:]), frames.device
    window, (fy, fx) = taper(shape, device), frequencies(shape, device)
    zero, first = separate(frames, light.phase)
    zero = zero - (zero * window).sum(dim=(1, 2), keepdim=True) / window.sum()
    rows = torch.arange(shape[0], dtype=torch.float64, device=device)[:, None]
    columns = torch.arange(shape[1], dtype=torch.float64, device=device)[None]
    gains, errors, fringe_powers, fringe_errors, light_powers = [], [], [], [], []
    for o, (ky, kx) in enumerate(light.waves):
        back = torch.exp(-2j * math.pi * ky * rows) * torch.exp(-2j * math.pi * kx * columns)
        wide = torch.fft.fft2(zero[o] * window)
        moved = torch.fft.fft2(first[o] * back * window)
        radius, away = torch.hypot(fy, fx), torch.hypot(fy + ky, fx + kx)
        common = (radius > LOWEST) & (radius < PASSED) & (away < PASSED)
        empty = away > EMPTY
        light_power = float(power(wide[common]).sum())
        noise = float(power(moved[empty]).mean()) if bool(empty.any()) else 0.0
        gain = complex(torch.vdot(wide[common], moved[common])) / max(light_power, 1e-300)
        gains.append(gain)
        # Half of the noise power in each part.
        errors.append(math.sqrt(TIED * noise / 2 / max(light_power, 1e-300)))
        band = power(moved[(away > LOWEST) & (away < PASSED)])
        fringe_powers.append(float(band.sum()) - noise * band.numel())
        fringe_errors.append(noise * math.sqrt(TIED * band.numel()))
        light_powers.append(light_power)
    light_power = max(sum(light_powers) / len(light_powers), 1e-300)
    strength, strength_error = (
        tuple(value / light_power for value in values) for values in (fringe_powers, fringe_errors)
    )
    return FringeResponse(tuple(gains), tuple(errors), strength, strength_error)


def fringes_appeared(before: FringeResponse, now: FringeResponse) -> bool:
    """Whether an orientation has fringes that had no clear ones in an earlier stack.

    Its patterns were then found in noise, and say nothing about the fringes that are there now.

    Args:
        before: of the stack that the patterns were found in.
        now: of a later stack, to the same patterns.
    """
    return any(
        now.strength[o]
        > STRONGER * max(before.strength[o], 0.0) + STRONGER_SIGMAS * now.strength_error[o]
        for o, clear in enumerate(before.clear)
        if not clear
    )


def patterns_hold(before: FringeResponse, now: FringeResponse) -> bool:
    """Whether patterns that were found in one stack are still those of another.

    They are, if at least one orientation was clear, and the response of each clear one is within
    0.15 rad of its phase and has 0.7 of its strength or more, up to three standard errors.

    Args:
        before: of the stack that the patterns were found in.
        now: of the other stack, to the same patterns.
    """
    if not any(before.clear):
        return False
    return all(
        _holds(before.gain[o], before.error[o], now.gain[o], now.error[o])
        for o, clear in enumerate(before.clear)
        if clear
    )


def _holds(before: complex, error_before: float, now: complex, error_now: float) -> bool:
    if abs(now) + SIGMAS * error_now < LEAST_SHARE * abs(before) or now == 0:
        return False
    turn = abs(cmath.phase(now / before))
    unsure = math.hypot(error_before / abs(before), error_now / abs(now))
    return turn <= PHASE_TOLERANCE_RAD + SIGMAS * unsure
