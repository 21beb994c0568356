"""Baselines: mean image, Richardson-Lucy deconvolution of mean and variance."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.dlbi.blinking import FINE
from bayesdl_sim.dlbi.moments.imaging import Imaging, imaging_of
from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA

__all__ = ["MEAN_ITERATIONS", "deconvolved_mean", "deconvolved_variance", "mean_image"]

MEAN_ITERATIONS = 1500
VARIANCE_ITERATIONS = 400
TINY = 1e-8


def mean_image(moments: Moments) -> NDArray[np.float32]:
    """The mean image on the fine grid, each camera pixel repeated."""
    return np.kron(moments.mean.numpy(), np.ones((FINE, FINE), np.float32))


def deconvolved_mean(
    moments: Moments, fwhm_px: float, iterations: int = MEAN_ITERATIONS
) -> NDArray[np.float32]:
    """Richardson-Lucy of the mean image with spots of a given width: (8H, 8W).

    It has no acceleration and no estimate of the background: the darkest hundredth of the pixels is
    subtracted.
    """
    mean = (moments.mean - moments.mean.quantile(0.01)).clamp(min=TINY)
    imaging = imaging_of(tuple(mean.shape), fwhm_px / FWHM_PER_SIGMA)
    return _plain(mean, imaging, iterations)


def deconvolved_variance(
    moments: Moments, fwhm_px: float, iterations: int = VARIANCE_ITERATIONS
) -> NDArray[np.float32]:
    """Richardson-Lucy of the variance with squared spots: (8H, 8W)."""
    variance = (moments.variance - moments.variance.quantile(0.01)).clamp(min=TINY)
    imaging = imaging_of(tuple(variance.shape), fwhm_px / FWHM_PER_SIGMA).squared()
    return _plain(variance, imaging, iterations)


def _plain(image: Tensor, imaging: Imaging, iterations: int) -> NDArray[np.float32]:
    fine = torch.full(imaging.fine_shape, float(image.mean()))
    norm = imaging.adjoint(torch.ones_like(image)).clamp(min=TINY)
    for _ in range(iterations):
        fine = fine * imaging.adjoint(image / (imaging.forward(fine) + TINY)) / norm
    return Imaging.crop(fine).numpy()
