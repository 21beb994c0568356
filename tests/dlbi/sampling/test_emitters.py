"""The chain over emitters: its law where it can be enumerated, and what it finds."""

import numpy as np
import pytest
from scipy.special import logsumexp

from bayesdl_sim.dlbi.fhmm import single_chain, spot_images
from bayesdl_sim.dlbi.inference.chains import Switching
from bayesdl_sim.dlbi.sampling.brightness import Brightness, single_law
from bayesdl_sim.dlbi.sampling.emitters import EmitterSampler, sample_places
from bayesdl_sim.dlbi.sampling.field import Field, camera_position
from tests.dlbi.toys import BACKGROUND, BRIGHTNESS, SPARSE, WIDTH, misfit

SWITCHING = Switching(SPARSE, [0.08, 0.92, 0.0])
LAW = Brightness(BRIGHTNESS, 0.3 * BRIGHTNESS)


def uniform_base(shape):
    return np.full((8 * shape[0], 8 * shape[1]), 1 / (64 * shape[0] * shape[1]))


def test_places_follow_the_density():
    density = np.arange(12.0).reshape(3, 4)
    places = sample_places(density, 30000, np.random.default_rng(0))
    counts = np.zeros((3, 4))
    np.add.at(counts, tuple(places.T), 1)
    error = np.sqrt(density / density.sum() / 30000) + 1e-9
    assert np.max(np.abs(counts / 30000 - density / density.sum()) / error) < 4.5


def test_one_emitter_has_its_exact_posterior_of_position():
    # Positions, states and brightness of one dim emitter: the marginal law of its position is
    # prior times the evidence of the chain there, computed for every fine pixel.
    shape, frames = (9, 9), 12
    generator = np.random.default_rng(0)
    truth = spot_images([[4.1, 4.3]], 1.0, WIDTH, shape)[0]
    light = np.where(np.arange(frames) % 4 == 1, 90.0, 0.0)
    movie = generator.poisson(light[:, None, None] * truth + BACKGROUND).astype(float)
    law, switching = Brightness(90.0, 30.0), Switching(SPARSE, [0.2, 0.8, 0.0])
    field = Field(movie, BACKGROUND, WIDTH)
    base = uniform_base(shape)
    places = np.stack(np.mgrid[24:48, 24:48], axis=-1).reshape(-1, 2)
    anchors = np.full(places.shape, 4)
    # A narrow prior, so that all of the posterior lies on the places enumerated here.
    base[:], base[24:48, 24:48] = 1e-300, 1 / 24**2
    fields, gram = field.project(field.view(anchors), field.spots(places, anchors))
    log_odds, _ = single_law(fields, gram, law)
    evidence, _ = single_chain(log_odds, switching.transition, switching.initial)
    exact = np.exp(evidence - logsumexp(evidence))
    mean = exact @ places
    spread = np.sqrt(exact @ (places - mean) ** 2)

    sampler = EmitterSampler(field, base, switching, law, 1.0, np.array([[36, 36]]))
    draws = []
    for _ in range(1600):
        sampler.sweep(generator)
        draws.append(sampler.places[0].copy())
    draws = np.array(draws[100:])
    batches = draws.reshape(50, -1, 2).mean(1)
    error = batches.std(0, ddof=1) / np.sqrt(50)
    assert np.all(np.abs(draws.mean(0) - mean) < 4 * error + 0.02)
    np.testing.assert_allclose(draws.std(0), spread, rtol=0.25)


def test_residual_stays_consistent(sparse_toy):
    field = Field(sparse_toy.movie, BACKGROUND, WIDTH)
    generator = np.random.default_rng(0)
    base = uniform_base((20, 20))
    sampler = EmitterSampler(field, base, SWITCHING, LAW, 0.7, sample_places(base, 40, generator))
    for _ in range(4):
        sampler.sweep(generator)
        sampler.sweep_pairs(generator)
    spots = spot_images(camera_position(sampler.places), 1.0, WIDTH, (20, 20))
    residual = sparse_toy.movie - BACKGROUND - np.einsum("nt,nhw->thw", sampler.light, spots)
    side = field.side
    padded = (20 + 2 * side, 20 + 2 * side, -1)
    inside = (slice(side, -side), slice(side, -side))
    weighted = field.weighted.reshape(padded)[inside]
    weights = field.weights.reshape(padded)[inside]
    # Spots are cut off at three widths, where they are 1 % of their maximum.
    np.testing.assert_allclose(
        weighted / weights, np.moveaxis(residual, 0, 2), atol=0.03 * sampler.light.max()
    )
    assert np.all((sampler.light > 0) <= (sampler.states == 0))


def test_emitters_of_a_sparse_movie_are_found(sparse_toy):
    field = Field(sparse_toy.movie, BACKGROUND, WIDTH)
    generator = np.random.default_rng(1)
    base = uniform_base((20, 20))
    sampler = EmitterSampler(field, base, SWITCHING, LAW, 0.7, sample_places(base, 40, generator))
    for number in range(40):
        sampler.sweep(generator, power=min(1, 0.1 + number / 10))
        sampler.sweep_pairs(generator)
    bright = sampler.light.sum(1) > BRIGHTNESS
    positions = camera_position(sampler.places[bright])
    shown = sparse_toy.positions[sparse_toy.light.sum(1) > 0]
    distance = np.linalg.norm(positions[:, None] - shown, axis=2)
    assert np.mean(distance.min(0) < 0.25) > 0.8
    assert np.mean(distance.min(1) < 0.25) > 0.8
    assert misfit(field) < 1.15


def test_moved_emitters_keep_their_light_where_frames_were_shown(sparse_toy):
    silent = np.arange(300) % 5 == 0
    base = uniform_base((20, 20))
    generator = np.random.default_rng(0)
    hidden = Field(sparse_toy.movie, BACKGROUND, WIDTH, silent=silent)
    sampler = EmitterSampler(hidden, base, SWITCHING, LAW, 0.7, sample_places(base, 40, generator))
    for _ in range(3):
        sampler.sweep(generator)
    field = Field(sparse_toy.movie, BACKGROUND, WIDTH)
    moved = sampler.moved(field)
    assert np.all(moved.light[:, silent] == 0)
    assert np.all(moved.states[:, silent] != 0)
    np.testing.assert_array_equal(moved.light[:, ~silent], sampler.light[:, ~silent])
    np.testing.assert_allclose(field.weighted[:, ~silent], hidden.weighted[:, ~silent], atol=0.15)


def test_load_is_learned(sparse_toy):
    field = Field(sparse_toy.movie, BACKGROUND, WIDTH)
    base = uniform_base((20, 20))
    generator = np.random.default_rng(0)
    sampler = EmitterSampler(field, base, SWITCHING, LAW, 0.9, sample_places(base, 200, generator))
    for _ in range(6):
        sampler.sweep(generator)
        sampler.sweep_pairs(generator)
        sampler.learn(SWITCHING, generator)
    assert sampler.load < 0.5
    assert np.all(sampler.states[~sampler.present] == 2)
    learned = sampler.switching
    assert np.any(learned.transition != SPARSE)
    sampler.learn(None, generator)
    assert sampler.switching is learned


@pytest.mark.parametrize("count", [0, 1])
def test_few_candidates_do_no_harm(sparse_toy, count):
    field = Field(sparse_toy.movie, BACKGROUND, WIDTH)
    base, generator = uniform_base((20, 20)), np.random.default_rng(0)
    places = sample_places(base, count, generator)
    sampler = EmitterSampler(field, base, SWITCHING, LAW, 0.7, places)
    sampler.sweep(generator, np.zeros(base.shape))
    sampler.sweep_pairs(generator)
    assert sampler.states.shape == (count, 300)
