"""The Bayesian stage: from a structure and its movie to a posterior of the fluorophores.

Emitters on the fine grid, each a three-state chain with emissions of unknown brightness, are
sampled by Markov chain Monte Carlo over the whole field, with the given structure as base measure.
The gain of the samples is measured by emissions in held-out frames, which determine their weight in
the result: where that is zero, the structure is returned unchanged.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.dlbi.conventions import FINE
from bayesdl_sim.dlbi.inference.chains import Switching
from bayesdl_sim.dlbi.inference.observations import numpy_generator
from bayesdl_sim.dlbi.sampling.emitters import EmitterSampler, sample_places
from bayesdl_sim.dlbi.sampling.field import Field, camera_position, pixel_width
from bayesdl_sim.dlbi.sampling.held_out import (
    FEWEST,
    Mixture,
    best_mixture,
    held_out_frames,
    isolated_emissions,
)
from bayesdl_sim.dlbi.sampling.posterior import Posterior, Structure, Sums
from bayesdl_sim.dlbi.sampling.priors import Blinking, blinking_of
from bayesdl_sim.utils.errors import InputError

__all__ = ["RefinedStructure", "refine"]

# Chains drawn per camera pixel and 200 frames, for which time is allowed at budget 1, and the
# limits of the number of sweeps that follows.
CHAINS_PER_PIXEL = 36.0
FRAMES = 200
SWEEPS = (22, 100)
FIRST_PHASE = 0.6  # share of the sweeps before the held-out frames join the data of the chain
HEATED = 0.4  # share of the first phase in which the likelihood is tempered
COLDEST = 0.1  # power of the likelihood in the first sweep
SETTLED = (0.6, 0.25)  # share of each phase after which draws are kept
CANDIDATES = 1.3  # per expected fluorophore
MOST_CANDIDATES = 2.0  # per camera pixel
FLOOR = 0.02  # share of the base measure that is uniform: the structure may be incomplete


@dataclass(frozen=True, kw_only=True)
class RefinedStructure:
    """Posterior of the density of fluorophores on the eightfold grid.

    Args:
        density: (8H, 8W), posterior mean of the number of fluorophores in a fine pixel. Its sum is
            that of the structure given: sampled emitters sharpen the structure, but two that are
            seldom on and close may be sampled as one, so that their number is a lower bound.
        probability: (8H, 8W), that a fine pixel holds a fluorophore; at most the density.
        credible_width: (8H, 8W), width of the central 90 % of the number of fluorophores in a fine
            pixel, in the normal approximation: 3.29 standard deviations, at every weight. At weight
            0 they are those of the numbers in the structure given.
        weight: share of the sampled emitters in the result; the rest is the structure given.
        gain: gain of the held-out emissions from them, nats each.
        emissions: number of held-out emissions that determined the weight.
        positions: (K, 2), emitters of the last draw, y and x in camera pixels; empty where the
            weight is 0.
        blinking: brightness, switching and number of fluorophores that were assumed.
        sweeps: sweeps of the Markov chain.
        posterior: posterior from which the maps are computed.
    """

    density: NDArray[np.float32]
    probability: NDArray[np.float32]
    credible_width: NDArray[np.float32]
    weight: float
    gain: float
    emissions: int
    positions: NDArray[np.float64]
    blinking: Blinking
    switching: Switching
    sweeps: int
    posterior: Posterior

    def draws(self, count: int, generator: np.random.Generator | torch.Generator) -> NDArray:
        """Draws of the number of fluorophores in each fine pixel, (count, 8H, 8W).

        The maps are the moments of their law.
        """
        return self.posterior.draws(count, numpy_generator(generator))


def refine(
    movie: ArrayLike,
    density: ArrayLike,
    sigma_px: float,
    background: float | NDArray,
    noise: float = 0.0,
    transition: ArrayLike | None = None,
    initial: ArrayLike | None = None,
    *,
    generator: np.random.Generator | torch.Generator,
    brightness: float | None = None,
    probability: ArrayLike | None = None,
    progress: Callable[[int, int], None] | None = None,
    budget: float = 1.0,
) -> RefinedStructure:
    """Refines a structure by the factorial hidden Markov model of its movie.

    Args:
        movie: (T, H, W) in electrons: the variance of a pixel that does not blink is its mean.
        density: (8H, 8W), the structure so far: expected number of fluorophores in a fine pixel.
        sigma_px: standard deviation of the Gaussian point spread function, camera pixels.
        background: electrons per pixel and frame, of the whole field or (H, W).
        noise: standard deviation of noise beyond shot noise, electrons.
        transition: (3, 3) transition matrix of the fluorophore, which is then kept; estimated from
            the movie and learned from the samples where it is left out.
        initial: (3,), its initial distribution, kept as well.
        generator: source of all random numbers; the same state gives the same bytes.
        brightness: mean electrons of an emission; estimated where it is left out.
        probability: (8H, 8W), that of the structure so far; Poisson numbers where it is left out.
        progress: called with the number of sweeps done and the largest number of sweeps.
        budget: number of sweeps relative to the default.

    Returns:
        The refined structure.

    Raises:
        InputError: where shapes or numbers do not fit, or there is no light.
    """
    movie, density = _checked(movie, density)
    _check_optics(movie.shape, sigma_px, background, noise, brightness)
    prior = Structure.of(density, _checked_probability(probability, density.shape))
    generator = numpy_generator(generator)
    width = pixel_width(sigma_px)
    known = None if transition is None else _table(transition, initial)
    blinking = blinking_of(movie, background, width, known, brightness)
    sweeps = _sweeps(blinking, movie.shape, budget)
    first = max(round(FIRST_PHASE * sweeps), 2)

    hidden = held_out_frames(len(movie))
    emissions = isolated_emissions(
        movie[hidden], background, width, blinking.brightness.mean, noise
    )
    mixture, sums, done, positions = Mixture(0.0, 0.0, 0.0), None, 0, np.empty((0, 2))
    if len(emissions.errors) >= FEWEST:
        field = Field(movie, background, width, noise, hidden)
        sampler = _sampler(field, density, blinking, generator)
        learned = blinking.switching if known is None else None
        report = _after(progress, 0, sweeps)
        early = _run(sampler, learned, first, generator, report, heat=True).mean
        mixture, done = best_mixture(density, early, emissions), first
    if mixture.weight > 0:
        sampler = sampler.moved(Field(movie, background, width, noise))
        report = _after(progress, first, sweeps)
        sums = _run(sampler, None, sweeps - first, generator, report, heat=False)
        positions, done = camera_position(sampler.places[sampler.present]), sweeps
    if progress is not None:
        progress(sweeps, sweeps)
    posterior = Posterior(prior=prior, sums=sums, mixture=mixture)
    return RefinedStructure(
        density=posterior.mean.astype(np.float32),
        probability=posterior.probability.astype(np.float32),
        credible_width=posterior.credible_width.astype(np.float32),
        weight=mixture.weight,
        gain=mixture.gain,
        emissions=len(emissions.errors),
        positions=positions,
        blinking=blinking,
        sweeps=done,
        switching=sampler.switching if done else blinking.switching,
        posterior=posterior,
    )


def _run(
    sampler: EmitterSampler,
    learned: Switching | None,
    sweeps: int,
    generator: np.random.Generator,
    progress: Callable[[int], None],
    heat: bool,
) -> Sums:
    """Sweeps over chains, positions and pairs; sums the later ones.

    Early sweeps of a heated run temper the likelihood, so that an emitter does not explain the
    light of a neighbour that has not yet moved to its position. Where the switching is learned, it
    starts from `learned`.
    """
    sums = Sums()
    settled = min(SETTLED[0 if heat else 1] * sweeps, sweeps - 1)
    heated = HEATED * sweeps if heat else 0
    for number in range(sweeps):
        power = min(1.0, COLDEST + (1 - COLDEST) * number / heated) if heated else 1.0
        density = np.zeros(sampler.base.shape)
        sampler.sweep(generator, density, power)
        sampler.sweep_pairs(generator, power)
        if heat and number >= heated:
            sampler.learn(learned, generator)
        if number >= settled:
            sums.add(density)
        progress(number + 1)
    return sums


def _sampler(
    field: Field, prior: NDArray, blinking: Blinking, generator: np.random.Generator
) -> EmitterSampler:
    """The sampler with its candidates at places drawn from the structure, all absent."""
    most = MOST_CANDIDATES * field.shape[0] * field.shape[1]
    count = int(np.clip(CANDIDATES * blinking.fluorophores, 1, most))
    base = (1 - FLOOR) * prior / prior.sum() + FLOOR / prior.size
    return EmitterSampler(
        field,
        base,
        blinking.switching,
        blinking.brightness,
        min(blinking.fluorophores / count, 1 / CANDIDATES),
        sample_places(base, count, generator),
    )


def _sweeps(blinking: Blinking, shape: tuple[int, ...], budget: float) -> int:
    """Number of sweeps that take about the same time for every movie of one size."""
    frames, height, width = shape
    most = MOST_CANDIDATES * height * width
    candidates = min(max(CANDIDATES * blinking.fluorophores, 1), most)
    chains = CHAINS_PER_PIXEL * height * width * FRAMES / max(frames, FRAMES)
    return max(round(budget * np.clip(chains / candidates, *SWEEPS)), 4)


def _after(progress: Callable[[int, int], None] | None, done: int, sweeps: int):
    return lambda number: progress(done + number, sweeps) if progress is not None else None


def _table(transition: ArrayLike, initial: ArrayLike | None) -> Switching:
    if initial is None:
        raise InputError("initial: expected the law of the first state beside transition")
    return Switching(transition, initial)


def _checked(
    movie: ArrayLike, density: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    movie = np.asarray(movie, dtype=np.float32)
    density = np.asarray(density, dtype=np.float64)
    if movie.ndim != 3 or len(movie) < 2:
        raise InputError(f"movie: expected (frames, height, width), found the shape {movie.shape}")
    expected = (FINE * movie.shape[1], FINE * movie.shape[2])
    if density.shape != expected:
        raise InputError(
            f"density: expected {expected}, eight fine pixels to each of the movie's, found the "
            f"shape {density.shape}"
        )
    if not (np.all(np.isfinite(movie)) and np.all(np.isfinite(density))):
        raise InputError("movie, density: expected finite numbers")
    density = np.maximum(density, 0)
    if not density.sum() > 0:
        raise InputError("density: expected a structure, found nothing above zero")
    return movie, density


def _check_optics(
    shape: tuple[int, ...],
    sigma_px: float,
    background: float | NDArray,
    noise: float,
    brightness: float | None,
) -> None:
    if np.shape(background) not in ((), shape[1:]) or not np.all(np.isfinite(background)):
        raise InputError(
            f"background: expected one finite number of electrons or {shape[1:]} of them, found "
            f"values of the shape {np.shape(background)}"
        )
    for name, value in (("sigma_px", sigma_px), ("brightness", brightness)):
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"{name}: expected a positive number, found {value}")
    if not 0 <= noise < np.inf:
        raise InputError(f"noise: expected electrons, zero or more, found {noise}")


def _checked_probability(
    probability: ArrayLike | None, shape: tuple[int, ...]
) -> NDArray[np.float64] | None:
    if probability is None:
        return None
    probability = np.asarray(probability, dtype=np.float64)
    if probability.shape != shape or not np.all((probability >= 0) & (probability <= 1)):
        raise InputError(
            f"probability: expected {shape} numbers from 0 to 1, found values of the shape "
            f"{probability.shape}"
        )
    return probability
