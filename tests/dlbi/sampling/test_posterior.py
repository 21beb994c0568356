"""Maps of the posterior, and draws that agree with them."""

import numpy as np
import pytest

from bayesdl_sim.dlbi.sampling.held_out import Mixture
from bayesdl_sim.dlbi.sampling.posterior import Posterior, Structure, Sums


@pytest.fixture
def sums():
    generator = np.random.default_rng(0)
    sums = Sums((16, 16))
    for _ in range(5):
        places = generator.integers(0, 16, size=(12, 2))
        density = np.zeros((16, 16))
        np.add.at(density, tuple(places.T), 1.0)
        sums.add(density, places)
    return sums


def test_without_samples_it_is_the_structure():
    prior = np.random.default_rng(0).random((16, 16))
    posterior = Posterior(prior=Structure.of(prior), sums=None, mixture=Mixture(0.0, 0.0, 0.0))
    np.testing.assert_array_equal(posterior.mean, prior)
    np.testing.assert_allclose(posterior.probability, 1 - np.exp(-prior))
    np.testing.assert_allclose(posterior.credible_width, 3.2897 * np.sqrt(prior), rtol=1e-6)


def test_number_of_fluorophores_is_that_of_the_structure(sums):
    prior = np.full((16, 16), 20 / 256)
    posterior = Posterior(prior=Structure.of(prior), sums=sums, mixture=Mixture(0.25, 0.0, 0.1))
    assert posterior.mean.sum() == pytest.approx(20)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_draws_have_the_mean(sums, weight):
    prior = np.full((16, 16), 0.1)
    posterior = Posterior(prior=Structure.of(prior), sums=sums, mixture=Mixture(weight, 0.0, 0.1))
    draws = posterior.draws(3000, np.random.default_rng(0))
    error = draws.std(0) / np.sqrt(3000) + 1e-3
    assert np.max(np.abs(draws.mean(0) - posterior.mean) / error) < 5


def test_probability_stays_below_one_and_width_above_zero(sums):
    prior = np.full((16, 16), 3.0)
    posterior = Posterior(prior=Structure.of(prior), sums=sums, mixture=Mixture(0.5, 0.7, 0.1))
    assert posterior.probability.min() >= 0
    assert posterior.probability.max() <= 1
    assert posterior.credible_width.min() > 0


def test_what_is_known_of_the_structure_is_kept():
    mean = np.full((4, 4), 0.5)
    structure = Structure.of(mean, probability=mean / 4, credible_width=mean * 2)
    posterior = Posterior(prior=structure, sums=None, mixture=Mixture(0.0, 0.0, 0.0))
    np.testing.assert_allclose(posterior.probability, mean / 4)
    np.testing.assert_allclose(posterior.credible_width, mean * 2)
