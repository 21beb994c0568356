"""Cut-off of unknown optics from the fringes: that of the lens whose bands overlap best.

A wide-field spectrum fades into the noise long before the cut-off. The shifted bands hold more
information: they agree with the sample only if both are divided by the right transfer function.
"""

from __future__ import annotations

import math
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

__all__ = ["differ", "fit_optics", "with_cutoff"]

CUTOFFS = tuple(0.26 + 0.02 * step for step in range(8))  # cycles per raw pixel
# Of the fit where fringes are clear, logarithm of the ratio: at most 0.11 in 30 simulated stacks.
LARGEST_ERROR = 0.12
USUAL_SPREAD = 0.04  # cycles per raw pixel, of cut-offs around the typical one


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


def fit_optics(
    wide: Tensor,
    bands: list[Tensor],
    waves: list[tuple[float, float]],
    field: Field,
    noise: tuple[float, float],
    trust: float,
) -> Optics:
    """Typical optics with the cut-off that explains most of the shifted bands.

    The log-likelihood gained by the patterns, `sum |<template, band>|^2 / |template|^2`, as a
    parabola through its largest value over `CUTOFFS`, with a Gaussian prior around the typical one.

    Args:
        wide: (h, w) of `Field.spectra`, the wide-field band.
        bands: shifted bands (h, w) of the orientations.
        waves: their wave vectors (ky, kx) in cycles per raw pixel.
        noise: variance of a pixel of the wide-field and of a shifted band.
        trust: 0..1, that the waves are right; without any, the typical cut-off is left.
    """
    gains, strengths = [], [strength_of(band, field) for band in (wide, *bands)]
    for cutoff in CUTOFFS:
        away = (cutoff - TYPICAL_OPTICS.cutoff) / USUAL_SPREAD
        tried_field = field.through(with_cutoff(cutoff))
        gains.append(_explained(wide, bands, waves, tried_field, noise, strengths) - 0.5 * away**2)
    best = max(range(len(gains)), key=gains.__getitem__)
    cutoff = CUTOFFS[best]
    if 0 < best < len(gains) - 1:
        left, middle, right = gains[best - 1 : best + 2]
        bend = max(2 * middle - left - right, 1e-12)
        cutoff += 0.5 * (right - left) / bend * (CUTOFFS[1] - CUTOFFS[0])
    return with_cutoff(trust * cutoff + (1 - trust) * TYPICAL_OPTICS.cutoff)


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
