"""Brightness of single emissions: unknown, positive, different from frame to frame.

An emission has a brightness a ~ N(mean, spread**2), truncated below zero. Given the projections f
of the light on a spot and the products G of spots (both over the noise variance), the likelihood
against no emission is exp(a f - a G a / 2), so that a is integrated out in closed form.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

__all__ = [
    "Brightness",
    "TruncatedNormal",
    "first_law",
    "pair_evidence",
    "sample_above_zero",
    "second_law",
    "single_law",
]

SMALLEST_CHANCE = 1e-12


class Brightness(NamedTuple):
    """Mean and standard deviation of the brightness of an emission, in units of the movie."""

    mean: float
    spread: float


class TruncatedNormal(NamedTuple):
    """Normal distributions, truncated below zero, of emissions that occurred: mean and 1 / sd."""

    mean: NDArray[np.float64]
    root_precision: NDArray[np.float64]


def single_law(
    fields: NDArray, gram: NDArray, brightness: Brightness
) -> tuple[NDArray[np.float64], TruncatedNormal]:
    """Log odds of an emission against none, brightness integrated out; and its distribution.

    Args:
        fields: projections f, any shape.
        gram: products G, same shape.
    """
    prior = 1 / brightness.spread**2
    precision = prior + gram
    mean = (brightness.mean * prior + fields) / precision
    root = np.sqrt(precision)
    scaled = brightness.mean / brightness.spread
    log_odds = np.log(prior / precision) + (mean * root) ** 2 - scaled**2
    log_odds = log_odds / 2 + log_ndtr(mean * root) - log_ndtr(scaled)
    return log_odds, TruncatedNormal(mean, root)


def sample_above_zero(law: TruncatedNormal, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draws of the truncated normal, by inversion of its cumulative distribution function."""
    below = ndtr(-law.mean * law.root_precision)
    chance = below + (1 - below) * generator.random(law.mean.shape)
    normal = ndtri(np.clip(chance, SMALLEST_CHANCE, 1 - SMALLEST_CHANCE))
    return np.maximum(law.mean + normal / law.root_precision, 0)


def pair_evidence(fields: NDArray, gram: NDArray, brightness: Brightness) -> NDArray[np.float64]:
    """Log likelihoods (4, ...) of none, first, second and both emitting, against none.

    Args:
        fields: (2, ...), projections on the two spots.
        gram: (3, ...), products first-first, second-second, first-second.
    """
    first, _ = single_law(fields[0], gram[0], brightness)
    second, _ = single_law(fields[1], gram[1], brightness)
    means, determinant, precisions = _pair_means(fields, gram, brightness)
    prior = 1 / brightness.spread**2
    scaled = brightness.mean / brightness.spread
    pull = fields + brightness.mean * prior
    both_emit = np.log(prior**2 / determinant) / 2 + (means * pull).sum(0) / 2 - scaled**2
    # The two truncations are treated as if the brightnesses were independent.
    roots = np.sqrt(determinant / precisions[::-1])
    both_emit += log_ndtr(means * roots).sum(0) - 2 * log_ndtr(scaled)
    return np.stack([np.zeros_like(both_emit), first, second, both_emit])


def first_law(
    fields: NDArray, gram: NDArray, second_emits: NDArray[np.bool_], brightness: Brightness
) -> TruncatedNormal:
    """Distribution of the first brightness of a pair, the second integrated out where it emits."""
    _, alone = single_law(fields[0], gram[0], brightness)
    means, determinant, precisions = _pair_means(fields, gram, brightness)
    root = np.sqrt(determinant / precisions[1])
    return TruncatedNormal(
        np.where(second_emits, means[0], alone.mean),
        np.where(second_emits, root, alone.root_precision),
    )


def second_law(
    fields: NDArray, gram: NDArray, first: NDArray, brightness: Brightness
) -> TruncatedNormal:
    """Distribution of the second brightness given the first, zero where that does not emit."""
    return single_law(fields[1] - gram[2] * first, gram[1], brightness)[1]


def _pair_means(
    fields: NDArray, gram: NDArray, brightness: Brightness
) -> tuple[NDArray, NDArray, NDArray]:
    """Means (2, ...), determinant of the precision and its diagonal (2, ...) where both emit."""
    prior = 1 / brightness.spread**2
    precisions = gram[:2] + prior
    determinant = precisions[0] * precisions[1] - gram[2] ** 2
    pull = fields + brightness.mean * prior
    means = precisions[::-1] * pull - gram[2] * pull[::-1]
    return means / determinant, determinant, precisions
