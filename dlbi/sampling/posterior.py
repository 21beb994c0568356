"""Posterior of the number of fluorophores in each fine pixel, averaged over sweeps."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import lambertw

from bayesdl_sim.dlbi.sampling.held_out import Mixture

__all__ = ["Posterior", "Structure", "Sums"]

NORMAL_90 = 3.2897  # width of the central 90 % of a normal distribution, in standard deviations
# Share of the probability of Poisson numbers of the same mean, below which a given probability of
# occupation is raised: few pixels would hold crowds that no structure has.
LEAST_SHARE = 0.05
SMALLEST_CROWD = 1 + 1e-7  # in an occupied pixel; lambertw is undefined nearer to its branch point


class Structure(NamedTuple):
    """Law of the number of fluorophores in each fine pixel; (8H, 8W) each.

    Args:
        mean: expected number.
        probability: probability that there is at least one.
        variance: variance of the number.
    """

    mean: NDArray[np.float64]
    probability: NDArray[np.float64]
    variance: NDArray[np.float64]

    @classmethod
    def of(cls, mean: NDArray, probability: ArrayLike | None = None) -> "Structure":
        """The law with a mean and a probability of occupation: zero, or a truncated Poisson number.

            P(N = 0) = 1 - p,    P(N = n) = p rate**n / (n! (exp(rate) - 1)) for n > 0
            mean = p rate / (1 - exp(-rate)),    variance = mean (1 + rate - mean)

        Without a probability p it is 1 - exp(-mean), the numbers are Poisson, and rate, mean and
        variance are the same. No p is larger than the mean, which no number of fluorophores allows.
        """
        poisson = -np.expm1(-mean)
        if probability is None:
            return cls(mean, poisson, mean)
        given = np.asarray(probability, dtype=np.float64)
        probability = np.minimum(np.maximum(given, LEAST_SHARE * poisson), np.minimum(mean, 1))
        rate = _rate(mean, probability)
        return cls(mean, probability, mean * np.maximum(1 + rate - mean, 0))

    def draw(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """One draw of the numbers in the law of `of`."""
        drawn = np.zeros(self.mean.shape, dtype=np.int64)
        occupied = generator.random(self.mean.shape) < self.probability
        rate = _rate(self.mean[occupied], self.probability[occupied])
        # The first event of a process of this rate, given that there is one in the unit interval.
        first = -np.log1p(generator.random(rate.shape) * np.expm1(-rate))
        drawn[occupied] = 1 + generator.poisson(np.maximum(rate - first, 0))
        return drawn


def _rate(mean: NDArray, probability: NDArray) -> NDArray[np.float64]:
    """Rate of the Poisson number that, where it is not zero, has the mean `mean / probability`."""
    crowd = np.divide(mean, probability, out=np.ones_like(mean), where=probability > 0)
    crowd = np.maximum(crowd, SMALLEST_CROWD)
    return np.maximum(crowd + lambertw(-crowd * np.exp(-crowd)).real, 0)


class Sums:
    """The sweeps of a Markov chain, each by the position distributions of its emitters.

    A sweep stands for Poisson numbers of fluorophores whose expectation is the sum of these
    distributions.
    """

    def __init__(self) -> None:
        self._densities: list[NDArray[np.float32]] = []

    def add(self, density: NDArray) -> None:
        """Adds one sweep: (8H, 8W), sum of the position distributions of all emitters."""
        self._densities.append(density.astype(np.float32))

    @property
    def count(self) -> int:
        """Number of sweeps."""
        return len(self._densities)

    @property
    def mean(self) -> NDArray[np.float64]:
        """(8H, 8W), expected number of emitters."""
        total = np.zeros(self._densities[0].shape)
        for density in self._densities:
            total += density
        return total / self.count

    def structure(self, scale: float, blur: float) -> Structure:
        """Moments of the numbers that `draw` draws: Poisson within a sweep, and between sweeps.

        With d the blurred density of a sweep, E and V mean and variance over sweeps:
        mean = s E[d], probability = 1 - E[exp(-s d)], variance = s E[d] + s**2 V[d].

        Args:
            scale: fluorophores for each emitter, s.
            blur: standard deviation of the blur, fine pixels.
        """
        total, square, empty = (np.zeros(self._densities[0].shape) for _ in range(3))
        for number in range(self.count):
            rate = self._rate(number, scale, blur)
            total += rate
            square += rate**2
            empty += np.exp(-rate)
        mean = total / self.count
        between = np.maximum(square / self.count - mean**2, 0)
        return Structure(mean, 1 - empty / self.count, mean + between)

    def draw(self, scale: float, blur: float, generator: np.random.Generator) -> NDArray[np.int64]:
        """Poisson numbers (8H, 8W) of a random sweep, its density scaled and blurred."""
        return generator.poisson(self._rate(int(generator.integers(self.count)), scale, blur))

    def _rate(self, number: int, scale: float, blur: float) -> NDArray[np.float64]:
        density = scale * self._densities[number].astype(np.float64)
        return gaussian_filter(density, blur) if blur else density


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Mixture of a prior structure and sampled emitters, with the number of the former.

    The numbers of all pixels follow the sampled emitters with the probability `mixture.weight`, and
    the prior structure otherwise. Maps are moments of this law, `draws` are draws of it.

    Args:
        prior: the structure before.
        sums: the sweeps; None where there are none, and the weight is 0.
        mixture: weight and blur of the sampled part.
    """

    prior: Structure
    sums: Sums | None
    mixture: Mixture

    @property
    def mean(self) -> NDArray[np.float64]:
        """Expected number of fluorophores in a fine pixel."""
        return self._mixed("mean")

    @property
    def probability(self) -> NDArray[np.float64]:
        """Probability that a fine pixel holds at least one fluorophore."""
        return self._mixed("probability")

    @property
    def credible_width(self) -> NDArray[np.float64]:
        """Width of the central 90 % of the number in a fine pixel, in the normal approximation.

        It is 3.29 standard deviations of the number, with the same meaning at every weight: at
        weight 0 they are those of the prior structure.
        """
        variance = self._mixed("variance")
        if self._sampled is not None:
            weight = self.mixture.weight
            difference = self.prior.mean - self._sampled.mean
            variance = variance + weight * (1 - weight) * difference**2
        return NORMAL_90 * np.sqrt(np.maximum(variance, 0))

    def draws(self, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draws (count, 8H, 8W) of the numbers, each of the prior or of a sweep as a whole."""
        drawn = np.empty((count, *self.prior.mean.shape), dtype=np.int64)
        for numbers in drawn:
            if self.sums is not None and generator.random() < self.mixture.weight:
                numbers[:] = self.sums.draw(self._scale, self.mixture.blur, generator)
            else:
                numbers[:] = self.prior.draw(generator)
        return drawn

    @cached_property
    def _scale(self) -> float:
        """Fluorophores of the prior for each sampled emitter."""
        return float(self.prior.mean.sum() / max(self.sums.mean.sum(), 1e-12))

    @cached_property
    def _sampled(self) -> Structure | None:
        """The sampled part, where it has any weight."""
        if self.sums is None or self.mixture.weight == 0:
            return None
        return self.sums.structure(self._scale, self.mixture.blur)

    def _mixed(self, name: str) -> NDArray[np.float64]:
        prior = getattr(self.prior, name)
        if self._sampled is None:
            return prior
        weight = self.mixture.weight
        return (1 - weight) * prior + weight * getattr(self._sampled, name)
