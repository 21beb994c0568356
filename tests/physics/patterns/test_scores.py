"""Amplitudes of a shifted band are in units of random phases and lie where they belong."""

import math

import pytest
import torch

from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.correlation import (
    ANNULUS,
    field_of,
    filtered,
    reference,
    sample_of,
)
from bayesdl_sim.physics.patterns.scores import amplitudes, score_map, scores_of


@pytest.fixture(scope="module")
def noisy():
    """Field, reference and filtered band of a band that has nothing to do with its sample."""
    field = field_of(TYPICAL_OPTICS, torch.ones(80, 96))
    generator = torch.Generator().manual_seed(2)
    wide, real, imaginary = torch.randn(3, 80, 96, generator=generator)
    sample = sample_of(field.spectra(wide), field, 0.0)
    band = field.spectra(torch.complex(real, imaginary))
    ref = reference(sample, band, field, 2.0)
    return field, ref, filtered(ref, band, field)


def test_noise_has_a_mean_square_of_one(noisy):
    field, ref, image = noisy
    values = amplitudes(ref, image, field)
    assert values.shape == field.searched.places.shape
    assert 0.8 < float(values.abs().square().mean()) < 1.1


def test_amplitudes_do_not_depend_on_the_units_of_the_band(noisy):
    field, ref, image = noisy
    plain, scaled = (amplitudes(ref, s * image, field) for s in (1.0, 37.0))
    assert torch.allclose(plain, scaled, rtol=1e-3, atol=1e-3)


def test_maps_hold_the_moduli_at_their_places_and_nothing_elsewhere(noisy):
    field, ref, image = noisy
    values = amplitudes(ref, image, field)
    maps = scores_of(torch.stack([values, 2 * values]), field)
    assert maps.shape == (2, *(2 * n for n in field.transfer.shape))
    expected = values.abs() / math.sqrt(math.log(2.0))
    assert torch.allclose(maps[1].flatten()[field.searched.places], 2 * expected)
    assert torch.equal(maps[0], score_map(ref, image, field))
    radius = math.floor(ANNULUS[0] * maps.shape[2]) - 2
    assert float(maps[0, 0, :radius].abs().max()) == 0
