"""Maps of the posterior, and draws that agree with them."""

import numpy as np
import pytest

from bayesdl_sim.dlbi.sampling.held_out import Mixture
from bayesdl_sim.dlbi.sampling.posterior import Posterior, Structure, Sums

DRAWS = 3000


def points(places):
    """(16, 16), emitters at these places, each known exactly."""
    density = np.zeros((16, 16))
    np.add.at(density, tuple(np.transpose(places)), 1.0)
    return density


@pytest.fixture
def sums():
    """Five sweeps of twelve emitters."""
    generator = np.random.default_rng(0)
    sums = Sums()
    for _ in range(5):
        sums.add(points(generator.integers(0, 16, size=(12, 2))))
    return sums


def assert_moments(draws, mean, probability, deviation):
    """The moments of draws, each within five standard errors over all pixels."""
    error = draws.std(0) / np.sqrt(len(draws)) + 1e-3
    assert np.max(np.abs(draws.mean(0) - mean) / error) < 5
    error = np.sqrt(probability * (1 - probability) / len(draws)) + 1e-3
    assert np.max(np.abs((draws > 0).mean(0) - probability) / error) < 5
    fourth = ((draws - draws.mean(0)) ** 4).mean(0)
    error = np.sqrt(np.maximum(fourth - draws.var(0) ** 2, 0) / len(draws)) + 0.01
    assert np.max(np.abs(draws.var(0) - deviation**2) / error) < 6


def assert_draws_follow_maps(posterior):
    draws = posterior.draws(DRAWS, np.random.default_rng(0))
    deviation = posterior.credible_width / 3.2897
    assert_moments(draws, posterior.mean, posterior.probability, deviation)


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


@pytest.mark.parametrize("blur", [0.0, 1.2])
@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("level", [0.02, 0.1], ids=["half", "twice"])
def test_draws_have_the_moments_of_the_maps(sums, weight, blur, level):
    # 12 emitters stand for 5 or 26 fluorophores.
    prior = Structure.of(np.full((16, 16), level))
    mixture = Mixture(weight, blur, 0.1)
    assert_draws_follow_maps(Posterior(prior=prior, sums=sums, mixture=mixture))


def test_draws_are_of_one_part_as_a_whole():
    # The prior has nothing where the sweeps have everything: no draw holds both.
    prior, density = np.zeros((16, 16)), np.zeros((16, 16))
    prior[:4], density[8:] = 1.0, 1.0
    sums = Sums()
    sums.add(density)
    posterior = Posterior(prior=Structure.of(prior), sums=sums, mixture=Mixture(0.5, 0.0, 0.1))
    draws = posterior.draws(200, np.random.default_rng(0))
    first, second = draws[:, :4].any((1, 2)), draws[:, 8:].any((1, 2))
    assert np.all(first != second)
    assert 0.3 < first.mean() < 0.7


def test_blur_moves_what_is_drawn():
    sums = Sums()
    sums.add(points([[8, 8]] * 40))
    prior = Structure.of(np.full((16, 16), 40 / 256))
    draws = Posterior(prior=prior, sums=sums, mixture=Mixture(1.0, 1.2, 0.1)).draws(
        200, np.random.default_rng(0)
    )
    numbers = draws.sum(0)
    offsets = np.arange(16) - 8
    spread = np.sqrt((numbers.sum(1) * offsets**2).sum() / numbers.sum())
    assert spread == pytest.approx(1.2, rel=0.05)


def test_width_grows_with_the_fluorophores_of_an_emitter():
    # An emitter that is there in half the sweeps, and stands for s fluorophores: s E + s**2 V.
    sums = Sums()
    for number in range(30):
        sums.add(points([[8, 8], [4, 4]] if number % 2 else [[2, 2], [4, 4]]))
    for scale in (1, 4):
        prior = Structure.of(np.full((16, 16), 2 * scale / 256))
        posterior = Posterior(prior=prior, sums=sums, mixture=Mixture(1.0, 0.0, 0.1))
        expected = 3.2897 * np.sqrt(scale / 2 + scale**2 / 4)
        assert posterior.credible_width[8, 8] == pytest.approx(expected, rel=1e-6)
        assert posterior.probability[4, 4] == pytest.approx(1 - np.exp(-scale))


def test_probability_stays_below_one_and_width_above_zero(sums):
    prior = np.full((16, 16), 3.0)
    posterior = Posterior(prior=Structure.of(prior), sums=sums, mixture=Mixture(0.5, 0.7, 0.1))
    assert posterior.probability.min() >= 0
    assert posterior.probability.max() <= 1
    assert posterior.credible_width.min() > 0


@pytest.mark.parametrize("share", [0.3, 0.8, 1.2], ids=["crowds", "fewer", "one each"])
def test_a_known_probability_of_occupation_is_kept_and_drawn(share):
    mean = np.random.default_rng(0).random((16, 16))
    probability = np.minimum(share * -np.expm1(-mean), mean)
    structure = Structure.of(mean, probability)
    np.testing.assert_allclose(structure.probability, probability)
    posterior = Posterior(prior=structure, sums=None, mixture=Mixture(0.0, 0.0, 0.0))
    assert_draws_follow_maps(posterior)


def test_poisson_numbers_are_a_special_case():
    mean = np.random.default_rng(0).random((16, 16)) * 3
    structure = Structure.of(mean, -np.expm1(-mean))
    np.testing.assert_allclose(structure.variance, mean, rtol=1e-6)


@pytest.mark.parametrize(("mean", "probability"), [(0.2, 0.7), (0.0, 0.3), (0.4, 0.0), (2.5, 1.0)])
def test_contradictions_are_settled_by_the_mean(mean, probability):
    structure = Structure.of(np.full((8, 8), mean), np.full((8, 8), probability))
    assert np.all(structure.probability <= np.minimum(structure.mean, 1))
    assert np.all((structure.probability > 0) == (mean > 0))
    assert np.all(np.isfinite(structure.variance))
    draws = np.stack([structure.draw(np.random.default_rng(n)) for n in range(200)])
    assert draws.mean() == pytest.approx(mean, abs=0.06)
