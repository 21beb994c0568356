"""Brightness integrated out, against quadrature."""

import numpy as np
import pytest
from scipy.integrate import quad, trapezoid
from scipy.stats import kstest, norm, truncnorm

from bayesdl_sim.dlbi.sampling.brightness import (
    Brightness,
    TruncatedNormal,
    first_law,
    pair_evidence,
    sample_above_zero,
    second_law,
    single_law,
)

PRIOR = Brightness(5.0, 2.0)


def prior_density(a):
    return norm.pdf(a, PRIOR.mean, PRIOR.spread) / norm.cdf(PRIOR.mean / PRIOR.spread)


@pytest.mark.parametrize(("field", "gram"), [(0.0, 0.1), (3.0, 0.5), (-4.0, 0.3), (8.0, 2.0)])
def test_log_odds_equal_quadrature(field, gram):
    def integrand(a):
        return prior_density(a) * np.exp(a * field - a * gram * a / 2)

    expected, _ = quad(integrand, 0, 60, points=[field / gram if field > 0 else 1.0])
    log_odds, _ = single_law(np.array(field), np.array(gram), PRIOR)
    assert log_odds == pytest.approx(np.log(expected), abs=1e-7)


def test_frames_that_say_nothing_have_even_odds():
    log_odds, law = single_law(np.zeros(3), np.zeros(3), PRIOR)
    np.testing.assert_allclose(log_odds, 0, atol=1e-12)
    np.testing.assert_allclose(law.mean, PRIOR.mean)
    np.testing.assert_allclose(1 / law.root_precision, PRIOR.spread)


@pytest.mark.parametrize("mean", [4.0, 0.3, -2.0])
def test_draws_follow_the_cut_off_law(mean):
    law = TruncatedNormal(np.full(4000, mean), np.full(4000, 1 / 1.5))
    draws = sample_above_zero(law, np.random.default_rng(0))
    expected = truncnorm(-mean / 1.5, np.inf, loc=mean, scale=1.5)
    assert kstest(draws, expected.cdf).pvalue > 1e-3


def test_pair_evidence_equals_quadrature():
    fields, gram = np.array([6.0, 4.0]), np.array([0.8, 0.7, 0.3])

    a, b = np.mgrid[0:30:600j, 0:30:600j]
    light = a * fields[0] + b * fields[1]
    light -= (a * a * gram[0] + b * b * gram[1]) / 2 + a * b * gram[2]
    density = prior_density(a) * prior_density(b) * np.exp(light)
    both_emit = trapezoid(trapezoid(density, dx=30 / 599), dx=30 / 599)
    evidence = pair_evidence(fields, gram, PRIOR)
    assert evidence[0] == 0
    for index in range(2):
        alone, _ = single_law(fields[index], gram[index], PRIOR)
        assert evidence[1 + index] == pytest.approx(float(alone), abs=1e-12)
    # The cut-offs count as independent: exact only where they hardly matter.
    assert evidence[3] == pytest.approx(np.log(both_emit), abs=2e-2)


def test_pair_without_overlap_is_two_singles():
    fields, gram = np.array([[6.0], [4.0]]), np.array([[0.8], [0.7], [0.0]])
    evidence = pair_evidence(fields, gram, PRIOR)
    np.testing.assert_allclose(evidence[3], evidence[1] + evidence[2])


def test_laws_of_a_pair_are_those_of_the_joint_normal():
    fields, gram = np.array([[6.0], [4.0]]), np.array([[0.8], [0.7], [0.3]])
    precision = np.array([[0.8, 0.3], [0.3, 0.7]]) + np.eye(2) / PRIOR.spread**2
    pull = fields[:, 0] + PRIOR.mean / PRIOR.spread**2
    mean, covariance = np.linalg.solve(precision, pull), np.linalg.inv(precision)
    first = first_law(fields, gram, np.array([True]), PRIOR)
    assert first.mean[0] == pytest.approx(mean[0])
    assert first.root_precision[0] ** -2 == pytest.approx(covariance[0, 0])
    second = second_law(fields, gram, np.array([3.0]), PRIOR)
    expected = mean[1] + covariance[0, 1] / covariance[0, 0] * (3.0 - mean[0])
    assert second.mean[0] == pytest.approx(expected)


def test_first_law_without_a_second_emission_is_single():
    fields, gram = np.array([[6.0], [4.0]]), np.array([[0.8], [0.7], [0.3]])
    law = first_law(fields, gram, np.array([False]), PRIOR)
    _, alone = single_law(fields[0], gram[0], PRIOR)
    np.testing.assert_allclose(law.mean, alone.mean)
