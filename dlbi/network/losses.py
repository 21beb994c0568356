"""Loss of the moments generator: the error at a resolution of 80 nm, at three scales."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, smooth_l1_loss

from bayesdl_sim.dlbi.network.samples import Sample
from bayesdl_sim.dlbi.network.unrolled import Structure

__all__ = ["SIGMA", "Losses", "blurred", "losses_of"]

SIGMA = 1.7  # fine pixels: 80 nm full width at 20 nm
SHARP_SIGMA = 0.8
WINDOW = 1.5  # fine pixels: the Gaussian window of SSIM
FLOOR = 0.02  # keeps an empty crop from dominating the loss


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The sum that is minimised, and the parts worth watching (0-d tensors).

    Attributes:
        total: weighted sum of all parts.
        image: root of the relative squared error at 80 nm, averaged over the batch.
        structural: 1 - SSIM at 80 nm.
        occupied: cross-entropy of whether a fine pixel holds fluorophores.
        brightness: smooth L1 error of the logarithm of the brightness.
    """

    total: Tensor
    image: Tensor
    structural: Tensor
    occupied: Tensor
    brightness: Tensor


def losses_of(structure: Structure, sample: Sample) -> Losses:
    """Errors of a structure against the truth of its sample."""
    truth = sample.fluorophores * sample.brightness[:, None, None]
    blurred_truth = blurred(truth, SIGMA)
    estimate = blurred(structure.light, SIGMA)
    image, structural = _relative(estimate, blurred_truth), 1 - _ssim(estimate, blurred_truth)
    sharp = _relative(blurred(structure.light, SHARP_SIGMA), blurred(truth, SHARP_SIGMA))
    first = _relative(blurred(structure.first, SIGMA), blurred_truth)
    coarse_4x = _relative(structure.light_4x, 4 * avg_pool2d(truth[:, None], 2)[:, 0])
    coarse_2x = _relative(structure.light_2x, 16 * avg_pool2d(truth[:, None], 4)[:, 0])
    occupied = binary_cross_entropy_with_logits(
        structure.occupied, (sample.fluorophores > 0).float()
    )
    brightness = smooth_l1_loss(structure.log_brightness, sample.brightness.log())
    total = image + 0.5 * structural + 0.3 * sharp + 0.3 * first + 0.1 * coarse_4x + 0.1 * coarse_2x
    total = total + 0.3 * occupied + 0.05 * brightness
    return Losses(
        total=total,
        image=image,
        structural=structural,
        occupied=occupied,
        brightness=brightness,
    )


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, H, W), zero beyond the border."""
    rows, columns = (_toeplitz(length, sigma).to(image.device) for length in image.shape[-2:])
    return rows @ image @ columns


@cache
def _toeplitz(length: int, sigma: float) -> Tensor:
    """Symmetric matrix of a Gaussian blur: on a CPU much faster than a one-channel convolution."""
    offset = torch.arange(length, dtype=torch.float32)
    distance = offset[:, None] - offset[None, :]
    kernel = torch.exp(-distance.square() / (2 * sigma**2))
    kernel[kernel < 1e-8] = 0  # denormal numbers would slow every product down
    return kernel / (sigma * math.sqrt(2 * math.pi))


def _relative(estimate: Tensor, truth: Tensor) -> Tensor:
    error = (estimate - truth).square().mean(dim=(1, 2))
    power = truth.square().mean(dim=(1, 2))
    return (error / (power + FLOOR * power.mean() + 1e-4)).add(1e-6).sqrt().mean()


def _ssim(image: Tensor, target: Tensor) -> Tensor:
    """Mean SSIM of (B, H, W) images, each with the brightest pixel of its target as data range."""
    peak = target.amax(dim=(1, 2), keepdim=True)
    peak = peak + FLOOR * peak.mean() + 1e-4
    image, target = image / peak, target / peak
    edge = round(3 * WINDOW)
    windows = torch.stack([image, target, image.square(), target.square(), image * target])
    inner = blurred(windows.flatten(0, 1), WINDOW)[:, edge:-edge, edge:-edge]
    a, b, aa, bb, ab = inner.unflatten(0, windows.shape[:2])
    covariance = ab - a * b
    variances = aa - a.square() + bb - b.square()
    luminance = (2 * a * b + 1e-4) / (a.square() + b.square() + 1e-4)
    return (luminance * (2 * covariance + 9e-4) / (variances + 9e-4)).mean()
