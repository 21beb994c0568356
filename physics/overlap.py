"""Where the moved band overlaps the wide-field band: phases and modulation of the fringes."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from physics.bands import frequencies

__all__ = ["Overlap", "mixture", "modulation", "overlap"]


class Overlap(NamedTuple):
    """Both bands where they overlap, (h, w) with the sample's zero frequency at the origin.

    Attributes:
        wide: `zero(f) O(f + k)`.
        moved: `first(f + k) O(f)`: the same sample through the same two OTFs, times m/2.
        mirror: `conj(first)(f + k) O(f)`, the band that wrong phases mix into the moved one.
        weight: inverse noise variance up to a factor, zero outside the overlap.
        noise_wide, noise_moved: weight times the noise power of `wide` and of the other two.
    """

    wide: Tensor
    moved: Tensor
    mirror: Tensor
    weight: Tensor
    noise_wide: Tensor
    noise_moved: Tensor


def overlap(
    zero: Tensor,
    first: Tensor,
    window: Tensor,
    transfer: Tensor,
    wave: tuple[float, float],
    noise: float,
    lowest: float,
) -> Overlap:
    """Moves the first band back by the wave vector and brings both bands to the same OTF.

    Args:
        wave: (ky, kx) in cycles per raw pixel.
        noise: variance of a pixel of a band.
        lowest: frequencies of the sample below are left out; out-of-focus light, which the
            fringes do not modulate, fills them.
    """
    shape, device = tuple(transfer.shape), transfer.device
    ky, kx = wave
    rows = torch.arange(zero.shape[0], dtype=torch.float64, device=device)[:, None]
    columns = torch.arange(zero.shape[1], dtype=torch.float64, device=device)[None]
    # A product with a wave in real space is a shift by any fraction of a frequency.
    back = window * torch.exp(-2j * math.pi * (ky * rows + kx * columns))
    fy, fx = frequencies(shape, device)
    carrier = torch.exp(-2j * math.pi * (ky * fy * shape[0] + kx * fx * shape[1]))
    shifted = torch.fft.fft2(torch.fft.ifft2(transfer) * carrier).real
    inside = (transfer > 0.02) & (shifted > 0.02)
    inside &= (torch.hypot(fy, fx) > lowest) & (torch.hypot(fy + ky, fx + kx) > 0.05)
    weight = inside / (transfer**2 + 0.06 * shifted**2).clamp(min=1e-6)  # 0.06: (m/2)^2, m = 0.5
    level = noise * float((window**2).sum())
    return Overlap(
        torch.fft.fft2(zero * window, s=shape) * shifted,
        torch.fft.fft2(first * back, s=shape) * transfer,
        torch.fft.fft2(first.conj() * back, s=shape) * transfer,
        weight,
        weight * shifted**2 * level,
        weight * transfer**2 * level,
    )


def modulation(both: Overlap) -> tuple[float, float]:
    """Depth of the fringes: `m = 2 |sum wide* moved| / (sum |wide|^2 - noise)`.

    Noise in the wide-field band would lower the ratio, so its known power is taken off.

    Returns:
        The modulation and its relative standard error, infinite where noise outweighs signal.
    """
    numerator = float((both.weight * both.wide.conj() * both.moved).sum().abs())
    power = both.weight * both.wide.abs() ** 2
    total, bias = float(power.sum()), float(both.noise_wide.sum())
    if total <= 1.2 * bias or numerator == 0:
        return 0.0, math.inf
    of_moved = float((power * both.noise_moved).sum()) / numerator**2
    of_wide = float((2 * power * both.noise_wide).sum()) / (total - bias) ** 2
    return 2 * numerator / (total - bias), math.sqrt(of_moved + of_wide)


def mixture(both: Overlap) -> tuple[complex, complex, float]:
    """The mixture `u moved + v mirror` that is nearest to the wide-field band.

    `v` is zero where the phases that separated the bands are right. Known noise is taken off the
    normal equations, within limits that keep them solvable.

    Returns:
        u, v and the standard error of v / u.
    """

    def inner(x: Tensor, y: Tensor) -> complex:
        return complex((both.weight * x.conj() * y).sum())

    noise = float(both.noise_moved.sum())
    uu, vv = inner(both.moved, both.moved).real, inner(both.mirror, both.mirror).real
    uv = inner(both.moved, both.mirror)
    uu, vv = max(uu - noise, 0.2 * uu), max(vv - noise, 0.2 * vv)
    determinant = max(uu * vv - abs(uv) ** 2, 0.05 * uu * vv)
    if determinant <= 0:
        return 1.0, 0.0, math.inf
    a, b = inner(both.moved, both.wide), inner(both.mirror, both.wide)
    u, v = (vv * a - uv * b) / determinant, (uu * b - uv.conjugate() * a) / determinant
    rest = both.weight * (both.wide - u * both.moved - v * both.mirror).abs() ** 2
    # 2: neighbouring frequencies of a tapered and padded field are not independent
    spread = math.sqrt(2 * float((both.weight * both.mirror.abs() ** 2 * rest).sum()))
    return u, v, spread * uu / determinant / max(abs(u), 1e-300)
