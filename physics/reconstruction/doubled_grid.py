"""Margins around a field, waves on its two grids, and halves of spectra."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import fast_shape

__all__ = ["MARGIN", "carrier", "fade", "full_plane", "half_plane", "mirror"]

MARGIN = 24  # raw pixels of mirrored field around the field, fading to zero


def fade(n: int, device: torch.device | str) -> Tensor:
    """1 over n pixels, falling to zero over the margins left and right: (padded n,)."""
    total = fast_shape((n, n), MARGIN)[0]
    place = torch.arange(total, dtype=torch.float64, device=device) - MARGIN
    left = (-place / MARGIN).clamp(min=0.0)
    right = ((place - n + 1) / (total - MARGIN - n + 1)).clamp(min=0.0)
    return torch.cos(0.5 * math.pi * torch.maximum(left, right)) ** 2


def mirror(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Pads (H, W) to `shape` with its mirror image, fading to zero, against border artefacts."""
    for axis, total in enumerate(shape):
        n = image.shape[axis]
        place = torch.remainder(torch.arange(total, device=image.device) - MARGIN, 2 * n)
        image = image.index_select(axis, torch.minimum(place, 2 * n - 1 - place))
        edge = fade(n, image.device).to(image.real)
        image = image * (edge[:, None] if axis == 0 else edge)
    return image


def carrier(wave: tuple[float, float], shape: tuple[int, int], margin: int, like: Tensor) -> Tensor:
    """`exp(2 pi i k.r)` on the camera's grid, r = 0 at the first pixel of the field.

    Args:
        like: complex, whose device and precision the result has.
    """
    sides = []
    for n, k in zip(shape, wave, strict=True):
        place = torch.arange(n, dtype=torch.float64, device=like.device) - margin
        sides.append(torch.exp(2j * math.pi * k * place).to(like))
    return sides[0][:, None] * sides[1][None]


def half_plane(whole: Tensor) -> Tensor:
    """Spectrum (2h, w + 1) of the real part of the image with a spectrum (2h, 2w)."""
    height, width = whole.shape
    rows, kept = -torch.arange(height, device=whole.device) % height, width // 2 + 1
    # Whole rows are copied several times as fast as single places.
    opposite = torch.cat([whole[:, :1], whole[:, width - kept + 1 :].flip(1)], dim=1)[rows]
    return 0.5 * (whole[:, :kept] + opposite.conj())


def full_plane(half: Tensor) -> Tensor:
    """The spectrum (2h, 2w) of the real image whose half plane (2h, w + 1) is given."""
    rows = -torch.arange(len(half), device=half.device) % len(half)
    return torch.cat([half, half[rows, 1:-1].flip(1).conj()], dim=1)
