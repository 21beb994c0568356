"""Amplitudes of a shifted band are in units of random phases and lie where they belong."""

import math

import pytest
import torch

from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.correlation import (
    field_of,
    filtered,
    reference,
    sample_of,
)
from bayesdl_sim.physics.patterns.scores import (
    ANNULUS,
    amplitudes,
    heights,
    score_map,
    searched_places,
)


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
    assert values.shape == searched_places(field).places.shape
    assert 0.8 < float(values.abs().square().mean()) < 1.1


def test_amplitudes_do_not_depend_on_the_units_of_the_band(noisy):
    field, ref, image = noisy
    plain, scaled = (amplitudes(ref, s * image, field) for s in (1.0, 37.0))
    assert torch.allclose(plain, scaled, rtol=1e-3, atol=1e-3)


def test_a_map_holds_the_heights_at_their_places_and_nothing_elsewhere(noisy):
    field, ref, image = noisy
    scores = score_map(ref, image, field)
    assert scores.shape == tuple(2 * n for n in field.transfer.shape)
    expected = amplitudes(ref, image, field).abs() / math.sqrt(math.log(2.0))
    assert torch.allclose(scores.flatten()[searched_places(field).places], expected)
    assert torch.allclose(heights(amplitudes(ref, image, field)), expected)
    radius = math.floor(ANNULUS[0] * scores.shape[1]) - 2
    assert float(scores[0, :radius].abs().max()) == 0


def test_a_real_image_has_the_amplitudes_of_the_same_complex_one_in_half_the_plane(noisy):
    field, ref, image = noisy
    whole = amplitudes(ref, torch.complex(image.real, 0 * image.real), field)
    half = amplitudes(ref, image.real, field)
    waves = searched_places(field).half_waves
    assert half.shape == waves.shape[:1]
    height, width = (2 * n for n in field.transfer.shape)
    rows = (waves[:, 0] * height).round().long() % height
    columns = (waves[:, 1] * width).round().long() % width
    numbers = torch.full((height * width,), -1)
    numbers[searched_places(field).places] = torch.arange(len(whole))
    same = whole[numbers[rows * width + columns]]
    # Rings are normalised by their own medians, which differ a little between half and whole.
    assert float(((half - same).abs() / same.abs().clamp(min=0.1)).median()) < 0.02
