"""The weight of a sampled structure, determined by emissions in held-out frames."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter

from bayesdl_sim.dlbi.conventions import FINE
from bayesdl_sim.dlbi.inference.spots import gaussian
from bayesdl_sim.dlbi.sampling.field import SMALLEST_VARIANCE

__all__ = ["Emissions", "Mixture", "best_mixture", "held_out_frames", "isolated_emissions"]

BLOCKS = 20  # of frames; every fifth is held out
EVERY = 5
THRESHOLD = 6.0  # of the matched filter, in standard deviations of the noise
RADIUS = 3  # camera pixels of the fit around an emission
STEPS = 8  # Gauss-Newton steps of the fit
LARGEST_MISFIT = 1.3  # mean squared residual over its variance; blends of two have more
BRIGHTNESSES = (0.4, 1.6)  # relative to the mean of an emission; blends are brighter
FEWEST = 40  # emissions; fewer do not determine a weight
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
BLURS = (0.0, 0.7, 1.2, 2.0)  # fine pixels
SMALLEST_GAIN = 1e-6  # nats per emission; rounding makes less
FLOOR = 0.02  # share of the field's emissions that are uniform over the field


class Emissions(NamedTuple):
    """Single emissions: positions (K, 2) in camera pixels, and their standard deviations (K,)."""

    positions: NDArray[np.float64]
    errors: NDArray[np.float64]


class Mixture(NamedTuple):
    """Weight and blur (fine pixels) of the sampled structure, and gain per emission (nats)."""

    weight: float
    blur: float
    gain: float


def held_out_frames(frames: int) -> NDArray[np.bool_]:
    """(T,), every fifth of twenty blocks of neighbouring frames."""
    return (np.arange(frames) * BLOCKS // max(frames, 1)) % EVERY == EVERY // 2


def isolated_emissions(
    movie: NDArray,
    background: float | NDArray,
    width: float,
    brightness: float,
    noise: float = 0.0,
) -> Emissions:
    """Finds and fits emissions that are isolated in their frame.

    Maxima of the matched filter are fitted by a spot of free position and brightness on a free
    floor. Emissions are kept where the fit explains the patch with the brightness of a single one.

    Args:
        movie: (T, H, W), electrons.
        background: electrons per pixel and frame, of the whole field or (H, W).
        width: width of the spots, camera pixels.
        brightness: mean of an emission, electrons.
        noise: further noise, electrons.
    """
    background = np.broadcast_to(np.asarray(background, movie.dtype), movie.shape[1:])
    light = movie - background
    norm = 1 / (4 * np.pi * width**2)
    filtered = gaussian_filter(light, (0, width, width))
    variance = np.maximum(gaussian_filter(movie, (0, width, width)), 0.5 * background) + noise**2
    variance = np.maximum(variance, SMALLEST_VARIANCE)
    peaks = filtered > THRESHOLD * np.sqrt(variance * norm)
    peaks &= filtered == maximum_filter(filtered, size=(1, 5, 5))
    peaks[:, :RADIUS] = peaks[:, -RADIUS:] = False
    peaks[:, :, :RADIUS] = peaks[:, :, -RADIUS:] = False
    frame, row, column = np.nonzero(peaks)
    if not len(frame):
        return Emissions(np.empty((0, 2)), np.empty(0))
    steps = np.arange(-RADIUS, RADIUS + 1)
    patches = movie[
        frame[:, None, None], (row[:, None] + steps)[:, :, None], (column[:, None] + steps)[:, None]
    ]
    floor = background[row, column][:, None]
    shift, amplitude, misfit, error = _fits(patches - floor[..., None], floor + noise**2, width)
    good = (misfit < LARGEST_MISFIT) & (np.abs(shift).max(1) < 1) & np.isfinite(error)
    good &= (amplitude > BRIGHTNESSES[0] * brightness) & (amplitude < BRIGHTNESSES[1] * brightness)
    positions = np.stack([row, column], axis=1) + shift
    return Emissions(positions[good], error[good])


def _fits(
    patches: NDArray, floor: NDArray, width: float
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Shift (K, 2), brightness, misfit and error (K,) of weighted fits to patches (K, s, s).

    `floor` (K, 1) is the variance of a patch without an emission.
    """
    count = len(patches)
    flat = patches.reshape(count, -1)
    steps = np.arange(-RADIUS, RADIUS + 1.0)
    shift = np.zeros((count, 2))
    amplitude = np.maximum(flat.max(1), 1.0) * 2 * np.pi * width**2
    offset = np.zeros(count)
    for _ in range(STEPS + 1):
        along = gaussian(steps - shift[:, :, None], width)  # (K, 2, side)
        slope = along * (steps - shift[:, :, None]) / width**2
        spot = (along[:, 0, :, None] * along[:, 1, None]).reshape(count, -1)
        in_y = (slope[:, 0, :, None] * along[:, 1, None]).reshape(count, -1)
        in_x = (along[:, 0, :, None] * slope[:, 1, None]).reshape(count, -1)
        model = amplitude[:, None] * spot + offset[:, None]
        variance = np.maximum(np.maximum(model, 0) + floor, SMALLEST_VARIANCE)
        design = np.stack(
            [amplitude[:, None] * in_y, amplitude[:, None] * in_x, spot, np.ones_like(spot)], axis=2
        )
        weighted = design / variance[:, :, None]
        normal = np.swapaxes(weighted, 1, 2) @ design
        normal += 1e-9 * np.eye(4) * np.trace(normal, axis1=1, axis2=2)[:, None, None]
        step = np.linalg.solve(normal, np.swapaxes(weighted, 1, 2) @ (flat - model)[..., None])
        covariance = np.linalg.inv(normal)
        misfit = ((flat - model) ** 2 / variance).mean(1)
        shift = np.clip(shift + np.clip(step[:, :2, 0], -0.5, 0.5), -2, 2)
        amplitude = np.maximum(amplitude + step[:, 2, 0], 1e-3)
        offset = offset + step[:, 3, 0]
    error = np.sqrt(np.maximum(covariance[:, 0, 0] + covariance[:, 1, 1], 0) / 2)
    return shift, amplitude, misfit, error


def best_mixture(prior: NDArray, sampled: NDArray, emissions: Emissions) -> Mixture:
    """The mixture of two structures under which held-out emissions are most likely.

    An emission at r with the error e has the likelihood ((1 - w) prior + w sampled) blurred by e,
    at r. The mixture is chosen whose gain over the prior alone, minus one standard error, is
    largest; none, where it is not positive.

    Args:
        prior: (8H, 8W), any unit.
        sampled: (8H, 8W), any unit.
        emissions: emissions of frames that are not among the data of `sampled`.
    """
    if len(emissions.positions) < FEWEST or not sampled.sum() > 0:
        return Mixture(0.0, 0.0, 0.0)
    error = float(np.median(emissions.errors)) * FINE
    fine = ((emissions.positions + 0.5) * FINE - 0.5).T

    def density_at(structure: NDArray, blur: float) -> NDArray:
        blurred = gaussian_filter(structure / structure.sum(), np.hypot(error, blur))
        return (1 - FLOOR) * map_coordinates(blurred, fine, order=1, mode="nearest")

    floor = FLOOR / prior.size
    of_prior = density_at(prior, 0.0)
    gains = {}
    for blur in BLURS:
        of_samples = density_at(sampled, blur)
        for weight in WEIGHTS:
            mixed = (1 - weight) * of_prior + weight * of_samples
            gains[weight, blur] = np.log((mixed + floor) / (of_prior + floor))
    lower_bounds = {
        key: gain.mean() - gain.std() / np.sqrt(len(gain)) for key, gain in gains.items()
    }
    weight, blur = max(lower_bounds, key=lower_bounds.__getitem__)
    if lower_bounds[weight, blur] <= SMALLEST_GAIN:
        return Mixture(0.0, 0.0, 0.0)
    return Mixture(weight, blur, float(gains[weight, blur].mean()))
