"""Noise of the camera from a blinking movie: its variance against the mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.optimize import nnls
from torch import Tensor, maximum

from bayesdl_sim.dlbi.moments.spot_width import passed
from bayesdl_sim.dlbi.moments.statistics import Moments

__all__ = ["darkest", "living_pixels", "noise_line"]

# Variance of a living pixel, relative to its shot noise and to the median of all pixels.
LEAST_NOISE, LEAST_VARIANCE = 0.2, 1e-3
# Standard errors below the darkest hundredth of the pixels. A sample with an uneven background had
# 8 of them, a pixel without light has 70 and more.
MUCH_DARKER = 12.0
CHECKER_TAPS = np.array([1.0, -2.0, 1.0]) / np.sqrt(6.0)  # along each axis
LEAST_USABLE = 0.2  # of the field


def living_pixels(mean: Tensor, variance: Tensor) -> Tensor:
    """Mask (H, W) of the pixels that change at least as much as light makes them.

    A pixel that is stuck at one value, or always saturated, has next to no variance. A ratio to its
    variance would be without limit.

    Args:
        mean, variance: (H, W) in electrons and electrons^2.
    """
    return variance > maximum(LEAST_NOISE * mean, LEAST_VARIANCE * variance.median())


def darkest(moments: Moments) -> tuple[float, float]:
    """Counts of the darkest hundredth of the pixels, and the standard error of a dark pixel."""
    mean, variance = (image.double().numpy() for image in (moments.mean, moments.variance))
    dark = mean <= np.quantile(mean, 0.1)
    error = np.sqrt(np.median(variance[dark]) / moments.frames)
    return float(np.quantile(mean, 0.01)), float(error)


def noise_line(moments: Moments, sigma: float, offset: float | None = None) -> tuple[float, float]:
    """Gain and intercept of the noise, `variance = gain mean + intercept`, in counts.

    Measured at the frames' checkerboard frequencies, which optics hardly pass. The share of the
    blinking that does pass follows from the width of the spots, and is subtracted. Pixels that are
    not usable (`_usable`) are left out, since the darkest ones decide on the slope.

    Args:
        sigma: standard deviation of the spots in camera pixels.
        offset: counts of a dark pixel, where the variance is not negative: there it is that of the
            read noise. None: not negative at the darkest pixel.
    """
    use = _usable(moments)[1:-1, 1:-1]
    mean = moments.mean[1:-1, 1:-1].double().numpy()[use]
    blinking = (moments.variance - moments.lag)[1:-1, 1:-1].double().numpy()[use]
    leak = passed(CHECKER_TAPS, sigma) ** 2
    noise = moments.noise.double().numpy()[use]
    noise = (noise - leak * blinking) / (1 - leak)
    low = mean.min() if offset is None else offset
    design = np.stack([mean - low, np.ones_like(mean)], axis=1)
    weights = np.full(noise.shape, 1 / max(float(np.median(noise)), 1e-9))
    for _ in range(4):  # weights from the fit, independent of the noise of the data
        (slope, floor), _ = nnls(design * weights[:, None], noise * weights)
        expected = np.maximum(slope * (mean - low) + floor, 1e-12)
        weights = 1 / (expected + leak * np.maximum(blinking, 0))
    return float(slope), float(floor - slope * low)


def _usable(moments: Moments) -> NDArray[np.bool_]:
    """Mask (H, W) of the pixels whose neighbourhood under the checkerboard filter is sound.

    A faulty pixel never changes, or is much darker than the darkest hundredth of the field, which
    light behind a lens is not. Everything is usable where nearly all would be left out.
    """
    mean, variance = (image.double().numpy() for image in (moments.mean, moments.variance))
    low, error = darkest(moments)
    faulty = mean < low - MUCH_DARKER * error
    faulty |= variance <= LEAST_VARIANCE * np.median(variance)
    usable = ~binary_dilation(faulty, np.ones((3, 3)))
    return usable if usable[1:-1, 1:-1].mean() > LEAST_USABLE else np.ones_like(usable)
