"""Posterior of the number of fluorophores in each fine pixel, averaged over sweeps."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from bayesdl_sim.dlbi.sampling.held_out import Mixture

__all__ = ["Posterior", "Structure", "Sums"]

NORMAL_90 = 3.2897  # width of the central 90 % of a normal distribution, in standard deviations


class Sums:
    """Sums over sweeps: each adds the distributions of all positions, and one draw of them."""

    def __init__(self, shape: tuple[int, ...]):
        self.count = 0
        self._density, self._square, self._empty = (np.zeros(shape) for _ in range(3))
        self.draws: list[NDArray[np.int32]] = []

    def add(self, density: NDArray, places: NDArray[np.int64]) -> None:
        """Adds one sweep.

        Args:
            density: (8H, 8W), sum of the position distributions of all emitters.
            places: (K, 2), their fine pixels.
        """
        self.count += 1
        self._density += density
        self._square += density**2
        self._empty += np.exp(-density)
        self.draws.append((places[:, 0] * density.shape[1] + places[:, 1]).astype(np.int32))

    @property
    def mean(self) -> NDArray[np.float64]:
        """(8H, 8W), expected number of emitters."""
        return self._density / max(self.count, 1)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Variance of the number in a draw: Poisson within a sweep, plus that between sweeps."""
        mean = self.mean
        return mean + np.maximum(self._square / max(self.count, 1) - mean**2, 0)

    @property
    def probability(self) -> NDArray[np.float64]:
        """Probability that there is an emitter."""
        return 1 - self._empty / max(self.count, 1)


class Structure(NamedTuple):
    """A structure with its own uncertainty; (8H, 8W) each.

    Args:
        mean: expected number of fluorophores in a fine pixel.
        probability: probability that there is one.
        variance: variance of the number.
    """

    mean: NDArray[np.float64]
    probability: NDArray[np.float64]
    variance: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        mean: NDArray,
        probability: ArrayLike | None = None,
        credible_width: ArrayLike | None = None,
    ) -> "Structure":
        """A structure of Poisson numbers where no probability or width is given."""
        if probability is None:
            probability = -np.expm1(-mean)
        width = NORMAL_90 * np.sqrt(mean) if credible_width is None else credible_width
        variance = (np.asarray(width, dtype=np.float64) / NORMAL_90) ** 2
        return cls(mean, np.asarray(probability, dtype=np.float64), variance)


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Mixture of a prior structure and sampled emitters, with the number of the former.

    Args:
        prior: the structure before.
        sums: sums of the sweeps; None where there are none, and the weight is 0.
        mixture: weight and blur of the sampled part.
    """

    prior: Structure
    sums: Sums | None
    mixture: Mixture

    @property
    def mean(self) -> NDArray[np.float64]:
        return self._mixed("mean")

    @property
    def probability(self) -> NDArray[np.float64]:
        """Probability that a fine pixel holds at least one fluorophore."""
        return self._mixed("probability")

    @property
    def credible_width(self) -> NDArray[np.float64]:
        """Width of the central 90 % of the number in a pixel, in the normal approximation."""
        variance = self._mixed("variance")
        if self.sums is not None:
            weight = self.mixture.weight
            difference = self.prior.mean - self._scale * self._blurred(self.sums.mean)
            variance = variance + weight * (1 - weight) * difference**2
        return NORMAL_90 * np.sqrt(np.maximum(variance, 0))

    def draws(self, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draws (count, 8H, 8W): Poisson of the prior, and of the emitters of a sweep."""
        weight = self.mixture.weight
        drawn = generator.poisson(
            (1 - weight) * self.prior.mean, size=(count, *self.prior.mean.shape)
        )
        if self.sums is None:
            return drawn
        for number in drawn:
            places = self.sums.draws[generator.integers(len(self.sums.draws))]
            copies = generator.poisson(weight * self._scale, size=len(places))
            number += np.bincount(places, copies, number.size).reshape(number.shape).astype(int)
        return drawn

    @property
    def _scale(self) -> float:
        """Fluorophores of the prior for each sampled emitter."""
        return float(self.prior.mean.sum() / max(self.sums.mean.sum(), 1e-12))

    def _mixed(self, name: str) -> NDArray[np.float64]:
        prior = getattr(self.prior, name)
        if self.sums is None or self.mixture.weight == 0:
            return prior
        weight = self.mixture.weight
        scale = 1.0 if name == "probability" else self._scale
        return (1 - weight) * prior + weight * scale * self._blurred(getattr(self.sums, name))

    def _blurred(self, image: NDArray) -> NDArray[np.float64]:
        return gaussian_filter(image, self.mixture.blur) if self.mixture.blur else image
