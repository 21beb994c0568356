"""Likelihoods against torch.distributions, and the bounds of the log-variance."""

import numpy as np
import pytest
import torch
from scipy import stats

from bayesdl_sim.bayes.likelihoods import (
    LIKELIHOODS,
    find_likelihood,
    gauss_nll,
    interval_half_width,
    laplace_nll,
    standard_deviation,
    student_nll,
)
from bayesdl_sim.utils.errors import InputError


def maps(seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 1, 6, 8, generator=g, dtype=dtype) for _ in range(3)]


def test_gauss_nll_equals_torch_distributions_with_its_gradients():
    mean, log_var, target = maps(dtype=torch.float64)
    mean.requires_grad_()
    log_var.requires_grad_()
    ours = gauss_nll(mean, log_var, target)
    theirs = -torch.distributions.Normal(mean, (0.5 * log_var).exp()).log_prob(target).mean()
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(
        torch.autograd.grad(ours, (mean, log_var)),
        torch.autograd.grad(theirs, (mean, log_var)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def student_maps(seed=0, dtype=torch.float64):
    """log-precision and log-degrees of freedom, these between 2.1 and 150."""
    mean, log_precision, target = maps(seed, dtype)
    g = torch.Generator().manual_seed(seed + 9)
    log_freedom = 0.75 + 4.2 * torch.rand(log_precision.shape, generator=g, dtype=dtype)
    return mean, torch.cat([log_precision, log_freedom], dim=1), target


def distribution(kind, mean, parameters):
    """The same law as torch or scipy parametrise it."""
    if kind == "gauss":
        return torch.distributions.Normal(mean, (0.5 * parameters).exp())
    if kind == "laplace":
        return torch.distributions.Laplace(mean, parameters.exp())
    log_precision, log_freedom = parameters.split(1, dim=1)
    return torch.distributions.StudentT(log_freedom.exp(), mean, (-0.5 * log_precision).exp())


def case(kind, seed=0):
    return student_maps(seed) if kind == "student" else maps(seed, torch.float64)


@pytest.mark.parametrize("kind", sorted(LIKELIHOODS))
def test_every_likelihood_equals_torch_distributions(kind):
    mean, parameters, target = case(kind)
    mean.requires_grad_()
    parameters.requires_grad_()
    law = distribution(kind, mean, parameters)
    ours, theirs = LIKELIHOODS[kind].nll(mean, parameters, target), -law.log_prob(target).mean()
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(
        torch.autograd.grad(ours, (mean, parameters)),
        torch.autograd.grad(theirs, (mean, parameters)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(standard_deviation(kind, parameters), law.stddev)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", sorted(LIKELIHOODS))
def test_interval_holds_its_probability(kind, level):
    _, parameters, _ = case(kind, 3)
    half = LIKELIHOODS[kind].half_width(parameters, level)
    assert half.shape == (2, 1, 6, 8)
    if kind == "student":  # torch's Student-t has no distribution function
        log_precision, log_freedom = (p.numpy() for p in parameters.split(1, dim=1))
        law = stats.t(np.exp(log_freedom), scale=np.exp(-0.5 * log_precision))
        inside = law.cdf(half.numpy()) - law.cdf(-half.numpy())
    else:
        law = distribution(kind, torch.zeros_like(parameters), parameters)
        inside = (law.cdf(half) - law.cdf(-half)).numpy()
    np.testing.assert_allclose(inside, level, rtol=1e-9)


@pytest.mark.parametrize("kind", ["laplace", "student"])
def test_other_likelihoods_are_computed_in_float32(kind):
    mean, parameters, target = (image.bfloat16() for image in case(kind, 2))
    loss = LIKELIHOODS[kind].nll(mean, parameters, target)
    assert loss.dtype == torch.float32
    full = LIKELIHOODS[kind].nll(mean.float(), parameters.float(), target.float())
    torch.testing.assert_close(loss, full)


def test_laplace_deviation_is_that_of_its_draws():
    """sqrt(2) b, not b."""
    torch.manual_seed(0)
    draws = torch.distributions.Laplace(0.0, 0.25).sample((200_000,))
    deviation = standard_deviation("laplace", torch.full((1, 1, 1, 1), 0.25).log()).item()
    assert deviation == pytest.approx(draws.std().item(), rel=0.01)


def test_student_has_no_finite_deviation_up_to_two_degrees_of_freedom():
    freedom = torch.tensor([1.0, 2.0, 4.0]).log().view(1, 1, 1, 3)
    parameters = torch.cat([torch.zeros(1, 1, 1, 3), freedom], dim=1)
    deviation = standard_deviation("student", parameters).flatten()
    assert torch.isinf(deviation[:2]).all()
    assert deviation[2].item() == pytest.approx(2**0.5)


def test_student_becomes_gauss_for_many_degrees_of_freedom():
    mean, log_precision, target = maps(4, torch.float64)
    many = torch.full_like(log_precision, 18.0)
    ours = student_nll(mean, torch.cat([log_precision, many], dim=1), target)
    torch.testing.assert_close(ours, gauss_nll(mean, -log_precision, target), rtol=1e-6, atol=0)


def test_other_likelihoods_refuse_wrong_maps():
    one, other = torch.zeros(2, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    with pytest.raises(InputError, match="the same shape"):
        laplace_nll(one, one, other)
    with pytest.raises(InputError, match="the same shape"):
        student_nll(one, torch.zeros(2, 2, 4, 4), other)
    with pytest.raises(InputError, match="takes two maps"):
        student_nll(one, one, one)


def test_best_log_variance_is_the_mean_square_error():
    """The minimum over one common log-variance is the maximum-likelihood variance."""
    mean, _, target = maps(1, torch.float64)
    log_var = (target - mean).square().mean().log().expand_as(mean).clone().requires_grad_()
    gauss_nll(mean, log_var, target).backward()
    assert float(log_var.grad.sum()) == pytest.approx(0, abs=1e-12)


def test_gauss_nll_is_computed_in_float32():
    mean, log_var, target = (image.bfloat16() for image in maps(2))
    loss = gauss_nll(mean, log_var, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, gauss_nll(mean.float(), log_var.float(), target.float()))


def test_gauss_nll_refuses_maps_that_would_broadcast():
    with pytest.raises(InputError, match="the same shape"):
        gauss_nll(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("level", [0.5, 0.683, 0.9, 0.95, 0.999])
def test_half_width_is_the_gaussian_quantile(level):
    assert interval_half_width(level) == pytest.approx(stats.norm.ppf(0.5 + level / 2))


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_half_width_refuses_what_is_no_probability(level):
    with pytest.raises(InputError, match="between 0 and 1"):
        interval_half_width(level)


def test_registry():
    log_var = torch.tensor([[0.0, 2.0]]).bfloat16()
    torch.testing.assert_close(
        standard_deviation("gauss", log_var), torch.tensor([[0.0, 1.0]]).exp()
    )
    assert set(LIKELIHOODS) == {"gauss", "laplace", "student"}
    assert find_likelihood("gauss").nll is gauss_nll
    with pytest.raises(InputError, match="choose one of gauss, laplace, student"):
        find_likelihood("cauchy")
