"""From the camera's grid to the doubled one: mirrored margins, carriers, enlarged spectra."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import fast_shape, frequencies

__all__ = ["MARGIN", "carrier", "enlarge", "fade", "interpolate", "mirror"]

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


def carrier(
    wave: tuple[float, float],
    shape: tuple[int, int],
    margin: int,
    like: Tensor,
    spacing: float = 1.0,
) -> Tensor:
    """`exp(2 pi i k.r)`, r = 0 at the first raw pixel of the field; spacing 0.5: the 2x grid.

    Args:
        like: complex, whose device and precision the result has.
    """
    sides = []
    for n, k in zip(shape, wave, strict=True):
        place = (torch.arange(n, dtype=torch.float64, device=like.device) + 0.5) * spacing - 0.5
        sides.append(torch.exp(2j * math.pi * k * (place - margin)).to(like))
    return sides[0][:, None] * sides[1][None]


def enlarge(spectrum: Tensor) -> Tensor:
    """The spectrum (h, w) within that of the 2x grid (2h, 2w), zero elsewhere."""
    height, width = spectrum.shape
    fy, fx = frequencies((height, width), spectrum.device)
    rows, columns = (fy * height).round().long(), (fx * width).round().long()
    large = spectrum.new_zeros(2 * height, 2 * width)
    large[rows % (2 * height), columns % (2 * width)] = spectrum
    return large


def interpolate(spectrum: Tensor) -> Tensor:
    """Image (2h, 2w) of a spectrum (h, w), at the centres of the 2x pixels.

    They lie a quarter of a raw pixel beside the raw pixels' centres (align_corners=False).
    """
    fy, fx = frequencies(tuple(spectrum.shape), spectrum.device)
    rows, columns = (torch.exp(-0.5j * math.pi * f).to(spectrum) for f in (fy, fx))
    return 4 * torch.fft.ifft2(enlarge(spectrum * rows * columns))
