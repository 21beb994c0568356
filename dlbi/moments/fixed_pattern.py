"""The fixed pattern of a camera: offsets and gains of single pixels, the same in all frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from scipy.optimize import nnls
from torch import Tensor

from bayesdl_sim.dlbi.moments.spot_width import passed
from bayesdl_sim.dlbi.moments.statistics import Moments

__all__ = ["FixedPattern", "fixed_pattern"]

BEYOND, BELOW = 0.42, (0.25, 0.35)  # cycles per pixel: next to no spot, and the tail of one
TAPS = 31  # of the filters, along each axis
BINS = 4  # of equal numbers of pixels, by their mean
MEDIAN = 0.4549  # of the square of a standard normal number
MEDIAN_ERROR = 2.33  # relative standard error of the median of n such squares, times sqrt(n)
CORRELATED = (0.5 / (0.5 - BEYOND)) ** 2  # filtered pixels that are worth one
CERTAIN = 4.0  # standard errors by which the pattern has to exceed the noise
LEAK = 3.0  # the tail of the spots may be so much stronger than their width says
NARROWEST = 0.85  # sigma in pixels: a width of 2.0
SMALLEST = 24  # pixels of a side


class FixedPattern(NamedTuple):
    """Spread of the pixels of a camera.

    Attributes:
        variance: (H, W) of the mean image, electrons^2, which more frames do not reduce.
        offset_e: standard deviation of the offsets, electrons.
        gain: standard deviation of the gains, as a share.
    """

    variance: Tensor
    offset_e: float
    gain: float

    @property
    def note(self) -> str:
        """A sentence on it."""
        return (
            f"the pixels of the camera differ in all frames, by {self.offset_e:.2g} electrons in "
            f"their offsets and {100 * self.gain:.2g} % in their gains: their mean counts less. "
            "Correct the frames by maps of offset and gain, if you have them"
        )


def fixed_pattern(moments: Moments, mean: Tensor, gain: float, sigma: float) -> FixedPattern | None:
    """The fixed pattern, from the highest frequencies of the mean image.

    A filter along both axes that passes next to no spot leaves the noise over T of the mean of T
    frames. What exceeds it is `o^2 + (g (mean - low))^2`, with the spread o of the offsets and g of
    the gains. The little of the structure that passes is bounded by its power at lower frequencies.
    Medians keep single bright points out.

    Args:
        mean: (H, W) electrons.
        gain: counts per electron.
        sigma: standard deviation of the spots in camera pixels.

    Returns:
        None where noise and structure explain the mean image, or the spots are very narrow.

    Source: the photon transfer curve, Janesick, "Photon Transfer", SPIE Press 2007.
    """
    if sigma < NARROWEST or min(mean.shape) < SMALLEST:
        return None
    image = mean.double().numpy()
    fine, coarse = (_filter(band) for band in (BEYOND, BELOW))
    inner = np.s_[1:-1, 1:-1]
    power, tail = (_power(image, taps)[inner].ravel() for taps in (fine, coarse))
    noise = moments.noise.double().numpy().ravel() / gain**2 / moments.frames
    leak = LEAK * (passed(fine, sigma) / passed(coarse, sigma)) ** 2
    level = image[inner].ravel() - image.min()
    groups = np.array_split(np.argsort(level, kind="stable"), BINS)
    measured = np.array([np.median(power[group]) / MEDIAN for group in groups])
    expected = np.array([noise[group].mean() + leak * tail[group].mean() for group in groups])
    error = MEDIAN_ERROR * np.sqrt(CORRELATED / len(groups[0]))  # relative, of each group
    if not np.mean(measured / expected - 1) > CERTAIN * error / np.sqrt(BINS):
        return None
    squares = np.array([np.mean(level[group] ** 2) for group in groups])
    design = np.stack([np.ones(BINS), squares], axis=1) / measured[:, None]
    (offset, slope), _ = nnls(design, (measured - expected) / measured)
    variance = offset + slope * (mean - mean.min()).square()
    return FixedPattern(variance, float(np.sqrt(offset)), float(np.sqrt(slope)))


def _filter(band: float | tuple[float, float]) -> NDArray[np.float64]:
    """Taps of a filter that passes what is above a frequency, or within a band; white noise 1."""
    from scipy.signal import firwin  # slow to load

    taps = firwin(TAPS, band, pass_zero=False, fs=1.0)
    return taps / np.sqrt(np.sum(taps**2))


def _power(image: NDArray[np.float64], taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square of the image (H, W) after the filter along both axes, mirrored at its borders."""
    return convolve1d(convolve1d(image, taps, 0, mode="mirror"), taps, 1, mode="mirror") ** 2
