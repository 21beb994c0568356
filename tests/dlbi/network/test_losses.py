"""The loss: what it asks for, and what it does not care about."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.network.losses import SIGMA, blurred, losses_of
from bayesdl_sim.dlbi.network.unrolled import Structure


@pytest.fixture
def sample(samples):
    return samples[0]


def perfect(sample):
    """The structure that knows the truth."""
    truth = sample.fluorophores * sample.brightness[:, None, None]
    pooled = torch.nn.functional.avg_pool2d
    return Structure(
        light=truth,
        first=truth,
        light_4x=4 * pooled(truth[:, None], 2)[:, 0],
        light_2x=16 * pooled(truth[:, None], 4)[:, 0],
        occupied=torch.where(sample.fluorophores > 0, 30.0, -30.0),
        log_brightness=sample.brightness.log(),
    )


def test_the_truth_is_the_minimum(sample):
    losses = losses_of(perfect(sample), sample)
    assert float(losses.total) < 5e-3
    assert float(losses.occupied) < 1e-6
    assert float(losses.brightness) == 0


@pytest.mark.parametrize("name", ["light", "first", "light_4x", "light_2x", "occupied"])
def test_every_output_is_asked_for(sample, name):
    best = perfect(sample)
    wrong = replace(best, **{name: torch.zeros_like(getattr(best, name))})
    assert float(losses_of(wrong, sample).total) > float(losses_of(best, sample).total) + 0.05


def test_brightness_is_asked_for_as_a_ratio(sample):
    best = perfect(sample)
    doubled = replace(best, log_brightness=best.log_brightness + np.log(2))
    halved = replace(best, log_brightness=best.log_brightness - np.log(2))
    errors = [float(losses_of(wrong, sample).brightness) for wrong in (doubled, halved)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-4)
    assert errors[0] > 0.1


def test_a_shift_far_below_the_resolution_costs_little(sample):
    best = perfect(sample)

    def shifted(pixels):
        return float(losses_of(replace(best, light=best.light.roll(pixels, 2)), sample).image)

    assert shifted(1) < 0.6
    assert shifted(6) > 2 * shifted(1)


def test_the_error_is_relative(sample):
    # Twice as bright a cell, estimated twice as bright, has the same error.
    half = perfect(sample)
    half = replace(half, light=0.5 * half.light)
    brighter = replace(sample, brightness=2 * sample.brightness)
    doubled = replace(half, light=2 * half.light)
    first, second = (
        float(losses_of(half, sample).image),
        float(losses_of(doubled, brighter).image),
    )
    assert first == pytest.approx(second, rel=0.02)
    assert first == pytest.approx(0.5, abs=0.02)


def test_blur_is_that_of_80_nm_at_20_nm():
    assert pytest.approx(80, rel=0.01) == SIGMA * 20 * 2.3548
    flat = blurred(torch.ones((1, 60, 60)), SIGMA)
    assert float(flat[0, 30, 30]) == pytest.approx(1, rel=1e-4)
    assert float(flat[0, 0, 30]) == pytest.approx(0.61, abs=0.03)
