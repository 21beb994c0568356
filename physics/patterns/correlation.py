"""Correlation of the shifted bands with the wide-field band, over wave vectors.

A fringe pattern shifts a copy of the sample's spectrum S by its wave vector k. The lens passes
`first(f) = m/2 exp(i phase) O(f) S(f - k)` of it. The wide-field band determines S wherever O is
not zero, so it predicts `first` for any k: the right k is the one whose prediction explains most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import (
    camera_otf,
    fast_shape,
    frequencies,
    power,
    ring_index,
    ring_mean,
    taper,
)

__all__ = [
    "Field",
    "Reference",
    "Sample",
    "correlate",
    "field_of",
    "filtered",
    "reference",
    "refine",
    "sample_of",
    "strength_of",
    "values_at",
]

OTF_FLOOR = 0.005  # below it, the sample is not worth a division
BORDER = 10  # raw pixels over which images and products fall to zero; at most:
BORDER_SHARE = 0.12  # of a side


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """Quantities of the size, the light and the optics alone, needed for every band.

    Attributes:
        window: (H, W) taper of the images, times the weight of each pixel.
        inner: (h, w) taper of the products, zero in the padding.
        transfer: (h, w) `bands.camera_otf`, on a padded grid that is quick to transform.
        lag: (h, w) taper of the templates.
        index: (h, w) rings of frequencies.
        energy: sum of the squared taper, hence the power of noise whose variance is 1 where it has
            been weighed.
    """

    window: Tensor
    inner: Tensor
    transfer: Tensor
    lag: Tensor
    index: Tensor
    energy: float

    def spectra(self, images: Tensor) -> Tensor:
        """Fourier transforms of tapered and padded images: (..., H, W) -> (..., h, w)."""
        return torch.fft.fft2(images * self.window, s=tuple(self.transfer.shape))

    def half_spectra(self, images: Tensor) -> Tensor:
        """`spectra` of real images, the half plane (..., h, w / 2 + 1)."""
        return torch.fft.rfft2(images * self.window, s=tuple(self.transfer.shape))

    def through(self, optics: Optics) -> Field:
        """The same field seen through other optics."""
        transfer = camera_otf(optics, tuple(self.transfer.shape), self.window.device)
        return replace(self, transfer=transfer.to(self.window))


def field_of(optics: Optics, weight: Tensor) -> Field:
    """The `Field` of stacks of (H, W) raw pixels.

    Args:
        weight: (H, W) of the pixels, as `noise.noise_weight`; its device and type are the field's.
    """
    size, device = tuple(weight.shape), weight.device
    shape = fast_shape(size)
    fy, fx = frequencies(shape, device)
    window = taper(size, device, tuple(min(BORDER / n, BORDER_SHARE) for n in size)).to(weight)
    # (H, W) -> (h, w): the padding holds nothing but tails of the filter
    inner = torch.nn.functional.pad(window, (0, shape[1] - size[1], 0, shape[0] - size[0]))
    # The lag window: powers are sampled at whole frequencies, and must not ripple in between.
    lag = (torch.cos(math.pi * fy) * torch.cos(math.pi * fx)) ** 2
    index = ring_index(shape, 2.0 / min(shape), device)
    transfer = camera_otf(optics, shape, device)
    return Field(
        window=window * weight,
        inner=inner,
        transfer=transfer.to(weight),
        lag=lag.to(weight),
        index=index,
        energy=float(window.square().sum()),
    )


class Sample(NamedTuple):
    """The estimated sample in real space (h, w), and its autocorrelation."""

    image: Tensor
    correlation: Tensor


def sample_of(wide: Tensor, field: Field, noise: float, strength: Tensor | None = None) -> Sample:
    """Estimates the sample from its wide-field band: `wide / O` times its share of signal.

    The share is that of each ring of frequencies (Wiener).

    Args:
        wide: (h, w) of `Field.spectra`.
        noise: variance of a pixel of the wide-field band.
        strength: ring-mean power of that band, of `strength_of`, where it is known.
    """
    shape = tuple(field.transfer.shape)
    half = (..., slice(shape[1] // 2 + 1))  # all that follows is real in real space
    band_power = strength_of(wide, field) if strength is None else strength
    noise_share = noise * field.energy / band_power.clamp(min=1e-300)
    share = (1 - noise_share).clamp(min=0.0).to(field.transfer)
    transfer = field.transfer[half]
    inverse = torch.where(transfer > OTF_FLOOR, 1 / transfer.clamp(min=OTF_FLOOR), 0.0)
    spectrum = wide[half] * (share[field.index[half]] * inverse)
    images = torch.fft.irfft2(torch.stack([spectrum, power(spectrum).to(spectrum)]), s=shape)
    return Sample(images[0], images[1])


class Reference(NamedTuple):
    """A sample, ready to be correlated with one shifted band; grid (h, w), padded.

    Attributes:
        sample: in real space.
        weight: `O(f) / P(f)`, the filter of the shifted band.
        likeness: autocorrelation of that band after the filter, 1 in the origin.
        template: real-space product, its origin in the middle, whose Fourier transform at k has
            the power of the template as its modulus.
    """

    sample: Tensor
    weight: Tensor
    likeness: Tensor
    template: Tensor


def reference(
    sample: Sample, first: Tensor, field: Field, noise: float, strength: Tensor | None = None
) -> Reference:
    """Weights of a shifted band before it is correlated with the sample.

    P is the ring-mean power of `first`: without this whitening the sample's strong low
    frequencies, shifted to places where they do not belong, would hide the peak of a weak overlap.

    Args:
        first: the shifted band, (h, w) of `Field.spectra` or half of it.
        noise: variance of a pixel of that band.
        strength: P, of `strength_of`, where it is known.
    """
    shape = tuple(field.transfer.shape)
    strength = strength_of(first, field) if strength is None else strength
    least = max(0.5 * noise * field.energy, 1e-12 * float(strength.max()), 1e-30)
    weight = field.transfer / strength.clamp(min=least).to(field.transfer)[field.index]
    half = (..., slice(shape[1] // 2 + 1))
    ours = torch.fft.irfft2((field.transfer * weight)[half], s=shape)
    template = ours * sample.correlation * field.lag
    likeness = ours / ours[0, 0].clamp(min=1e-30)
    return Reference(sample.image, weight, likeness, torch.fft.fftshift(template))


def strength_of(band: Tensor, field: Field) -> Tensor:
    """Ring-mean power of a band: (rings,).

    Args:
        band: (h, w) of `Field.spectra` or half of it.
    """
    return ring_mean(power(band), field.index[:, : band.shape[1]])


def filtered(ref: Reference, band: Tensor, field: Field) -> Tensor:
    """The shifted band as it is compared with the sample, in real space (h, w).

    The second taper comes after the filter, since a filter of tapered fields is tilted near their
    borders, which moves the peak.

    Args:
        band: (h, w) of `Field.spectra`; half of it is the band of a real image, which stays real.
    """
    shape = tuple(field.transfer.shape)
    spectrum = band * ref.weight[:, : band.shape[1]]
    whole = band.shape[1] == shape[1]
    return field.inner * (
        torch.fft.ifft2(spectrum) if whole else torch.fft.irfft2(spectrum, s=shape)
    )


def correlate(ref: Reference, band: Tensor, field: Field) -> Tensor:
    """Real-space product whose Fourier transform at k is the correlation with the template of k.

    Args:
        band: as in `filtered`.
    """
    return filtered(ref, band, field) * ref.sample


def refine(ref: Reference, product: Tensor, ky: float, kx: float) -> tuple[float, float]:
    """The wave vector (ky, kx) of the highest score near a starting point, to a sub-pixel.

    Grids of 9 x 9 wave vectors, each a third of the one before, at exact frequencies.
    """
    steps = torch.linspace(-1, 1, 9, dtype=torch.float64, device=product.device)
    span_y, span_x = 0.5 / product.shape[0], 0.5 / product.shape[1]
    products = torch.stack([ref.template.to(product), product])
    for _ in range(6):
        rows, columns = ky + span_y * steps, kx + span_x * steps
        template_power, product_power = power(values_at(products, rows, columns))
        score = product_power / template_power.sqrt().clamp(min=1e-30)
        if not float(score.max()) > 0:
            break  # nothing there: stay
        best = int(score.argmax())
        ky, kx = float(rows[best // 9]), float(columns[best % 9])
        span_y, span_x = span_y / 3, span_x / 3
    return ky, kx


def values_at(products: Tensor, ky: Tensor, kx: Tensor) -> Tensor:
    """Fourier transforms of (n, h, w) at any frequencies ky, kx: (n, len(ky), len(kx))."""
    sides = []
    for size, k in zip(products.shape[1:], (ky, kx), strict=True):
        place = torch.arange(size, dtype=torch.float64, device=products.device)
        sides.append(torch.exp(-2j * math.pi * k[:, None] * place).to(products))
    return (sides[0] @ products @ sides[1].T).to(torch.complex128)
