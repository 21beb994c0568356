"""Held-out emissions: how well they are found, and what they decide."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesdl_sim.dlbi.fhmm import spot_images
from bayesdl_sim.dlbi.sampling.held_out import (
    Emissions,
    best_mixture,
    held_out_frames,
    isolated_emissions,
)

WIDTH, BACKGROUND, BRIGHTNESS = 1.1, 4.0, 500.0


@pytest.mark.parametrize("frames", [20, 97, 200, 1000])
def test_a_fifth_of_the_frames_is_held_out_in_blocks(frames):
    hidden = held_out_frames(frames)
    assert 0.15 < hidden.mean() < 0.25
    assert np.abs(np.diff(hidden.astype(int))).sum() <= 8


def single_emissions(count, seed=0):
    generator = np.random.default_rng(seed)
    positions = 10 + generator.random((count, 2)) * 4
    light = BRIGHTNESS * spot_images(positions, 1.0, WIDTH, (25, 25))
    return generator.poisson(light + BACKGROUND).astype(float), positions


def test_single_emissions_are_found_with_the_error_they_state():
    movie, positions = single_emissions(300)
    emissions = isolated_emissions(movie, BACKGROUND, WIDTH, BRIGHTNESS)
    assert len(emissions.errors) > 270
    distance = np.linalg.norm(emissions.positions[:, None] - positions, axis=2).min(1)
    error = np.sqrt((distance**2).mean() / 2)
    # Nearest of many positions: an upper bound of the stated error is what can be asked.
    assert error < 1.3 * np.median(emissions.errors)
    assert 0.03 < np.median(emissions.errors) < 0.09


def test_blends_are_left_out():
    generator = np.random.default_rng(0)
    places = 12 + generator.random((200, 2)) * 2
    light = spot_images(places, BRIGHTNESS, WIDTH, (25, 25))
    light += spot_images(places + np.array([1.6, 1.2]), BRIGHTNESS, WIDTH, (25, 25))
    movie = generator.poisson(light + BACKGROUND).astype(float)
    emissions = isolated_emissions(movie, BACKGROUND, WIDTH, BRIGHTNESS)
    assert len(emissions.errors) < 30


def test_noise_has_no_emissions():
    movie = np.random.default_rng(0).poisson(BACKGROUND, size=(50, 25, 25)).astype(float)
    emissions = isolated_emissions(movie, BACKGROUND, WIDTH, BRIGHTNESS)
    assert emissions.positions.shape == (len(emissions.errors), 2)
    assert len(emissions.errors) == 0


@pytest.fixture
def points():
    """(structure, emissions): thirty points on the fine grid, and 300 emissions from them."""
    generator = np.random.default_rng(0)
    places = generator.integers(16, 144, size=(30, 2))
    structure = np.zeros((160, 160))
    structure[places[:, 0], places[:, 1]] = 1
    from_which = generator.integers(30, size=300)
    positions = (places[from_which] + 0.5) / 8 - 0.5 + 0.06 * generator.normal(size=(300, 2))
    return structure, Emissions(positions, np.full(300, 0.06))


def test_a_sharper_structure_gets_weight(points):
    structure, emissions = points
    mixture = best_mixture(gaussian_filter(structure, 8), structure, emissions)
    assert mixture.weight >= 0.5
    assert mixture.gain > 0.5


def test_a_wrong_structure_gets_none(points):
    structure, emissions = points
    wrong = np.roll(structure, (17, 23), axis=(0, 1))
    assert best_mixture(gaussian_filter(structure, 4), wrong, emissions).weight == 0


def test_the_same_structure_gets_none(points):
    structure, emissions = points
    assert best_mixture(structure, structure, emissions).weight == 0


def test_few_emissions_decide_nothing(points):
    structure, emissions = points
    few = Emissions(emissions.positions[:20], emissions.errors[:20])
    assert best_mixture(gaussian_filter(structure, 8), structure, few).weight == 0


def test_samples_without_emitters_get_none(points):
    structure, emissions = points
    assert best_mixture(structure, 0 * structure, emissions).weight == 0


def test_emissions_are_found_without_background():
    generator = np.random.default_rng(0)
    positions = 10 + generator.random((300, 2)) * 4
    light = BRIGHTNESS * spot_images(positions, 1.0, WIDTH, (25, 25))
    emissions = isolated_emissions(generator.poisson(light).astype(float), 0.0, WIDTH, BRIGHTNESS)
    assert len(emissions.errors) > 250
    assert np.all(np.isfinite(emissions.errors))
    distance = np.linalg.norm(emissions.positions[:, None] - positions, axis=2).min(1)
    assert np.sqrt((distance**2).mean() / 2) < 1.5 * np.median(emissions.errors)
