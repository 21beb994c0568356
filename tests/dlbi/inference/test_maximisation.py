"""The M-step: its gradient, and its maximum."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from bayesdl_sim.dlbi.fhmm import spot_images
from bayesdl_sim.dlbi.inference.maximisation import Priors, expected_likelihood, maximise

SHAPE = (16, 18)
SPOTS = np.array([[3.5, 0.1, 7.2, 8.1], [3.2, 0.2, 8.6, 9.4], [3.8, 0.0, 6.1, 10.3]])
PRIORS = Priors((3.0, 1.0), (0.1, 0.1))


@pytest.fixture
def toy():
    """(movie, draws): three overlapping spots that blink, unit noise, states known."""
    generator = np.random.default_rng(0)
    emitting = generator.random((3, 80)) < 0.4
    images = spot_images(SPOTS[:, 2:], np.exp(SPOTS[:, 0]), np.exp(SPOTS[:, 1]), SHAPE)
    movie = np.einsum("nt,nhw->thw", emitting, images) + generator.normal(size=(80, *SHAPE))
    return movie, emitting[None]


def test_gradient_equals_differences(toy):
    movie, draws = toy
    likelihood = expected_likelihood(movie, SPOTS[:, 2:], np.repeat(draws, 2, axis=0))
    start = SPOTS + 0.05
    error = check_grad(
        lambda flat: likelihood.value(flat.reshape(-1, 4), PRIORS)[0],
        lambda flat: likelihood.value(flat.reshape(-1, 4), PRIORS)[1].ravel(),
        start.ravel(),
    )
    _, gradient = likelihood.value(start, PRIORS)
    assert error < 1e-5 * np.linalg.norm(gradient)


def test_value_is_the_log_likelihood_of_the_movie(toy):
    movie, draws = toy
    flat_prior = Priors((0.0, 1e9), (0.0, 1e9))
    likelihood = expected_likelihood(movie, SPOTS[:, 2:], draws)

    def log_likelihood(spots):
        images = spot_images(spots[:, 2:], np.exp(spots[:, 0]), np.exp(spots[:, 1]), SHAPE)
        return -((movie - np.einsum("nt,nhw->thw", draws[0], images)) ** 2).sum() / 2

    other = SPOTS + 0.5 * np.random.default_rng(1).normal(size=SPOTS.shape)
    expected = log_likelihood(SPOTS) - log_likelihood(other)
    difference = likelihood.value(SPOTS, flat_prior)[0] - likelihood.value(other, flat_prior)[0]
    assert difference == pytest.approx(expected, rel=0.01)


def test_spots_are_found_again(toy):
    movie, draws = toy
    start = SPOTS + np.array([0.2, 0.05, 0.3, -0.3])
    likelihood = expected_likelihood(movie, start[:, 2:], draws)
    fitted = maximise(likelihood, start, PRIORS, 60)
    np.testing.assert_allclose(fitted[:, 2:], SPOTS[:, 2:], atol=0.12)
    np.testing.assert_allclose(fitted[:, 0], SPOTS[:, 0], atol=0.1)


def test_draws_count_equally(toy):
    movie, draws = toy
    two_draws = np.concatenate([draws, ~draws])
    likelihood = expected_likelihood(movie, SPOTS[:, 2:], two_draws)
    np.testing.assert_allclose(likelihood.emissions, 40)
    assert np.all(likelihood.together <= 40)
