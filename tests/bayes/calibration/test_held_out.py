"""Calibration against the cases whose answer is known."""

import pytest
import torch

from bayesdl_sim.bayes.calibration.held_out import (
    gaussian_log_density,
    variance_scale,
)
from bayesdl_sim.utils.errors import InputError


def normal(n=200_000, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


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


def test_variance_scale_repairs_overconfidence():
    z = 2.0 * torch.randn(100_000, generator=torch.Generator().manual_seed(4))
    assert variance_scale(z) == pytest.approx(4.0, rel=0.02)
    repaired = z / variance_scale(z) ** 0.5
    assert float((repaired.abs() <= 1.645).float().mean()) == pytest.approx(0.9, abs=0.005)
    with pytest.raises(InputError):
        variance_scale(torch.empty(0))
