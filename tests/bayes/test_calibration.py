"""Calibration against the cases whose answer is known."""

import pytest
import torch

from bayes.calibration import (
    choose_temperature,
    coverage_level,
    gaussian_log_density,
    variance_scale,
)
from utils.checks import InputError


def normal(n=200_000, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_calibrated_errors_are_covered_at_the_nominal_level(level):
    assert coverage_level(normal(), level) == pytest.approx(level, abs=0.005)


def test_overconfident_errors_are_covered_less_and_the_scale_repairs_them():
    z = 2 * normal()
    assert coverage_level(z) < 0.65
    scale = variance_scale(z)
    assert scale == pytest.approx(4, rel=0.02)
    assert coverage_level(z / scale**0.5) == pytest.approx(0.9, abs=0.005)


def test_variance_scale_maximises_the_likelihood():
    target, variance = 1.7 * normal(1000), torch.rand(1000) + 0.5
    mean = torch.zeros(1000)
    best = variance_scale((target - mean) / variance.sqrt())
    densities = [
        gaussian_log_density(target, mean, factor * best * variance).mean()
        for factor in (0.97, 1.0, 1.03)
    ]
    assert densities[1] > densities[0]
    assert densities[1] > densities[2]


def test_log_density_equals_torch_distributions():
    target, mean, variance = normal(50), normal(50, 1), normal(50, 2).square() + 0.1
    expected = torch.distributions.Normal(mean, variance.sqrt()).log_prob(target)
    torch.testing.assert_close(gaussian_log_density(target, mean, variance), expected)


def test_temperature_of_the_best_finite_density_is_chosen():
    nan = float("nan")
    assert choose_temperature({1.0: 1.2, 10.0: 1.5, 30.0: 0.4, 100.0: nan}) == 10.0
    assert choose_temperature({10.0: 1.5, 3.0: 1.5}) == 3.0
    with pytest.raises(InputError, match="finite"):
        choose_temperature({1.0: nan, 10.0: -float("inf")})


def test_no_pixels_are_refused():
    for function in (coverage_level, variance_scale):
        with pytest.raises(InputError, match="at least one pixel"):
            function(torch.empty(0))
