"""Where the fringes moved a band to: correlation with the wide-field band.

A fringe pattern moves a copy of the sample's spectrum S by its wave vector k. What the lens passes
of it is `first(f) = m/2 exp(i phase) O(f) S(f - k)`. The wide-field band tells S wherever O is not
zero, so it predicts `first` for any k tried: the right k is the one whose prediction explains most.
"""

from __future__ import annotations

import math
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
from bayesdl_sim.physics.patterns.search import ANNULUS

__all__ = [
    "Field",
    "Reference",
    "correlate",
    "field_of",
    "reference",
    "refine",
    "score_map",
    "values_at",
]

OTF_FLOOR = 0.005  # below it, the sample is not worth a division
POST_TAPER = 0.25
RIDGE = 1e-3  # of the largest template power: keeps scores without a template from exploding


class Field(NamedTuple):
    """What depends on the field's size and the optics alone, needed for every band.

    Attributes:
        window: (H, W) taper of the images.
        inner: (h, w) taper of the products, zero in the padding.
        transfer: (h, w) `bands.camera_otf`, on a padded grid that is quick to transform.
        lag: (h, w) taper of the templates.
        index: (h, w) rings of frequencies.
        places: places of the flattened map (2h, 2w) that are searched, ring after ring.
        counts: how many of them lie in each ring.
    """

    window: Tensor
    inner: Tensor
    transfer: Tensor
    lag: Tensor
    index: Tensor
    places: Tensor
    counts: list[int]

    def spectra(self, images: Tensor) -> Tensor:
        """Fourier transforms of tapered and padded images: (..., H, W) -> (..., h, w)."""
        return torch.fft.fft2(images * self.window, s=tuple(self.transfer.shape))


def field_of(size: tuple[int, int], optics: Optics, device: torch.device | str) -> Field:
    """The `Field` of stacks of (H, W) raw pixels."""
    shape = fast_shape(size)
    fy, fx = frequencies(shape, device)
    # (H, W) -> (h, w): the padding holds nothing but tails of the filter
    padding = (0, shape[1] - size[1], 0, shape[0] - size[0])
    inner = torch.nn.functional.pad(taper(size, device, POST_TAPER), padding)
    # The lag window: powers are sampled at whole frequencies, and must not ripple in between.
    lag = (torch.cos(math.pi * fy) * torch.cos(math.pi * fx)) ** 2
    index = ring_index(shape, 2.0 / min(shape), device)
    places, counts = _searched(shape, device)
    return Field(
        taper(size, device), inner, camera_otf(optics, shape, device), lag, index, places, counts
    )


def _searched(shape: tuple[int, int], device: torch.device | str) -> tuple[Tensor, list[int]]:
    """`places` and `counts` of `Field`: whole rings, as far as they meet `search.ANNULUS`."""
    step = 1.0 / min(shape)
    rings = ring_index((2 * shape[0], 2 * shape[1]), step, device).flatten()
    used = (rings >= int(ANNULUS[0] / step)) & (rings <= math.ceil(ANNULUS[1] / step))
    places = used.nonzero()[:, 0]
    places = places[torch.argsort(rings[places], stable=True)]
    return places, rings[places].unique_consecutive(return_counts=True)[1].tolist()


class Reference(NamedTuple):
    """The wide-field band of one orientation, ready to be correlated; grid (h, w), padded.

    Attributes:
        sample: the estimated sample, in real space.
        weight: `O(f) / P(f)`, the filter of the moved band.
        template: real-space product, its origin in the middle, whose Fourier transform at k has
            the power of the template as its modulus.
    """

    sample: Tensor
    weight: Tensor
    template: Tensor


def reference(zero: Tensor, first: Tensor, field: Field, noise: float) -> Reference:
    """Estimates the sample from its wide-field band, and how to weigh the moved one.

    The sample is `zero / O` times its share of signal in each ring of frequencies (Wiener). P is
    the ring-mean power of `first`: without this whitening the sample's strong low frequencies,
    moved to places where they do not belong, would hide the peak of a weak overlap.

    Args:
        zero, first: bands of `bands.separate`, as (h, w) of `Field.spectra`.
        noise: variance of a pixel of a band.
    """
    transfer, index = field.transfer, field.index
    shape = tuple(transfer.shape)
    level = noise * float((field.window**2).sum())
    share = 1 - level / ring_mean(power(zero), index).clamp(min=1e-300)
    strength = ring_mean(power(first), index)
    strength = strength.clamp(min=max(0.5 * level, 1e-12 * float(strength.max()), 1e-300))
    weight = transfer / strength[index]
    # What follows is real in real space: the half plane of `rfft2` tells it.
    half = (..., slice(shape[1] // 2 + 1))
    inverse = torch.where(transfer > OTF_FLOOR, 1 / transfer.clamp(min=OTF_FLOOR), 0.0)[half]
    sample = zero[half] * (share.clamp(min=0.0)[index[half]] * inverse)
    ours = torch.fft.irfft2((transfer * weight)[half], s=shape)
    template = ours * torch.fft.irfft2(power(sample), s=shape) * field.lag
    return Reference(torch.fft.irfft2(sample, s=shape), weight, torch.fft.fftshift(template))


def correlate(ref: Reference, band: Tensor, field: Field) -> Tensor:
    """Real-space product whose Fourier transform at k is the correlation with the template of k.

    The second taper comes after the filter, since a filter of tapered fields is tilted near their
    borders, and that moves the peak.

    Args:
        band: (h, w) of `Field.spectra`.
    """
    return torch.fft.ifft2(band * ref.weight) * (ref.sample * field.inner)


def score_map(ref: Reference, product: Tensor, field: Field) -> Tensor:
    """How well each wave vector explains the moved band: (2h, 2w), at half frequencies.

    `|<template, first>| / |template|`, over the median of its ring, so that noise alone scores
    about 1 at every radius, also where the sample itself gives a background. Zero where
    `search.ANNULUS` is far.
    """
    shape = (2 * product.shape[0], 2 * product.shape[1])
    found = torch.fft.fft2(product, s=shape).flatten()[field.places]
    squared = power(torch.fft.fft2(ref.template, s=shape)).flatten()
    ridge = RIDGE * squared.max().sqrt() + 1e-300
    score = (power(found) / (squared[field.places].sqrt() + ridge)).sqrt()
    median = torch.stack([ring.median() for ring in score.split(field.counts)])
    counts = torch.tensor(field.counts, device=score.device)
    score = score / median.clamp(min=1e-300).repeat_interleave(counts)
    return score.new_zeros(shape).flatten().index_copy(0, field.places, score).reshape(shape)


def refine(ref: Reference, product: Tensor, ky: float, kx: float) -> tuple[float, float]:
    """The wave vector (ky, kx) of the highest score near a starting point, to a sub-pixel.

    Grids of 9 x 9 wave vectors, each a third of the one before, at exact frequencies.
    """
    steps = torch.linspace(-1, 1, 9, dtype=torch.float64, device=product.device)
    span_y, span_x = 0.5 / product.shape[0], 0.5 / product.shape[1]
    both = torch.stack([ref.template.to(product), product])
    for _ in range(6):
        rows, columns = ky + span_y * steps, kx + span_x * steps
        template, found = power(values_at(both, rows, columns))
        score = found / template.sqrt().clamp(min=1e-300)
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
        sides.append(torch.exp(-2j * math.pi * k[:, None] * place))
    return sides[0] @ products @ sides[1].T
