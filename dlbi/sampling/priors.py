"""Initial estimates of brightness and switching from the cumulants of a movie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from bayesdl_sim.dlbi.conventions import BLEACHED, DARK, EMITTING, STATES
from bayesdl_sim.dlbi.inference.chains import Switching
from bayesdl_sim.dlbi.sampling.brightness import Brightness
from bayesdl_sim.utils.errors import InputError

__all__ = ["Blinking", "blinking_of", "expected_emission", "learned_switching"]

BLOCK = 50  # frames within which bleaching is slow
# Relative standard deviation of the brightness of emissions: 0.3 of the noise-free photon numbers
# in the published simulator, and that of emissions that begin or end within a frame.
SPREAD = 0.35
EMITTING_SHARES = (0.01, 0.6)  # of a fluorophore that is not bleached
# Below this share the cumulants hardly depend on it. Too many emitters, each seldom on, do less
# harm than too few, and the chain estimates the share: it starts from a smaller one.
RARE, CAUTION = 0.35, 0.35
CORRELATIONS = (-0.3, 0.95)  # between neighbouring frames
LARGEST_BLEACHING = 0.02  # probability per dark frame
# Pseudo-counts of the first transition matrix, so that few or wrong draws do not overturn it.
PRIOR_TRANSITIONS = 500.0


@dataclass(frozen=True, kw_only=True)
class Blinking:
    """First guesses from the cumulants of a movie.

    Args:
        switching: transition matrix and initial distribution.
        brightness: brightness of an emission, in units of the movie.
        fluorophores: their expected number in the field.
    """

    switching: Switching
    brightness: Brightness
    fluorophores: float


def expected_emission(switching: Switching, frames: int) -> float:
    """Share of the frames in which a fluorophore is expected to emit."""
    law, total = switching.initial, 0.0
    for _ in range(frames):
        total += law[EMITTING]
        law = law @ switching.transition
    return float(total / frames)


def blinking_of(
    movie: NDArray,
    background: float | NDArray,
    width: float,
    switching: Switching | None = None,
    brightness: float | None = None,
) -> Blinking:
    """Brightness and switching from the first three cumulants and the lag covariance.

    Sums over pixels of cumulants of independent emitters are those of one emission times sums of
    powers of a spot, sum h**2 = 1 / (4 pi w**2) and sum h**3 = 1 / (12 pi**2 w**4). With p the
    emitting share, a the brightness and c its squared relative spread,

        variance / mean   = a (1 + c - p)
        third / variance  = a ((1 + c)**3 - 3 p (1 + c) + 2 p**2) / (1 + c - p)

    after shot noise is taken off: 1 of the variance, 3 variance + mean of the third cumulant.

    Args:
        movie: (T, H, W) in electrons, variance and mean of which are equal without blinking.
        background: electrons per pixel and frame, of the whole field or (H, W).
        width: width of the spots, camera pixels.
        switching: where it is known.
        brightness: where it is known.

    Raises:
        InputError: where a known fluorophore never emits.
    """
    mean, excess, lag, third = _cumulants(np.asarray(movie, dtype=np.float64), background)
    square, cube = 1 / (4 * np.pi * width**2), 1 / (12 * np.pi**2 * width**4)
    pulse = excess / (mean * square)
    spread = SPREAD**2
    if switching is None:
        share = _emitting_share(third * square / (cube * excess) / pulse, spread)
        share = max(share * CAUTION, EMITTING_SHARES[0]) if share < RARE else share
        correlation = float(np.clip(lag / excess, *CORRELATIONS))
        switching = _table(share, correlation, _decay(movie, background))
    share = switching.emitting_fraction
    if brightness is None:
        brightness = pulse / max(1 + spread - share, 0.1)
    emission = brightness * expected_emission(switching, len(movie))
    if not emission > 0:
        raise InputError(
            "transition, initial: expected a fluorophore that emits, found one that never does"
        )
    return Blinking(
        switching=switching,
        brightness=Brightness(float(brightness), float(SPREAD * brightness)),
        fluorophores=float(mean / emission),
    )


def _cumulants(movie: NDArray, background: float | NDArray) -> tuple[float, float, float, float]:
    """Sums over pixels: mean light, excess variance, lag covariance, excess third cumulant."""
    mean = movie.mean(0)
    variance = lag = third = 0.0
    blocks = [movie[first : first + BLOCK] for first in range(0, len(movie), BLOCK)]
    for block in blocks:
        change = block - block.mean(0)
        share = len(block) / len(movie)
        degrees = max(len(block) - 1, 1)
        variance += share * (change**2).sum() / degrees
        third += share * (change**3).mean(0).sum() * (len(block) / degrees) ** 2
        if len(block) > 1:
            # The mean of a block is subtracted, which lowers every lag by variance / T.
            lag += share * ((change[1:] * change[:-1]).mean(0).sum())
            lag += share * (change**2).sum() / degrees / len(block)
    total = mean.sum()
    light = max(total - np.mean(background) * mean.size, 1e-9 * abs(total) + 1e-12)
    excess = max(variance - total, 1e-3 * light)
    return float(light), float(excess), float(lag), float(third - 3 * excess - total)


def _emitting_share(ratio: float, spread: float) -> float:
    def difference(share: float) -> float:
        top = (1 + spread) ** 3 - 3 * share * (1 + spread) + 2 * share**2
        return top / (1 + spread - share) ** 2 - ratio

    low, high = EMITTING_SHARES
    if difference(low) <= 0:
        return low
    if difference(high) >= 0:
        return high
    return float(brentq(difference, low, high))


def _decay(movie: NDArray, background: float | NDArray) -> float:
    """Rate per frame at which the light of the movie falls; 0 where it rises."""
    light = np.maximum(movie.mean((1, 2)) - np.mean(background), 0)
    third = max(len(light) // 3, 1)
    early, late = light[:third].mean(), light[-third:].mean()
    if early <= 0 or late <= 0:
        return 0.0
    return float(max(np.log(early / late) / max(len(light) - third, 1), 0.0))


def _table(share: float, correlation: float, decay: float) -> Switching:
    on, off = share * (1 - correlation), (1 - share) * (1 - correlation)
    scale = min(1.0, 0.95 / max(on, off))
    on, off = on * scale, off * scale
    bleached = min(decay / (1 - share), LARGEST_BLEACHING, 1 - on)
    return Switching(
        [[1 - off, off, 0], [on, 1 - on - bleached, bleached], [0, 0, 1]], [share, 1 - share, 0]
    )


def learned_switching(states: NDArray, present: NDArray, prior: Switching) -> Switching:
    """Posterior mean of the transition matrix given present emitters, with a Dirichlet prior.

    Args:
        states: (N, T).
        present: (N,), which of them are present.
        prior: transition matrix with the weight of `PRIOR_TRANSITIONS` transitions from each state.
    """
    states = states[present]
    code = STATES * states[:, :-1].astype(np.int64) + states[:, 1:]
    counts = np.bincount(code.ravel(), minlength=STATES**2).reshape(STATES, STATES)
    table = counts + PRIOR_TRANSITIONS * prior.transition
    table[BLEACHED] = prior.transition[BLEACHED]
    table[prior.transition == 0] = 0
    table /= table.sum(1, keepdims=True)
    on, off = table[DARK, EMITTING], table[EMITTING, DARK]
    if on + off == 0:  # emitters that never switch keep the law of their first state
        return Switching(table, prior.initial)
    return Switching(table, [on / (on + off), off / (on + off), 0])
