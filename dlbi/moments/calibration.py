"""What a blinking movie says about its own microscope: noise, width of the spots, background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls
from torch import Tensor

from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA
from bayesdl_sim.utils.errors import InputError

__all__ = ["Calibration", "calibrate", "noise_line", "spot_width"]

SIGMA_RANGE = (0.6, 3.0)  # camera pixels
WIDTH_SPREAD = 0.05  # relative standard deviation of the width from emission to emission
LOWEST_FREQUENCY = 0.04  # cycles per pixel; below, slow changes of the whole field dominate
LEAST_BLINKING = 0.05  # power of the blinking at low frequencies relative to the noise

SIGNIFICANCE = 8.0  # standard errors by which the power of the blinking must exceed that


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Camera and optics as the movie shows them.

    Args:
        gain: counts per electron.
        shift: counts of the point where the line of noise variance against mean crosses zero:
            offset less read noise^2 / gain. `(counts - shift) / gain` has a variance equal to its
            mean, as Poisson counts have.
        sigma_px: standard deviation of the Gaussian spots, camera pixels.
        blinking: power of the blinking at low frequencies relative to the noise.
        estimated: names of the quantities that were estimated and not given.
    """

    gain: float
    shift: float
    sigma_px: float
    blinking: float
    estimated: tuple[str, ...]

    @property
    def fwhm_px(self) -> float:
        return FWHM_PER_SIGMA * self.sigma_px

    def electrons(self, counts: Tensor) -> Tensor:
        """Poisson-like electrons: background and offset are still in them."""
        return (counts - self.shift) / self.gain


def noise_line(moments: Moments, sigma: float) -> tuple[float, float]:
    """Gain and intercept of the noise, `variance = gain mean + intercept`, in counts.

    Read from the frames' checkerboard frequencies, which optics hardly pass: the share of the
    blinking that does get there follows from the width of the spots, and is taken off.

    Args:
        sigma: standard deviation of the spots in camera pixels.
    """
    mean = moments.mean[1:-1, 1:-1].double().numpy().ravel()
    blinking = (moments.variance - moments.lag)[1:-1, 1:-1].double().numpy().ravel()
    leak = _checker_leak(sigma) ** 2
    noise = moments.noise.double().numpy().ravel()
    noise = (noise - leak * blinking) / (1 - leak)
    low = mean.min()
    design = np.stack([mean - low, np.ones_like(mean)], axis=1)
    weights = np.full(noise.shape, 1 / max(float(np.median(noise)), 1e-9))
    for _ in range(4):  # weights from the fit, so that they do not follow the noise of the data
        (slope, floor), _ = nnls(design * weights[:, None], noise * weights)
        expected = np.maximum(slope * (mean - low) + floor, 1e-12)
        weights = 1 / (expected + leak * np.maximum(blinking, 0))
    return float(slope), float(floor - slope * low)


def _checker_leak(sigma: float) -> float:
    """Power of a spot behind the filter (1, -2, 1) over that before it, white noise set to 1."""
    frequency = (np.arange(512) + 0.5) / 1024
    passed = (2 - 2 * np.cos(2 * np.pi * frequency)) ** 2 / 6
    power = _aliased_power(frequency, sigma)
    return float((passed * power).sum() / power.sum())


def spot_width(moments: Moments) -> tuple[float, float]:
    """Width of the spots from the spectrum of the frames' differences.

    Fluorophores blink independently, so the expected power of their fluctuations is that of a
    single spot whatever the structure: `P(k) = A |h(k)|^2 + N`. `h` is a Gaussian integrated over
    pixels, with its aliases; `sigma`, A and N maximise the Whittle likelihood.

    Returns:
        Standard deviation in camera pixels, and A / N.
    """
    height, width = moments.mean.shape
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    use = np.hypot(rows[:, None], columns[None]) >= LOWEST_FREQUENCY
    power = np.maximum(moments.spectrum.double().numpy()[use], 1e-30)

    def model(parameters: NDArray) -> NDArray:
        amplitude, noise, sigma = np.exp(parameters)
        spot = _aliased_power(rows, sigma)[:, None] * _aliased_power(columns, sigma)[None]
        return amplitude * spot[use] + noise

    def whittle(parameters: NDArray) -> float:
        expected = model(parameters)
        return float(np.mean(np.log(expected) + power / expected))

    noise = np.quantile(power, 0.1)
    best = None
    for sigma in (0.8, 1.3, 1.9):
        start = np.log([max(np.quantile(power, 0.98) - noise, 0.01 * noise), noise, sigma])
        bounds = [(-60, 60), (-60, 60), tuple(np.log(SIGMA_RANGE))]
        fit = minimize(whittle, start, method="L-BFGS-B", bounds=bounds)
        best = fit if best is None or fit.fun < best.fun else best
    amplitude, noise, sigma = np.exp(best.x)
    # The Hann window blurs the spectrum by a variance of 1 / (3 n^2) along each axis.
    blurred = 1 / (2 * sigma**2) - 4 * np.pi**2 / 3 * (height**-2.0 + width**-2.0) / 2
    sigma = min((2 * blurred) ** -0.5, SIGMA_RANGE[1]) if blurred > 0 else SIGMA_RANGE[1]
    return float(sigma), float(amplitude / noise)


def _aliased_power(frequency: NDArray, sigma: float) -> NDArray:
    """|h|^2 of a pixel-integrated Gaussian, summed over the aliases of the camera's sampling.

    Averaged over emissions whose widths differ by `WIDTH_SPREAD`: at high frequencies the narrow
    ones decide, and a single width would come out too small.
    """
    shifted = frequency[:, None] + np.arange(-2, 3)[None]
    power = np.zeros(shifted.shape)
    for node, weight in ((-np.sqrt(3), 1 / 6), (0.0, 2 / 3), (np.sqrt(3), 1 / 6)):
        width = sigma * (1 + WIDTH_SPREAD * node)
        power += weight * np.exp(-4 * (np.pi * width * shifted) ** 2)
    return (power * np.sinc(shifted) ** 2).sum(axis=1)


def calibrate(
    moments: Moments,
    fwhm_px: float | None = None,
    gain: float | None = None,
    offset: float | None = None,
    path: str = "movie",
) -> Calibration:
    """Estimates what is not given.

    Args:
        fwhm_px: full width at half maximum of the spots, camera pixels.
        gain: counts per electron.
        offset: counts of a dark pixel; with it the read noise follows from the noise line.

    Raises:
        InputError: a movie without noise, or without blinking.
    """
    sigma, blinking = spot_width(moments)
    sigma = sigma if fwhm_px is None else fwhm_px / FWHM_PER_SIGMA
    slope, intercept = noise_line(moments, sigma)
    estimated = [
        name
        for name, value in (("fwhm_px", fwhm_px), ("gain", gain), ("offset", offset))
        if value is None
    ]
    if gain is not None:
        # The line still has to go through the middle of what was measured.
        middle = float(moments.mean.mean())
        intercept, slope = slope * middle + intercept - gain * middle, gain
    if not slope > 0:
        middle = float(moments.mean.mean() - moments.mean.min())
        slope = max(intercept, 1e-12) / max(middle, 1e-12)
        intercept -= slope * float(moments.mean.mean())
    # Frequencies that a spot passes, in all frames: so many numbers the estimate averages over.
    modes = moments.frames * moments.mean.numel() / (8 * np.pi * sigma**2)
    least = LEAST_BLINKING + SIGNIFICANCE / np.sqrt(modes)
    if blinking < least:
        raise InputError(
            f"{path}: nothing blinks in it (fluctuations of spots are {blinking:.3f} of the noise, "
            f"at least {least:.3f} expected): record a movie of a blinking fluorophore, or "
            "use a method for a still image"
        )
    return Calibration(
        gain=slope,
        shift=-intercept / slope,
        sigma_px=sigma,
        blinking=blinking,
        estimated=tuple(estimated),
    )
