"""The moments of a movie as evidence on its density: images, models and weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from bayesdl_sim.dlbi.moments.calibration import Calibration
from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.moments.noise import living_pixels
from bayesdl_sim.dlbi.moments.statistics import Moments

__all__ = [
    "TINY",
    "Evidence",
    "Fluctuation",
    "evidence_of",
    "reliability",
    "without_static",
]

TINY = 1e-8


class Fluctuation(NamedTuple):
    """An image (H, W) of fluctuations in electrons^2, and the terms that make it Poisson-like."""

    image: Tensor
    weight: Tensor


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Evidence of the moments on the density.

    Args:
        mean: (H, W) mean electrons per frame.
        frames: number of frames, the weight of the mean.
        reliability: (H, W) by which that weight is multiplied where pixels differ in all frames.
        imaging: model of the mean; the fluctuations have its square.
        fluctuations: excess variance and lag covariance, as far as they are used.
        static: (H, W) mask of the pixels whose mean does not count, since their light does not
            blink; the background then has finer bumps. None where all light may blink.
    """

    mean: Tensor
    frames: float
    imaging: Imaging
    fluctuations: tuple[Fluctuation, ...] = ()
    reliability: Tensor | float = 1.0
    static: Tensor | None = None

    @property
    def weight(self) -> Tensor | float:
        """Weight of the mean: of each pixel (H, W), or of all."""
        return self.frames * self.reliability


def evidence_of(
    moments: Moments, calibration: Calibration, imaging: Imaging, share: float = 1.0
) -> Evidence:
    """Mean, excess variance and lag covariance, as Poisson-like images.

    The mean of T frames of Poisson-like electrons has the variance mean / T: its weight is T. With
    a fixed pattern of variance v (`fixed_pattern`) it is `T mean / (mean + T v)`. A variance
    estimated from T frames with the total variance V has a variance of about 2 V^2 / T (a lag
    covariance half of it), so `weight = expected / (2 V^2 / T)`, times `share`. A pixel that never
    changes (dead, or always saturated) holds no information on fluctuations: its weight is 0.

    Args:
        share: weight of the fluctuations; 0 leaves them out. They stem from the same emissions as
            the mean, so their errors are not independent of its own.
    """
    mean = calibration.electrons(moments.mean).clamp(min=TINY)
    scale = calibration.gain**2
    variance = (moments.variance / scale).clamp(min=TINY)
    alive = living_pixels(mean, variance)
    fluctuations = []
    for image, spread in ((variance - mean, 2.0), (moments.lag / scale, 1.0)):
        if share > 0 and image.mean() > 0:
            image = image.clamp(min=TINY)
            expected = image.clamp(min=0.02 * float(image.mean()))
            weight = alive * share * moments.frames * expected / (spread * variance.square())
            fluctuations.append(Fluctuation(image, weight))
    return Evidence(
        mean=mean,
        frames=float(moments.frames),
        imaging=imaging,
        fluctuations=tuple(fluctuations),
        reliability=reliability(mean, calibration, moments.frames),
    )


def reliability(mean: Tensor, calibration: Calibration, frames: float) -> Tensor | float:
    """Share of the weight of a mean of that many frames which a fixed pattern leaves it.

    Args:
        mean: (H, W) electrons.

    Returns:
        (H, W), or 1 where the camera has none.
    """
    if calibration.pattern is None:
        return 1.0
    return mean / (mean + frames * calibration.pattern.variance)


def without_static(evidence: Evidence, static: Tensor | None) -> Evidence:
    """The evidence without the mean of pixels (H, W) whose light does not blink; None: as it is."""
    if static is None:
        return evidence
    return replace(evidence, static=static, reliability=evidence.reliability * ~static)
