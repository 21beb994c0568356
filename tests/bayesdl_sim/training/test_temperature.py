"""The temperature that predicts held-out pixels best, on densities whose order is known."""

import pytest
import torch

from bayesdl_sim.training.temperature import choose_temperature, held_out_log_density
from bayesdl_sim.utils.errors import InputError


def test_temperature_of_the_best_finite_density_is_chosen():
    nan = float("nan")
    assert choose_temperature({1.0: 1.2, 10.0: 1.5, 30.0: 0.4, 100.0: nan}) == 10.0
    assert choose_temperature({10.0: 1.5, 3.0: 1.5}) == 3.0
    with pytest.raises(InputError, match="finite"):
        choose_temperature({1.0: nan, 10.0: -float("inf")})


def test_held_out_density_rewards_a_spread_that_lies_where_the_errors_are():
    generator = torch.Generator().manual_seed(5)
    width = torch.where(torch.rand(50_000, generator=generator) < 0.5, 0.01, 0.2)
    error = width * torch.randn(50_000, generator=generator)
    log_density = held_out_log_density(error, width**2)
    silent = held_out_log_density(error, torch.zeros_like(error))
    wrong = held_out_log_density(error, width.flip(0) ** 2)
    assert log_density > silent + 0.3
    assert silent > wrong
    # the silent one is the Gaussian of the mean square error
    expected = -0.5 * (torch.log(2 * torch.pi * error.square().mean()) + 1).item()
    assert silent == pytest.approx(expected, abs=1e-3)
