"""Images of single fluorophores: point spread functions integrated over camera pixels."""

from __future__ import annotations

import math

import torch
from scipy.special import j1
from torch import Tensor

from bayesdl_sim.utils.errors import InputError

__all__ = ["FWHM_PER_SIGMA", "KERNELS", "pixel_weights", "spots"]

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
AIRY_FWHM = 3.2327  # full width of (2 J1(x) / x)^2 at half maximum, in x
AIRY_SUBPIXELS = 4  # samples across a camera pixel
KERNELS = ("gaussian", "airy")


def pixel_weights(positions: Tensor, sigma: float, pixels: int, first: int = 0) -> Tensor:
    """Share of a one-dimensional Gaussian that falls on each pixel of a row.

    Pixel i covers `[i - 1/2, i + 1/2)`. `w_i = Phi((i + 1/2 - x) / sigma) - Phi((i - 1/2 - x) /
    sigma)`.

    Args:
        positions: (N,) in camera pixels, 0 the centre of the first.
        sigma: standard deviation in camera pixels.
        pixels: number of pixels.
        first: index of the first pixel.

    Returns:
        (N, pixels); rows sum to 1 away from the border.
    """
    edges = torch.arange(pixels + 1, dtype=positions.dtype) - 0.5 + first
    cumulative = torch.special.ndtr((edges - positions[:, None]) / sigma)
    return cumulative.diff(dim=1)


def spots(
    positions: Tensor, fwhm: float, shape: tuple[int, int], kernel: str = "gaussian"
) -> Tensor:
    """Images of point sources of unit light, integrated over the camera's pixels.

    Args:
        positions: (N, 2), y and x in camera pixels; pixel centres lie at integers.
        fwhm: full width at half maximum in camera pixels.
        shape: (H, W).
        kernel: `gaussian`, or `airy`, `(2 J1(r) / r)^2`, of the same full width.

    Returns:
        (N, H, W), same type as the positions.

    Raises:
        InputError: an unknown kernel.
    """
    if kernel not in KERNELS:
        raise InputError(f"kernel: expected one of {', '.join(KERNELS)}, found {kernel!r}")
    if kernel == "gaussian":
        sigma = fwhm / FWHM_PER_SIGMA
        rows = pixel_weights(positions[:, 0], sigma, shape[0])
        columns = pixel_weights(positions[:, 1], sigma, shape[1])
        return rows[:, :, None] * columns[:, None, :]
    n = AIRY_SUBPIXELS
    offsets = (torch.arange(n, dtype=positions.dtype) + 0.5) / n - 0.5
    y = (torch.arange(shape[0])[:, None] + offsets).reshape(-1) - positions[:, :1]
    x = (torch.arange(shape[1])[:, None] + offsets).reshape(-1) - positions[:, 1:]
    radius = torch.hypot(y[:, :, None], x[:, None, :]) * (AIRY_FWHM / fwhm)
    radius = radius.clamp(min=1e-6)
    intensity = (2 * torch.from_numpy(j1(radius.numpy())) / radius).square()
    # The integral of (2 J1(r) / r)^2 over the plane is 4 pi.
    intensity *= (AIRY_FWHM / fwhm) ** 2 / (4 * math.pi) / n**2
    folded = intensity.reshape(-1, shape[0], n, shape[1], n)
    return folded.sum(dim=(2, 4)).to(positions.dtype)
