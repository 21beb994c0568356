"""Cut-off or aberrations of the lens from the fringes: that through which the bands overlap best.

A wide-field spectrum fades into the noise long before the cut-off. The shifted bands hold more
information: they agree with the sample only if both are divided by the right transfer function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.physics.patterns.correlation import (
    Field,
    correlate,
    reference,
    sample_of,
    strength_of,
    values_at,
)

__all__ = ["differ", "explained_by", "fit_aberrations", "fit_optics", "with_cutoff"]

CUTOFFS = tuple(0.26 + 0.02 * step for step in range(8))  # cycles per raw pixel
# Of the fit where fringes are clear, logarithm of the ratio: at most 0.11 in 30 simulated stacks.
LARGEST_ERROR = 0.12
USUAL_SPREAD = 0.04  # cycles per raw pixel, of cut-offs around the typical one
# Logarithm of the damping, see `Optics`: of strong aberrations to none, and its spread.
DAMPINGS = tuple(-1.92 + 0.24 * step for step in range(9))
DAMPING_SPREAD = 0.35


def with_cutoff(cutoff: float) -> Optics:
    """Typical optics with another pixel size, hence another cut-off in cycles per pixel."""
    scale = cutoff / TYPICAL_OPTICS.cutoff
    return replace(TYPICAL_OPTICS, pixel_size_nm=scale * TYPICAL_OPTICS.pixel_size_nm)


def differ(given: Optics, fitted: Optics) -> bool:
    """Whether a cut-off differs from the one of `fit_optics` by more than clear fringes leave open.

    A fit at the end of the cut-offs that are tried leaves those beyond it open.
    """
    cutoff, half = fitted.cutoff, 0.5 * (CUTOFFS[1] - CUTOFFS[0])
    if given.cutoff < cutoff < CUTOFFS[0] + half or given.cutoff > cutoff > CUTOFFS[-1] - half:
        return False
    return abs(math.log(given.cutoff / cutoff)) > LARGEST_ERROR


def explained_by(
    wide: Tensor,
    bands: list[Tensor],
    waves: list[tuple[float, float]],
    field: Field,
    noise: tuple[float, float],
) -> Callable[[Optics], float]:
    """Log-likelihood gained by the patterns, as a function of the optics.

    It is `sum |<template, band>|^2 / |template|^2` over the shifted bands.

    Args:
        wide: (h, w) of `Field.spectra`, the wide-field band.
        bands: shifted bands (h, w) of the orientations.
        waves: their wave vectors (ky, kx) in cycles per raw pixel.
        noise: variance of a pixel of the wide-field and of a shifted band.
    """
    strengths = [strength_of(band, field) for band in (wide, *bands)]

    def explained(optics: Optics) -> float:
        return _explained(wide, bands, waves, field.through(optics), noise, strengths)

    return explained


def fit_optics(explained: Callable[[Optics], float], trust: float) -> Optics:
    """Typical optics with the cut-off that explains most of the shifted bands.

    As a parabola through the largest value over `CUTOFFS`, with a Gaussian prior around the typical
    one.

    Args:
        explained: log-likelihood of optics, see `explained_by`.
        trust: 0..1, that the waves are right; without any, the typical cut-off is left.
    """
    usual = TYPICAL_OPTICS.cutoff
    cutoff = _likeliest(CUTOFFS, usual, USUAL_SPREAD, lambda c: explained(with_cutoff(c)))
    return with_cutoff(trust * cutoff + (1 - trust) * usual)


def fit_aberrations(known: Optics, explained: Callable[[Optics], float], trust: float) -> Optics:
    """Optics of a known cut-off with the damping that explains most of the shifted bands.

    As `fit_optics`, over the logarithm of the damping, with a Gaussian prior around the one that
    is known. A measured OTF is left as it is.

    Args:
        known: aperture, wavelength and pixel size, with the usual damping.
        explained, trust: see `fit_optics`.
    """
    if known.radial_otf is not None:
        return known
    usual = math.log(known.damping)
    fitted = _likeliest(
        DAMPINGS, usual, DAMPING_SPREAD, lambda x: explained(replace(known, damping=math.exp(x)))
    )
    return replace(known, damping=math.exp(trust * fitted + (1 - trust) * usual))


def _likeliest(
    tried: Sequence[float], usual: float, spread: float, gain: Callable[[float], float]
) -> float:
    """The value of the largest gain in log-likelihood and prior, by a parabola through it.

    Args:
        tried: values, evenly spaced.
        usual, spread: mean and standard deviation of the prior.
        gain: log-likelihood of a value.
    """
    gains = [gain(value) - 0.5 * ((value - usual) / spread) ** 2 for value in tried]
    best = max(range(len(gains)), key=gains.__getitem__)
    if not 0 < best < len(gains) - 1:
        return tried[best]
    left, middle, right = gains[best - 1 : best + 2]
    bend = max(2 * middle - left - right, 1e-12)
    return tried[best] + 0.5 * (right - left) / bend * (tried[1] - tried[0])


def _explained(
    wide: Tensor,
    bands: list[Tensor],
    waves: list[tuple[float, float]],
    field: Field,
    noise: tuple[float, float],
    strengths: list[Tensor],
) -> float:
    sample, total = sample_of(wide, field, noise[0], strengths[0]), 0.0
    for band, wave, strength in zip(bands, waves, strengths[1:], strict=True):
        ref = reference(sample, band, field, noise[1], strength)
        product = correlate(ref, band, field)
        ky, kx = (torch.tensor([k], dtype=torch.float64, device=wide.device) for k in wave)
        moduli = values_at(torch.stack([ref.template.to(product), product]), ky, kx).abs()
        template, amplitude = (float(value) for value in moduli.flatten())
        total += amplitude**2 / max(template, 1e-30) * wide.numel()
    return total
