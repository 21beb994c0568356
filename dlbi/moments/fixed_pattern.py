"""The fixed pattern of a camera: offsets and gains of single pixels, the same in all frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from torch import Tensor

from bayesdl_sim.dlbi.moments.statistics import Moments

__all__ = ["FixedPattern", "fixed_pattern"]

FOURTH = 70.0**2  # squared norm of the outer product of (1, -4, 6, -4, 1) with itself
BINS = 6  # of equal numbers of pixels, by their mean
MEDIAN = 0.4549  # of the square of a standard normal number
CORRELATED = 7.0  # neighbours under the checkerboard filter: so many are worth one
MEDIAN_ERROR = 2.33  # relative standard error of the median of n such squares, times sqrt(n)
CERTAIN = 5.0  # standard errors by which the pattern has to exceed the noise
NARROWEST = 0.85  # sigma in pixels of spots that the filter does not pass: a width of 2.0
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

    A filter that passes next to no spot leaves the noise over T of the mean of T frames. What
    exceeds it is `o^2 + (g (mean - low))^2`, with the spread o of the offsets and g of the gains.
    Medians keep single bright points out.

    Args:
        mean: (H, W) electrons.
        gain: counts per electron.
        sigma: standard deviation of the spots in camera pixels.

    Returns:
        None where the noise explains the mean image, or the spots are so narrow that they pass.

    Source: the photon transfer curve, Janesick, "Photon Transfer", SPIE Press 2007.
    """
    if sigma < NARROWEST or min(mean.shape) < SMALLEST:
        return None
    image = mean.double().numpy()
    power = np.diff(np.diff(image, 4, axis=0), 4, axis=1).ravel() ** 2 / FOURTH
    noise = moments.noise.double().numpy()[1:-1, 1:-1].ravel() / gain**2 / moments.frames
    level = image[2:-2, 2:-2].ravel() - image.min()
    groups = np.array_split(np.argsort(level, kind="stable"), BINS)
    measured = np.array([np.median(power[group]) / MEDIAN for group in groups])
    expected = np.array([noise[group].mean() for group in groups])
    error = MEDIAN_ERROR * np.sqrt(CORRELATED / len(groups[0]))  # relative, of each group
    if not np.mean(measured / expected - 1) > CERTAIN * error / np.sqrt(BINS):
        return None
    squares = np.array([np.mean(level[group] ** 2) for group in groups])
    design = np.stack([np.ones(BINS), squares], axis=1) / measured[:, None]
    (offset, slope), _ = nnls(design, (measured - expected) / measured)
    variance = offset + slope * (mean - mean.min()).square()
    return FixedPattern(variance, float(np.sqrt(offset)), float(np.sqrt(slope)))
