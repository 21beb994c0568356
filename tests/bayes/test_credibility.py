"""Credibility, exceedance, intervals and draws against scipy, torch.distributions and sampling."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from bayesdl_sim.bayes.credibility import (
    credibility,
    draws,
    exceedance,
    interval,
    trust_maps,
)
from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.utils.errors import InputError


def maps(seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(3, 20, 30, generator=g, dtype=dtype)
    return mean, 0.01 + torch.rand(3, 20, 30, generator=g, dtype=dtype)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_credibility_is_the_probability_of_a_small_error():
    mean, total = maps()
    law = stats.norm(mean.numpy(), total.numpy())
    expected = law.cdf(mean.numpy() + 0.3) - law.cdf(mean.numpy() - 0.3)
    np.testing.assert_allclose(credibility(total, 0.3).numpy(), expected, atol=1e-12)


def test_exceedance_is_the_upper_tail():
    mean, total = maps(1)
    expected = stats.norm(mean.numpy(), total.numpy()).sf(0.5)
    np.testing.assert_allclose(exceedance(mean, total, 0.5).numpy(), expected, atol=1e-12)
    theirs = 1 - torch.distributions.Normal(mean, total).cdf(torch.tensor(0.5).double())
    torch.testing.assert_close(exceedance(mean, total, 0.5), theirs)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_interval_is_scipys(level):
    mean, total = maps(2)
    expected = stats.norm(mean.numpy(), total.numpy()).interval(level)
    for bound, end in zip(interval(mean, total, level), expected, strict=True):
        np.testing.assert_allclose(bound.numpy(), end, rtol=1e-12)


def test_float32_keeps_small_uncertainties():
    mean, total = (image.float() for image in maps(3))
    total = total / 1000
    expected = credibility(total.double())
    torch.testing.assert_close(credibility(total).double(), expected, atol=1e-6, rtol=0)


def test_no_uncertainty_is_certainty():
    mean, zero = torch.tensor([0.2, 0.5, 0.8]), torch.zeros(3)
    assert credibility(zero).tolist() == [1, 1, 1]
    assert exceedance(mean, zero, 0.5).tolist() == [0, 0, 1]
    assert torch.equal(interval(mean, zero)[0], mean)
    assert torch.equal(draws(mean, zero, 2, generator())[1], mean)


def test_draws_have_the_predictive_distribution_and_come_from_the_generator():
    mean, total = maps(4)
    state = torch.get_rng_state()
    images = draws(mean, total, 400, generator(7))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, draws(mean, total, 400, generator(7)))
    assert not torch.equal(images, draws(mean, total, 400, generator(8)))
    z = ((images - mean) / total).flatten()
    assert stats.kstest(z[::7].numpy(), "norm").pvalue > 1e-3
    # What the maps promise is what the draws do: the share within delta, above t, inside 90 %.
    within = ((images - mean).abs() < 0.3).double().mean(0)
    error = within - credibility(total, 0.3)
    assert abs(float(error.mean())) < 4 * 0.5 / math.sqrt(images.numel())
    above = (images > 0.5).double().mean(0) - exceedance(mean, total, 0.5)
    assert abs(float(above.mean())) < 4 * 0.5 / math.sqrt(images.numel())
    lower, upper = interval(mean, total, 0.9)
    inside = ((images >= lower) & (images <= upper)).double().mean()
    assert float(inside) == pytest.approx(0.9, abs=4 * 0.3 / math.sqrt(images.numel()))


def test_moment_matching_is_close_to_the_mixture_of_members():
    """Eight members, the epistemic part 0.3 of the total: the two laws differ by 0.01 at most."""
    g = np.random.default_rng(0)
    members, epistemic = 8, 0.3
    offsets = g.normal(size=(members, 2000))
    offsets = (offsets - offsets.mean(0)) / offsets.std(0, ddof=1) * epistemic
    sigma = math.sqrt(1 - epistemic**2)
    for delta in (0.3, 1.0, 2.0):
        mixture = (
            stats.norm.cdf((delta - offsets) / sigma) - stats.norm.cdf((-delta - offsets) / sigma)
        ).mean(0)
        ours = float(credibility(torch.ones(()).double(), delta))
        assert np.abs(mixture - ours).max() < 0.01


def test_more_uncertainty_less_credibility():
    total = torch.logspace(-3, 1, 50, dtype=torch.float64)
    assert (credibility(total).diff() <= 0).all()
    assert float(credibility(torch.tensor(DELTA))) == pytest.approx(0.6827, abs=1e-4)


def test_maps_of_a_result_carry_the_names_of_their_channels():
    mean, total = maps(5)
    named_maps = trust_maps(mean, total, generator(1), 0.2, threshold=0.1, count=2)
    assert list(named_maps) == ["Credibility", "Exceedance", "Draw 1", "Draw 2"]
    torch.testing.assert_close(named_maps["Credibility"], credibility(total, 0.2))
    torch.testing.assert_close(named_maps["Exceedance"], exceedance(mean, total, 0.1))
    assert torch.equal(named_maps["Draw 2"], draws(mean, total, 2, generator(1))[1])
    assert list(trust_maps(mean, total, generator())) == ["Credibility"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda mean, total: credibility(total, 0.0),
        lambda mean, total: credibility(-total),
        lambda mean, total: credibility(total * math.nan),
        lambda mean, total: exceedance(mean, total[0], 0.5),
        lambda mean, total: interval(mean, total, 1.0),
        lambda mean, total: draws(mean, total, 0, generator()),
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InputError):
        wrong(*maps())
