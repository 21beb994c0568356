"""Evidence of a shifted band for a wave vector: its correlation over that of random phases."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import power
from bayesdl_sim.physics.patterns.correlation import Field, Reference

__all__ = ["amplitudes", "heights", "score_map"]

STRENGTH_REACH = 2  # raw pixels around a point, over which the strength of a band is averaged
RIDGE = 1e-3  # of the largest template power: keeps scores without a template from exploding


def amplitudes(ref: Reference, image: Tensor, field: Field) -> Tensor:
    """Correlations of a shifted band with the sample, in units of those of random phases.

    With the filtered band b and the sample s, `sum b s exp(-ikr) / sqrt(V(k))`, where V is the mean
    square of the sum if every point of b had a random phase:

        V(k) = sum_rr' L(r - r') (a s)(r) (a s)(r') exp(-ik(r - r')),

    a the local strength of b and L its autocorrelation. The square of what a few points have in
    common by chance thus never exceeds their number, whatever their brightness. V is raised where
    the median of a ring is higher, since the sample itself gives a background where exposures
    differ.

    Args:
        image: (h, w) of `correlation.filtered`.

    Returns:
        (n,) complex, at `SearchedPlaces.places`; for a real image at `SearchedPlaces.halves`, since
        their opposites have the complex conjugate. Noise has a mean square of 1.
    """
    shape = (2 * image.shape[0], 2 * image.shape[1])
    product = image * ref.sample
    usual = _of_random_phases(ref, image, field, shape)
    searched = field.searched
    usual = usual[searched.halves] + RIDGE * usual.max() + 1e-30
    if product.is_complex():
        correlation = torch.fft.fft2(product, s=shape).flatten()[searched.places]
        return correlation / _usual(correlation, usual[searched.of_halves], searched.counts)
    correlation = torch.fft.rfft2(product, s=shape).flatten()[searched.halves]
    return correlation / _usual(correlation, usual, searched.half_counts)


def _usual(correlation: Tensor, usual: Tensor, counts: list[int]) -> Tensor:
    """The modulus that random phases have, raised where the median of a ring is higher."""
    rings = (power(correlation) / usual).split(counts)
    medians = torch.stack([ring.median() for ring in rings])
    raised = (medians / math.log(2.0)).clamp(min=1.0)
    lengths = torch.tensor(counts, device=correlation.device)
    return (usual * raised.repeat_interleave(lengths)).sqrt()


def heights(amplitudes: Tensor) -> Tensor:
    """Moduli of `amplitudes` over `sqrt(ln 2)`, so that noise has a median of 1 or less."""
    return (power(amplitudes) / math.log(2.0)).sqrt()


def score_map(ref: Reference, image: Tensor, field: Field) -> Tensor:
    """Score of each wave vector for a shifted band: (2h, 2w), at half frequencies.

    The `heights` of its amplitudes; zero where `ANNULUS` is far.

    Args:
        image: (h, w) of `correlation.filtered`, complex.
    """
    height, width = (2 * n for n in field.transfer.shape)
    score = heights(amplitudes(ref, image, field))
    whole = score.new_zeros(height * width).index_copy(0, field.searched.places, score)
    return whole.reshape(height, width)


def _of_random_phases(
    ref: Reference, image: Tensor, field: Field, shape: tuple[int, int]
) -> Tensor:
    """V of `amplitudes`, flattened half plane."""
    strength = power(image) if image.is_complex() else image.square()
    size = 2 * STRENGTH_REACH + 1
    for sides, reach in (((size, 1), (STRENGTH_REACH, 0)), ((1, size), (0, STRENGTH_REACH))):
        strength = torch.nn.functional.avg_pool2d(strength[None, None], sides, 1, reach)[0, 0]
    lit = strength.sqrt() * ref.sample
    alike = torch.fft.irfft2(power(torch.fft.rfft2(lit)), s=tuple(lit.shape))
    template = torch.fft.fftshift(ref.likeness * alike * field.lag)
    return power(torch.fft.rfft2(template, s=shape)).sqrt().flatten()
