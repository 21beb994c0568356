"""Overlap of the shifted band with the wide-field band: phases and modulation of the fringes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import frequencies, power
from bayesdl_sim.physics.patterns.correlation import Field

__all__ = ["Overlap", "mixture", "modulation", "overlap", "plausible"]

MODULATION_RANGE = (0.02, 1.0)
MODULATION_GUESS = (0.5, 0.3)  # prior mean and standard deviation


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlap:
    """Both bands at the n frequencies f where they overlap, with the sample's zero at the origin.

    Attributes:
        radius: of f, cycles per raw pixel.
        wide: `zero(f) O(f + k)`.
        shifted: `first(f + k) O(f)`: the same sample through the same two OTFs, times m/2.
        mirror: `conj(first)(f + k) O(f)`, the band that wrong phases mix into it.
        weight: inverse noise variance up to a factor.
        noise_wide, noise_shifted: weight times the noise power of `wide` and of the other two.
        places: of f in the flattened plane of `fft2`.
        transfer: `O(f)`.
    """

    radius: Tensor
    wide: Tensor
    shifted: Tensor
    mirror: Tensor
    weight: Tensor
    noise_wide: Tensor
    noise_shifted: Tensor
    places: Tensor
    transfer: Tensor

    def above(self, lowest: float) -> Overlap:
        """Without lower frequencies, which out-of-focus light fills; fringes do not modulate it."""
        kept = self.radius > lowest
        return Overlap(**{name: values[kept] for name, values in vars(self).items()})


def overlap(
    zero: Tensor,
    first: Tensor,
    field: Field,
    wave: tuple[float, float],
    noise: tuple[float, float],
    known: Overlap | None = None,
) -> Overlap:
    """Shifts the first band back by the wave vector and brings both bands to the same OTF.

    Args:
        zero: (h, w) of `Field.spectra`.
        first: (H, W), tapered.
        wave: (ky, kx) in cycles per raw pixel.
        noise: variance of a pixel of the wide-field and of the shifted band.
        known: overlap of the same wave vector and another shifted band, from which all but the
            shifted bands is taken.
    """
    if known is None:
        known = _without_shifted(zero, field, wave, noise)
    device, (ky, kx) = first.device, wave
    rows = torch.arange(first.shape[0], dtype=torch.float64, device=device)[:, None]
    columns = torch.arange(first.shape[1], dtype=torch.float64, device=device)[None]
    sides = torch.stack([first, first.conj()]) * _wave(ky * rows, kx * columns).to(first)
    shifted = torch.fft.fft2(sides, s=tuple(field.transfer.shape)).flatten(1)[:, known.places]
    shifted, mirror = shifted * known.transfer
    return replace(known, shifted=shifted, mirror=mirror)


def _without_shifted(
    zero: Tensor, field: Field, wave: tuple[float, float], noise: tuple[float, float]
) -> Overlap:
    """The part of `overlap` that depends on the wave vector alone; both shifted bands are empty."""
    transfer, (ky, kx) = field.transfer, wave
    shape, device = tuple(transfer.shape), transfer.device
    fy, fx = frequencies(shape, device)
    # A product with a wave in real space is a shift by any fraction of a frequency.
    carrier = _wave(ky * fy * shape[0], kx * fx * shape[1])
    shifted_transfer = torch.fft.fft2(torch.fft.ifft2(transfer) * carrier.to(zero)).real
    radius, away = fy.square() + fx.square(), (fy + ky).square() + (fx + kx).square()
    inside = (transfer > 0.02) & (shifted_transfer > 0.02) & (radius > 0) & (away > 0.05**2)
    places = inside.flatten().nonzero()[:, 0]
    radius, transfer, shifted_transfer, zero = (
        plane.flatten()[places] for plane in (radius, transfer, shifted_transfer, zero)
    )
    weight = 1 / (transfer**2 + 0.06 * shifted_transfer**2)  # 0.06: (m/2)^2, m = 0.5
    wide_noise, shifted_noise = (variance * field.energy for variance in noise)
    return Overlap(
        radius=radius.sqrt(),
        wide=zero * shifted_transfer,
        shifted=zero.new_zeros(0),
        mirror=zero.new_zeros(0),
        weight=weight,
        noise_wide=weight * shifted_transfer**2 * wide_noise,
        noise_shifted=weight * transfer**2 * shifted_noise,
        places=places,
        transfer=transfer,
    )


def _wave(rows: Tensor, columns: Tensor) -> Tensor:
    """`exp(-2 pi i (rows + columns))` of turns (h, 1) and (1, w)."""
    return torch.exp(-2j * math.pi * rows) * torch.exp(-2j * math.pi * columns)


def modulation(pair: Overlap) -> tuple[float, float]:
    """Depth of the fringes: `m = 2 |sum wide* shifted| / (sum |wide|^2 - noise)`.

    Noise in the wide-field band would lower the ratio, so its known power is taken off.

    Returns:
        The modulation and its relative standard error, infinite where noise outweighs signal.
    """
    numerator = float(torch.vdot(pair.wide, pair.weight * pair.shifted).abs())
    strength = pair.weight * power(pair.wide)
    total, bias = float(strength.sum()), float(pair.noise_wide.sum())
    if total <= 1.2 * bias or numerator == 0:
        return 0.0, math.inf
    of_shifted = float((strength * pair.noise_shifted).sum()) / numerator**2
    of_wide = float((2 * strength * pair.noise_wide).sum()) / (total - bias) ** 2
    return 2 * numerator / (total - bias), math.sqrt(of_shifted + of_wide)


def plausible(depth: float, error: float) -> tuple[float, float]:
    """Modulation drawn towards the usual one, as far as its relative `error` is large.

    Returns:
        The modulation and its standard error.
    """
    usual, spread = MODULATION_GUESS
    if not math.isfinite(error):
        return usual, spread
    measured, prior = 1 / max(error * depth, 1e-6) ** 2, 1 / spread**2
    depth = (measured * depth + prior * usual) / (measured + prior)
    return min(max(depth, MODULATION_RANGE[0]), MODULATION_RANGE[1]), (measured + prior) ** -0.5


def mixture(pair: Overlap) -> tuple[complex, complex, float]:
    """The mixture `u shifted + v mirror` that is nearest to the wide-field band.

    `v` is zero where the phases that separated the bands are right. Known noise is taken off the
    normal equations, within limits that keep them solvable.

    Returns:
        u, v and the standard error of v / u.
    """

    def inner(x: Tensor, y: Tensor) -> complex:
        return complex(torch.vdot(x, pair.weight * y))

    noise = float(pair.noise_shifted.sum())
    uu, vv = inner(pair.shifted, pair.shifted).real, inner(pair.mirror, pair.mirror).real
    uv = inner(pair.shifted, pair.mirror)
    uu, vv = max(uu - noise, 0.2 * uu), max(vv - noise, 0.2 * vv)
    determinant = max(uu * vv - abs(uv) ** 2, 0.05 * uu * vv)
    if determinant <= 0:
        return 1.0, 0.0, math.inf
    a, b = inner(pair.shifted, pair.wide), inner(pair.mirror, pair.wide)
    u, v = (vv * a - uv * b) / determinant, (uu * b - uv.conjugate() * a) / determinant
    rest = pair.weight * power(pair.wide - u * pair.shifted - v * pair.mirror)
    # 2: neighbouring frequencies of a tapered and padded field are not independent
    spread = math.sqrt(2 * float((pair.weight * power(pair.mirror) * rest).sum()))
    return u, v, spread * uu / determinant / max(abs(u), 1e-300)
