"""Evidence of a shifted band for the wave vectors that are searched.

It is the correlation with the sample over that of random phases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import frequencies, power, ring_index
from bayesdl_sim.physics.patterns.correlation import Field, Reference

__all__ = ["ANNULUS", "SearchedPlaces", "amplitudes", "heights", "score_map", "searched_places"]

ANNULUS = (0.15, 0.42)  # cycles per raw pixel, of wave vectors that are searched
STRENGTH_REACH = 2  # raw pixels around a point, over which the strength of a band is averaged
RIDGE = 1e-3  # of the largest template power: keeps scores without a template from exploding


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchedPlaces:
    """Places of the flattened map (2h, 2w) that are searched, ring after ring.

    Attributes:
        places: their indices.
        counts: how many of them lie in each ring.
        halves: indices of those of the flattened half plane (2h, w + 1), ring after ring.
        half_counts: how many of them lie in each ring.
        half_waves: (n, 2) their (ky, kx) in cycles per raw pixel, kx not below 0; float64.
        of_halves: for each of `places`, the number of the one of `halves` that it, or its opposite,
            lies on.
    """

    places: Tensor
    counts: list[int]
    halves: Tensor
    half_counts: list[int]
    half_waves: Tensor
    of_halves: Tensor


def searched_places(field: Field) -> SearchedPlaces:
    """Whole rings of the map of a field, as far as they meet `ANNULUS`."""
    return _places(tuple(field.transfer.shape), field.transfer.device)


@lru_cache(maxsize=1)
def _places(shape: tuple[int, int], device: torch.device) -> SearchedPlaces:
    """The places of `searched_places`; the order of the frames and their patterns share them."""
    step, (height, width) = 1.0 / min(shape), (2 * shape[0], 2 * shape[1])
    rings = ring_index((height, width), step, device).flatten()
    used = (rings >= int(ANNULUS[0] / step)) & (rings <= math.ceil(ANNULUS[1] / step))
    places = used.nonzero()[:, 0]
    # Numbers of 16 bits are sorted several times as fast.
    places = places[torch.argsort(rings[places].to(torch.int16), stable=True)]
    rows, columns = places // width, places % width
    opposite = columns > width // 2
    rows = torch.where(opposite, -rows % height, rows)
    columns = torch.where(opposite, width - columns, columns)
    on_half = rows * (width // 2 + 1) + columns
    halves, fy = on_half[~opposite], frequencies((height, width), device)[0][:, 0]
    half_rows, half_columns = rows[~opposite], columns[~opposite]
    number = places.new_zeros(height * (width // 2 + 1))
    number[halves] = torch.arange(len(halves), device=device)
    counts = [
        rings[kept].unique_consecutive(return_counts=True)[1].tolist()
        for kept in (places, places[~opposite])
    ]
    return SearchedPlaces(
        places=places,
        counts=counts[0],
        halves=halves,
        half_counts=counts[1],
        half_waves=torch.stack([fy[half_rows], half_columns.to(fy) / width], dim=1),
        of_halves=number[on_half],
    )


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
    searched = searched_places(field)
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
    whole = score.new_zeros(height * width).index_copy(0, searched_places(field).places, score)
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
