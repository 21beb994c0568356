"""Scores of distributions against other packages, their definitions and cases with an answer."""

import numpy as np
import pytest
import scoringrules
import uncertainty_toolbox as uct
from scipy.special import ndtr

from bayesdl_sim.metrics.distributions import (
    QUANTILES,
    REMOVED,
    crps_ensemble,
    crps_gaussian,
    ence,
    nll_gaussian,
    observed_frequency,
    quantile_calibration_error,
    sharpness,
    sparsification,
)
from bayesdl_sim.utils.errors import InputError


def pixels(n=4000, seed=0, factor=1.0):
    """Errors whose true sigma is `factor` times the stated one."""
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.05, 0.4, n)
    return factor * sigma * rng.normal(size=n), sigma


def test_scores_equal_those_of_uncertainty_toolbox():
    error, sigma = pixels(800, factor=1.4)
    mean = np.linspace(0, 1, 800)
    arguments = (mean, sigma, mean + error)
    assert nll_gaussian(error, sigma) == pytest.approx(uct.nll_gaussian(*arguments), abs=1e-9)
    assert crps_gaussian(error, sigma) == pytest.approx(uct.crps_gaussian(*arguments), abs=1e-9)
    assert sharpness(sigma) == pytest.approx(uct.sharpness(sigma), abs=1e-12)
    # Its 101 levels hold 0 and 1, where the difference is nothing.
    expected = uct.mean_absolute_calibration_error(*arguments, num_bins=101, prop_type="quantile")
    calibration_error = quantile_calibration_error(ndtr(error / sigma))
    assert calibration_error * 99 / 101 == pytest.approx(expected, abs=1e-3)
    assert calibration_error > 0.03


def test_crps_equals_scoringrules():
    rng = np.random.default_rng(1)
    target, mean, sigma = rng.normal(size=(2, 50)).tolist() + [rng.uniform(0.1, 2, 50)]
    target, mean = np.array(target), np.array(mean)
    expected = scoringrules.crps_normal(target, mean, sigma).mean()
    assert crps_gaussian(target - mean, sigma) == pytest.approx(expected, abs=1e-9)
    draws = rng.normal(size=(7, 50))
    fair = scoringrules.crps_ensemble(target, draws.T, estimator="fair").mean()
    assert crps_ensemble(target, draws) == pytest.approx(fair, abs=1e-9)


def test_fair_crps_does_not_depend_on_the_number_of_draws():
    rng = np.random.default_rng(2)
    target = rng.normal(size=40_000)
    exact = crps_gaussian(target, np.ones_like(target))
    for number in (2, 5, 20):
        score = crps_ensemble(target, rng.normal(size=(number, target.size)))
        assert score == pytest.approx(exact, rel=0.02)


def test_crps_and_nll_are_best_for_the_true_sigma():
    error, sigma = pixels(20_000)
    for score in (nll_gaussian, crps_gaussian):
        values = [score(error, factor * sigma) for factor in (0.8, 1.0, 1.25)]
        assert values[1] < min(values[0], values[2])


def test_observed_frequency_counts():
    frequency = observed_frequency([0.1, 0.4, 0.4, 0.9], [0.1, 0.39, 0.4, 1])
    np.testing.assert_allclose(frequency, [0.25, 0.25, 0.75, 1])
    error, sigma = pixels(50_000)
    np.testing.assert_allclose(observed_frequency(ndtr(error / sigma)), QUANTILES, atol=0.01)
    assert quantile_calibration_error(ndtr(error / sigma)) < 0.004
    assert quantile_calibration_error(ndtr(2 * error / sigma)) > 0.05
    with pytest.raises(InputError, match="between 0 and 1"):
        observed_frequency([0.2, float("nan")])


def ence_by_hand(error, sigma, bins):
    order = np.argsort(sigma)
    size = len(sigma) // bins
    terms = []
    for b in range(bins):
        part = order[b * size : (b + 1) * size]
        rmv, rmse = np.sqrt(np.mean(sigma[part] ** 2)), np.sqrt(np.mean(error[part] ** 2))
        terms.append(abs(rmv - rmse) / rmv)
    return np.mean(terms)


def test_ence_is_its_definition_and_knows_a_factor():
    error, sigma = pixels(4000, factor=1.3)
    assert ence(error, sigma, 20) == pytest.approx(ence_by_hand(error, sigma, 20), abs=1e-12)
    error, sigma = pixels(100_000, factor=1.3)
    assert ence(error, sigma) == pytest.approx(0.3, abs=0.01)
    assert ence(error, 1.3 * sigma) < 0.02
    with pytest.raises(InputError, match="20 bins"):
        ence(error[:5], sigma[:5])


def test_sparsification_of_the_best_the_worst_and_a_useless_order():
    error, sigma = pixels(5000)
    best = sparsification(error, np.abs(error) + 1e-9)
    assert best.ause == pytest.approx(0, abs=1e-9)
    assert best.aurg > 0.5
    useless = sparsification(error, np.ones_like(sigma))
    np.testing.assert_allclose(useless.by_sigma, 1)
    assert useless.aurg == pytest.approx(0, abs=1e-9)
    by_sigma = sparsification(error, sigma)
    assert 0 < by_sigma.ause < useless.ause
    assert sparsification(error, 1 / sigma).aurg < -0.05
    # AUSE and AURG share the area between the oracle and random removal
    assert by_sigma.ause + by_sigma.aurg == pytest.approx(useless.ause, abs=1e-9)


def test_sparsification_by_hand():
    error, sigma = np.arange(1.0, 101.0), np.arange(1.0, 101.0)
    curve = sparsification(error, sigma)
    half = np.searchsorted(REMOVED, 0.5)
    kept = round((1 - REMOVED[half]) * 100)
    expected = np.sqrt(np.mean(error[:kept] ** 2) / np.mean(error**2))
    assert curve.by_sigma[half] == pytest.approx(expected)


def test_order_of_the_pixels_means_nothing():
    error, sigma = pixels(999)
    sigma = sigma.round(1)  # ties
    order = np.random.default_rng(3).permutation(999)
    first, second = sparsification(error, sigma), sparsification(error[order], sigma[order])
    np.testing.assert_allclose(first.by_sigma, second.by_sigma)


@pytest.mark.parametrize("sigma", [[0.0, 1.0], [-1.0, 1.0], [float("inf"), 1.0], [1.0]])
def test_scores_refuse_what_is_no_standard_deviation(sigma):
    for score in (nll_gaussian, crps_gaussian, sparsification):
        with pytest.raises(InputError, match="standard deviation"):
            score([0.1, 0.2], sigma)
    with pytest.raises(InputError, match="2 draws"):
        crps_ensemble([1.0], [[1.0]])
