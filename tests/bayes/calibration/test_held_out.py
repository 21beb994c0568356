"""Calibration against the cases whose answer is known."""

import pytest
import torch

from bayesdl_sim.bayes.calibration.held_out import (
    choose_temperature,
    gaussian_log_density,
    held_out_log_density,
    ratio_of_means,
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


def test_temperature_of_the_best_finite_density_is_chosen():
    nan = float("nan")
    assert choose_temperature({1.0: 1.2, 10.0: 1.5, 30.0: 0.4, 100.0: nan}) == 10.0
    assert choose_temperature({10.0: 1.5, 3.0: 1.5}) == 3.0
    with pytest.raises(InputError, match="finite"):
        choose_temperature({1.0: nan, 10.0: -float("inf")})


def test_variance_scale_repairs_overconfidence():
    z = 2.0 * torch.randn(100_000, generator=torch.Generator().manual_seed(4))
    assert variance_scale(z) == pytest.approx(4.0, rel=0.02)
    repaired = z / variance_scale(z) ** 0.5
    assert float((repaired.abs() <= 1.645).float().mean()) == pytest.approx(0.9, abs=0.005)
    with pytest.raises(InputError):
        variance_scale(torch.empty(0))


def test_held_out_density_rewards_a_spread_that_lies_where_the_errors_are():
    generator = torch.Generator().manual_seed(5)
    width = torch.where(torch.rand(50_000, generator=generator) < 0.5, 0.01, 0.2)
    error = width * torch.randn(50_000, generator=generator)
    told = held_out_log_density(error, width**2)
    silent = held_out_log_density(error, torch.zeros_like(error))
    wrong = held_out_log_density(error, width.flip(0) ** 2)
    assert told > silent + 0.3
    assert silent > wrong
    # the silent one is the Gaussian of the mean square error
    expected = -0.5 * (torch.log(2 * torch.pi * error.square().mean()) + 1).item()
    assert silent == pytest.approx(expected, abs=1e-3)


def test_ratio_of_means_states_its_own_scatter():
    generator = torch.Generator().manual_seed(0)
    sizes = {"numerator": (2.0, 80), "denominator": (0.5, 120)}  # mean, draws
    found = []
    for _ in range(1500):
        draws = {
            name: (mean * torch.rand(number, generator=generator) ** 2 * 3).tolist()
            for name, (mean, number) in sizes.items()
        }
        found.append(ratio_of_means(**draws))
    values, errors = torch.tensor(found).T
    assert values.mean().item() == pytest.approx(4.0, rel=0.02)
    assert errors.mean().item() == pytest.approx(values.std().item(), rel=0.08)


def test_ratio_of_means_needs_a_spread():
    with pytest.raises(InputError, match="two numbers"):
        ratio_of_means([1.0, 2.0], [1.0])
