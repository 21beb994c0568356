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

from physics.bands import frequencies, ring_index, ring_mean, taper

__all__ = ["Reference", "correlate", "reference", "refine", "score_map"]

OTF_FLOOR = 0.005  # below it, the sample is not worth a division
POST_TAPER = 0.25
RIDGE = 1e-3  # of the largest template power: keeps scores without a template from exploding


class Reference(NamedTuple):
    """The wide-field band of one orientation, ready to be correlated; grid (h, w), padded.

    Attributes:
        sample: conjugate of the estimated sample, in real space.
        weight: `O(f) / P(f)`, the filter of the moved band.
        template: real-space product whose Fourier transform at k is the power of the template.
    """

    sample: Tensor
    weight: Tensor
    template: Tensor


def reference(
    zero: Tensor, first: Tensor, window: Tensor, transfer: Tensor, noise: float
) -> Reference:
    """Estimates the sample from its wide-field band, and how to weigh the moved one.

    The sample is `zero / O` times its share of signal in each ring of frequencies (Wiener). P is
    the ring-mean power of `first`: without this whitening the sample's strong low frequencies,
    moved to places where they do not belong, would hide the peak of a weak overlap.

    Args:
        zero, first: bands (H, W) of `bands.separate`.
        window: (H, W) taper.
        transfer: (h, w) `bands.camera_otf`, on a grid of at least (H, W).
        noise: variance of a pixel of a band.
    """
    shape = tuple(transfer.shape)
    index = ring_index(shape, 2.0 / min(shape), transfer.device)
    level = noise * float((window**2).sum())
    spectrum = torch.fft.fft2(zero * window, s=shape)
    share = 1 - level / ring_mean(spectrum.abs() ** 2, index).clamp(min=1e-300)
    inverse = torch.where(transfer > OTF_FLOOR, 1 / transfer.clamp(min=OTF_FLOOR), 0.0)
    sample = spectrum * share.clamp(min=0.0)[index] * inverse
    power = ring_mean(torch.fft.fft2(first * window, s=shape).abs() ** 2, index)
    power = power.clamp(min=max(0.5 * level, 1e-12 * float(power.max()), 1e-300))
    weight = transfer / power[index]
    fy, fx = frequencies(shape, transfer.device)
    # The lag window: powers are sampled at whole frequencies, and must not ripple in between.
    lag = (torch.cos(math.pi * fy) * torch.cos(math.pi * fx)) ** 2
    template = torch.fft.ifft2(transfer * weight) * torch.fft.ifft2(sample.abs() ** 2).conj() * lag
    return Reference(torch.fft.ifft2(sample).conj(), weight, template)


def correlate(ref: Reference, band: Tensor, window: Tensor) -> Tensor:
    """Real-space product whose Fourier transform at k is the correlation with the template of k.

    The second taper comes after the filter, since a filter of tapered fields is tilted near their
    borders, and that moves the peak.
    """
    shape = tuple(ref.weight.shape)
    height, width = band.shape
    filtered = torch.fft.ifft2(torch.fft.fft2(band * window, s=shape) * ref.weight)
    inner = taper((height, width), band.device, POST_TAPER)
    # (H, W) -> (h, w): the padding holds nothing but tails of the filter
    inner = torch.nn.functional.pad(inner, (0, shape[1] - width, 0, shape[0] - height))
    return ref.sample * filtered * inner


def _values_at(product: Tensor, ky: Tensor, kx: Tensor, centred: bool = False) -> Tensor:
    """Fourier transform of `product` (h, w) at any frequencies ky, kx: (len(ky), len(kx)).

    `centred`: the origin is the first pixel and the grid wraps around it.
    """
    sides = []
    for n, k in zip(product.shape, (ky, kx), strict=True):
        place = torch.arange(n, dtype=torch.float64, device=product.device)
        if centred:
            place = torch.fft.fftfreq(n, 1.0 / n, dtype=torch.float64, device=product.device)
        sides.append(torch.exp(-2j * math.pi * k[:, None] * place))
    return sides[0] @ product @ sides[1].T


def score_map(ref: Reference, product: Tensor) -> Tensor:
    """How well each wave vector explains the moved band: (2h, 2w), at half frequencies.

    `|<template, first>| / |template|`, over the median of its ring, so that noise alone scores
    about 1 at every radius, also where the sample itself gives a background.
    """
    shape = (2 * product.shape[0], 2 * product.shape[1])
    found = torch.fft.fft2(product, s=shape).abs()
    power = torch.fft.fft2(torch.fft.fftshift(ref.template), s=shape).abs()
    score = found / (power + RIDGE * power.max() + 1e-300).sqrt()
    index = ring_index(shape, 2.0 / min(shape), product.device).flatten()
    count = torch.bincount(index)
    rings = score.flatten()[torch.argsort(index, stable=True)].split(count.tolist())
    median = torch.stack([r.median() if len(r) else score.new_tensor(1.0) for r in rings])
    return score / median.clamp(min=1e-300)[index].reshape(shape)


def refine(ref: Reference, product: Tensor, ky: float, kx: float) -> tuple[float, float]:
    """The wave vector (ky, kx) of the highest score near a starting point, to a sub-pixel.

    Grids of 9 x 9 wave vectors, each a third of the one before, at exact frequencies.
    """
    steps = torch.linspace(-1, 1, 9, dtype=torch.float64, device=product.device)
    span_y, span_x = 0.5 / product.shape[0], 0.5 / product.shape[1]
    for _ in range(6):
        rows, columns = ky + span_y * steps, kx + span_x * steps
        power = _values_at(ref.template, rows, columns, centred=True).abs()
        score = _values_at(product, rows, columns).abs() ** 2 / power.clamp(min=1e-300)
        if not float(score.max()) > 0:
            break  # nothing there: stay
        best = int(score.argmax())
        ky, kx = float(rows[best // 9]), float(columns[best % 9])
        span_y, span_x = span_y / 3, span_x / 3
    return ky, kx
