"""Width and shape of the spots, from the spectrum of a movie's fluctuations."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.dlbi.simulation.spots import AIRY_FWHM, FWHM_PER_SIGMA
from bayesdl_sim.physics.optics import circular_autocorrelation

__all__ = ["SIGMA_RANGE", "Spots", "passed", "spot_width"]

SIGMA_RANGE = (0.6, 3.0)  # camera pixels
# Relative standard deviation of the width from emission to emission: usual, how well that is known,
# and the largest.
WIDTH_SPREAD, UNSURE_SPREAD, MOST_SPREAD = 0.05, 0.03, 0.1
# Three widths in standard deviations, and their weights: exact for moments up to the fifth.
NODES = ((-(3**0.5), 1 / 6), (0.0, 2 / 3), (3**0.5, 1 / 6))
# The Gaussian that stands for spots of several widths has their transfer where that is exp(-3.5).
NEAREST_AT = 3.5
LOWEST_FREQUENCY = 0.04  # cycles per pixel; below, slow changes of the whole field dominate
AIRY_MARGIN = 20.0  # nats by which Airy spots must explain the spectrum better than Gaussian ones


class Spots(NamedTuple):
    """Estimates of the spots from the spectrum of a movie's fluctuations.

    Attributes:
        sigma: standard deviation of the usual Gaussian spot, camera pixels.
        spread: relative standard deviation of it, from emission to emission.
        blinking: power of the blinking at low frequencies over that of the noise.
        airy_fwhm: full width of Airy spots, camera pixels; None where Gaussians do as well.
    """

    sigma: float
    spread: float
    blinking: float
    airy_fwhm: float | None

    @property
    def nearest(self) -> float:
        """Standard deviation of the one Gaussian that is nearest to spots of all widths.

        The mean of their transfer functions at a frequency where the usual one is `exp(-a)` is
        `exp(-a (1 + s^2) + 2 a^2 s^2)` for a spread s: high frequencies pass by the narrow spots.
        """
        return self.sigma * (1 + self.spread**2 * (1 - 2 * NEAREST_AT)) ** 0.5


def spot_width(moments: Moments) -> Spots:
    """Width and shape of the spots from the spectrum of the frames' differences.

    Fluorophores blink independently, so the expected power of their fluctuations is that of a
    single spot whatever the structure: `P(k) = A |h(k)|^2 + N`. `h` is a Gaussian or an Airy spot,
    integrated over pixels, with its aliases; its width, A and N maximise the Whittle likelihood.
    The width of Gaussians differs from emission to emission, by a spread that is fitted, too: at
    high frequencies the narrow ones dominate.
    """
    height, width = moments.mean.shape
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    use = np.hypot(rows[:, None], columns[None]) >= LOWEST_FREQUENCY
    power = np.maximum(moments.spectrum.double().numpy()[use], 1e-30)

    def gaussian(sigma: float, spread: float) -> NDArray:
        return _gaussian_power(rows, columns, sigma, spread)[use]

    def airy(sigma: float, _: float) -> NDArray:
        return _airy_power(rows, columns, sigma * FWHM_PER_SIGMA)[use]

    # Frames are compared with their neighbours: half as many differences are independent.
    independent = moments.frames / 2
    loss, (amplitude, noise, sigma, spread) = _whittle_fit(
        power, independent, gaussian, (0.8, 1.3, 1.9)
    )
    airy_loss, (_, _, airy_sigma, _) = _whittle_fit(power, independent, airy, (1.06 * sigma,))
    gained = (loss - airy_loss) * independent
    # The Hann window blurs the spectrum by a variance of 1 / (3 n^2) along each axis.
    blurred = 1 / (2 * sigma**2) - 4 * np.pi**2 / 3 * (height**-2.0 + width**-2.0) / 2
    sigma = min((2 * blurred) ** -0.5, SIGMA_RANGE[1]) if blurred > 0 else SIGMA_RANGE[1]
    return Spots(
        float(sigma),
        float(spread),
        float(amplitude / noise),
        float(airy_sigma * FWHM_PER_SIGMA) if gained > AIRY_MARGIN else None,
    )


def _whittle_fit(
    power: NDArray,
    independent: float,
    spot: Callable[[float, float], NDArray],
    widths: tuple[float, ...],
) -> tuple[float, NDArray]:
    """The least sum of `log P + power / P`, and A, N, width and spread of `P = A spot + N`.

    Args:
        independent: number of spectra that the power is the mean of.
        spot: of the width and of its spread, for which a Gaussian prior counts.
        widths: to start from.
    """

    def loss(parameters: NDArray) -> float:
        amplitude, noise, width = np.exp(parameters[:3])
        expected = amplitude * spot(width, parameters[3]) + noise
        off = (parameters[3] - WIDTH_SPREAD) / UNSURE_SPREAD
        prior = 0.5 * off**2 / (independent * len(power))
        return float(np.mean(np.log(expected) + power / expected)) + prior

    noise, best = np.quantile(power, 0.1), None
    bounds = [(-60, 60), (-60, 60), tuple(np.log(SIGMA_RANGE)), (0.0, MOST_SPREAD)]
    for width in widths:
        start = np.log([max(np.quantile(power, 0.98) - noise, 0.01 * noise), noise, width])
        start = np.append(start, WIDTH_SPREAD)
        fit = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
        best = fit if best is None or fit.fun < best.fun else best
    return best.fun * len(power), np.append(np.exp(best.x[:3]), best.x[3])


def _gaussian_power(rows: NDArray, columns: NDArray, sigma: float, spread: float) -> NDArray:
    """|h|^2 (h, w) of pixel-integrated Gaussians, averaged over widths of that relative spread."""
    power = np.zeros((len(rows), len(columns)))
    for width, weight in widths(sigma, spread):
        power += weight * np.outer(aliased_power(rows, width), aliased_power(columns, width))
    return power


def widths(sigma: float, spread: float) -> list[tuple[float, float]]:
    """Standard deviations of a few spots and their weights, which stand for all of a spread."""
    return [(sigma * (1 + spread * node), weight) for node, weight in NODES]


def aliased_power(frequency: NDArray, sigma: float) -> NDArray:
    """|h|^2 of a pixel-integrated Gaussian, summed over the aliases of the camera's sampling."""
    shifted = frequency[:, None] + np.arange(-2, 3)[None]
    power = np.exp(-4 * (np.pi * sigma * shifted) ** 2)
    return (power * np.sinc(shifted) ** 2).sum(axis=1)


def passed(taps: NDArray, sigma: float) -> float:
    """Power of a spot behind a filter along one axis over that before it.

    Args:
        taps: of the filter, which leaves white noise at its power (their squares add up to 1).
        sigma: standard deviation of the spot in camera pixels.
    """
    frequency = (np.arange(512) + 0.5) / 1024
    response = np.abs(np.exp(-2j * np.pi * np.outer(frequency, np.arange(len(taps)))) @ taps) ** 2
    power = sum(weight * aliased_power(frequency, w) for w, weight in widths(sigma, WIDTH_SPREAD))
    return float((response * power).sum() / power.sum())


def _airy_power(rows: NDArray, columns: NDArray, fwhm: float) -> NDArray:
    """|h|^2 (h, w) of a pixel-integrated Airy spot, summed over the nearest aliases.

    Its Fourier transform is `circular_autocorrelation` of the frequency over the cut-off.
    """
    cutoff, power = AIRY_FWHM / (np.pi * fwhm), np.zeros((len(rows), len(columns)))
    for y in (rows[:, None] + alias for alias in (-1, 0, 1)):
        for x in (columns[None] + alias for alias in (-1, 0, 1)):
            v = np.minimum(np.hypot(y, x) / cutoff, 1.0)
            passed = circular_autocorrelation(torch.from_numpy(v)).numpy()
            power += (passed * np.sinc(y) * np.sinc(x)) ** 2
    return power
