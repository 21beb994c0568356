"""The 3B analysis as a baseline: random seeds, its own priors, no structure to begin with.

Spots are fitted to the normalised movie by Monte Carlo expectation maximisation: states by
forward filtering, backward sampling, then brightness, width and position by conjugate gradients.
After each pass spots are added at random places and taken away by their evidence given all others
(in place of the thermodynamic integration of the original). The structure is the histogram of the
spots of all passes after the first.

Source: Cox et al., Nature Methods 9, 195 (2012).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from bayesdl_sim.dlbi.conventions import DARK, EMITTING, FINE
from bayesdl_sim.dlbi.fhmm import StateSampler, single_chain, spot_images
from bayesdl_sim.dlbi.inference.maximisation import Priors, expected_likelihood, maximise
from bayesdl_sim.dlbi.inference.observations import numpy_generator
from bayesdl_sim.utils.errors import InputError

__all__ = ["ThreeB", "normalised_movie", "three_b"]

# Published settings: transition matrix and initial distribution, logarithms of brightness and width
# (camera pixels of 100 nm, unit noise), and the width of the local mean that is subtracted.
TRANSITION = ((0.16, 0.84, 0.0), (0.495, 0.495, 0.01), (0.0, 0.0, 1.0))
INITIAL = (0.5, 0.5, 0.0)
BRIGHTNESS = (2.0, 1.0)
WIDTH = (0.029, 0.1)
LOCAL_MEAN_PX = 5.0
SEEDS_PER_PIXEL = 0.09  # as many as its published run had at the start
SWEEPS = 3  # of the states in each pass, all of which count
STEPS = 6  # of conjugate gradients in each pass
TRIALS = 0.1  # spots tried to be added and to be removed in each pass, relative to their number
LEFT_OUT = 0.2  # share of the passes before the histogram begins


@dataclass(frozen=True, kw_only=True)
class ThreeB:
    """Result of the analysis.

    Args:
        density: (8H, 8W), mean number of spots in a fine pixel.
        spots: (N, 4) of the last pass: amplitude, width, y, x in camera pixels.
        counts: number of spots after each pass.
    """

    density: NDArray[np.float32]
    spots: NDArray[np.float64]
    counts: tuple[int, ...]


def normalised_movie(movie: ArrayLike) -> NDArray[np.float64]:
    """The movie with a local mean of zero in every frame, and unit variance over all.

    The local mean is that of the time average, blurred by a Gaussian of 5 pixels and scaled to the
    brightness of each frame.
    """
    movie = np.asarray(movie, dtype=np.float64)
    if movie.ndim != 3:
        raise InputError(f"movie: expected (frames, height, width), found the shape {movie.shape}")
    local = gaussian_filter(movie.mean(0), LOCAL_MEAN_PX)
    level = movie.mean((1, 2)) / max(local.mean(), 1e-12)
    change = movie - local * level[:, None, None]
    spread = change.std()
    if not spread > 0:
        raise InputError("movie: expected frames that differ, found a constant movie")
    return change / spread


def three_b(
    movie: ArrayLike,
    *,
    generator: np.random.Generator | torch.Generator,
    passes: int = 60,
    width_px: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ThreeB:
    """Runs the 3B analysis on a movie.

    Args:
        movie: (T, H, W), any unit; it is normalised.
        generator: source of all random numbers.
        passes: number of passes over states and spots.
        width_px: median of the prior of the width of spots; the published 1.03 by default.
        progress: called with the passes done and their number.

    Raises:
        InputError: where the movie is not a movie, or constant.
    """
    movie = normalised_movie(movie)
    generator = numpy_generator(generator)
    width = WIDTH if width_px is None else (float(np.log(width_px)), WIDTH[1])
    priors = Priors(BRIGHTNESS, width)
    shape = movie.shape[1:]
    count = max(round(SEEDS_PER_PIXEL * shape[0] * shape[1]), 1)
    spots = _random_spots(count, shape, priors, generator)
    states = np.full((count, len(movie)), DARK, dtype=np.int8)
    density, summed_passes, counts = np.zeros((FINE * shape[0], FINE * shape[1])), 0, []
    for number in range(passes):
        sampler = _sampler(movie, spots, states)
        draws = np.stack([sampler.sweep(generator) for _ in range(SWEEPS)])
        likelihood = expected_likelihood(movie, spots[:, 2:], draws == EMITTING)
        spots = _inside(maximise(likelihood, spots, priors, STEPS), shape)
        spots, states = _tried(movie, spots, draws[-1], priors, generator)
        counts.append(len(spots))
        if number >= LEFT_OUT * passes:
            density += _histogram(spots, shape)
            summed_passes += 1
        if progress is not None:
            progress(number + 1, passes)
    result = np.concatenate([np.exp(spots[:, :2]), spots[:, 2:]], axis=1)
    return ThreeB(
        density=(density / max(summed_passes, 1)).astype(np.float32),
        spots=result,
        counts=tuple(counts),
    )


def _random_spots(
    count: int, shape: tuple[int, ...], priors: Priors, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Spots (count, 4) from the priors: log amplitude, log width, y, x."""
    logs = np.array([priors.amplitude[0], priors.width[0]])
    spread = np.array([priors.amplitude[1] / 2, priors.width[1]])
    places = generator.random((count, 2)) * np.array(shape) - 0.5
    return np.concatenate([logs + spread * generator.normal(size=(count, 2)), places], axis=1)


def _sampler(movie: NDArray, spots: NDArray, states: NDArray) -> StateSampler:
    amplitude, width = np.exp(spots[:, 0]), np.exp(spots[:, 1])
    return StateSampler(
        movie, spots[:, 2:], amplitude, width, 0.0, 1.0, TRANSITION, INITIAL, states=states
    )


def _inside(spots: NDArray, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Limits brightness, width and position to finite numbers and to spots in the field."""
    low = np.array([BRIGHTNESS[0] - 4, np.log(0.5), -0.5, -0.5])
    high = np.array([BRIGHTNESS[0] + 4, np.log(3.0), shape[0] - 0.5, shape[1] - 0.5])
    return np.clip(spots, low, np.nextafter(high, -np.inf))


def _tried(
    movie: NDArray,
    spots: NDArray,
    states: NDArray,
    priors: Priors,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Removes spots that are explained by others, and adds random ones that improve the fit.

    A spot stays or is added with the probability Z / (1 + Z), Z its evidence given all others.
    """
    trials = max(round(TRIALS * len(spots)), 1)
    residual = _sampler(movie, spots, states).residual
    keep = np.ones(len(spots), dtype=bool)
    for index in generator.permutation(len(spots))[:trials]:
        image = spot_images(spots[index, None, 2:], *np.exp(spots[index, :2]), movie.shape[1:])[0]
        alone = residual + (states[index] == EMITTING)[:, None, None] * image
        if generator.random() > _chance(alone, image) and keep.sum() > 1:
            keep[index] = False
            residual = alone
    new = _random_spots(trials, movie.shape[1:], priors, generator)
    taken = [
        spot
        for spot in new
        if generator.random()
        < _chance(residual, spot_images(spot[None, 2:], *np.exp(spot[:2]), movie.shape[1:])[0])
    ]
    spots = np.concatenate([spots[keep], np.array(taken).reshape(-1, 4)])
    dark = np.full((len(taken), len(movie)), DARK, dtype=np.int8)
    return spots, np.concatenate([states[keep], dark])


def _chance(residual: NDArray, image: NDArray) -> float:
    """Probability that a spot is present, given the frames without it."""
    near = np.nonzero(image > 1e-4 * image.max())
    spot = image[near]
    log_odds = residual[:, near[0], near[1]] @ spot - (spot**2).sum() / 2
    log_evidence, _ = single_chain(log_odds, TRANSITION, INITIAL)
    return float(1 / (1 + np.exp(-np.clip(log_evidence, -500, 500))))


def _histogram(spots: NDArray, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Number of spots in each fine pixel."""
    index = np.floor((spots[:, 2:] + 0.5) * FINE).astype(np.int64)
    flat = index[:, 0] * FINE * shape[1] + index[:, 1]
    return np.bincount(flat, minlength=FINE**2 * shape[0] * shape[1]).reshape(
        FINE * shape[0], FINE * shape[1]
    )
