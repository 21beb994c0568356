"""Images of single fluorophores: point spread functions integrated over camera pixels."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import j1
from torch import Tensor

from bayesdl_sim.utils.errors import InputError

__all__ = ["FWHM_PER_SIGMA", "KERNELS", "pixel_weights", "spots"]

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
AIRY_FWHM = 3.2327  # full width of (2 J1(x) / x)^2 at half maximum, in x
# Two nodes of Gauss and Legendre across a camera pixel: exact for cubic polynomials.
AIRY_NODES = (-0.5 / math.sqrt(3), 0.5 / math.sqrt(3))
AIRY_STEP = 0.01  # of the tabulated profile, in x
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
    scale = AIRY_FWHM / fwhm
    image = torch.zeros((len(positions), *shape), dtype=positions.dtype)
    for below in AIRY_NODES:
        y = torch.arange(shape[0]) + below - positions[:, :1]
        for beside in AIRY_NODES:
            x = torch.arange(shape[1]) + beside - positions[:, 1:]
            image += _airy(torch.hypot(y[:, :, None], x[:, None, :]) * scale)
    # The integral of (2 J1(r) / r)^2 over the plane is 4 pi.
    return image * (scale**2 / (4 * math.pi) / len(AIRY_NODES) ** 2)


def _airy(radius: Tensor) -> Tensor:
    """(2 J1(r) / r)^2, linear between the points of a table."""
    if not radius.numel():
        return radius
    place = radius / AIRY_STEP
    index = place.floor().long()
    knots = np.arange(int(index.max()) + 2) * AIRY_STEP
    knots[0] = 1e-9
    table = torch.from_numpy((2 * j1(knots) / knots) ** 2).to(radius.dtype)
    return torch.lerp(table[index], table[index + 1], place - index)
