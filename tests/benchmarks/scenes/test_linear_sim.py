"""The whole Bayesian chain where the truth is known: a linear-Gaussian SIM problem."""

import math

import pytest
import torch

from bayesdl_sim.bayes.credibility import interval
from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.benchmarks.scenes.linear_sim import (
    closed_form,
    linear_members,
    linear_sim,
    sample_weights,
)

torch.set_num_threads(1)
FIELDS, CHAINS = 150, 2500


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def problem():
    return linear_sim()


@pytest.fixture(scope="module")
def learnt(problem):
    """The training fields, and members drawn after them."""
    raw, target = problem.sample(FIELDS, generator(1))
    draws = sample_weights(problem, raw, target, CHAINS, generator(2))
    return raw, target, linear_members(problem, draws)


def test_the_problem_is_what_it_says(problem):
    """Samples have the stated best reconstruction and the stated residual variance."""
    raw, target = problem.sample(100_000, generator(3))
    fitted = torch.linalg.lstsq(raw, target).solution.T
    torch.testing.assert_close(fitted, problem.weights, atol=0.03, rtol=0)
    rest = (target - raw @ problem.weights.T).var(dim=0)
    torch.testing.assert_close(rest, problem.residual, atol=0, rtol=0.02)
    assert (problem.residual > 0.05).all()
    assert (problem.residual < 0.9).all()


def test_without_fringes_less_is_known():
    fringes, flat = linear_sim().residual, linear_sim(modulation=0.0).residual
    assert (fringes < flat - 0.01).all()


def test_epistemic_variance_is_the_closed_form(problem, learnt):
    raw, target, members = learnt
    new, _ = problem.sample(50, generator(4))
    prediction = predict(members, new)
    mean, covariance = closed_form(problem, raw, target)
    expected = torch.einsum("np,jpq,nq->nj", new, covariance, new)
    ratio = prediction.epistemic.square() / expected
    average, low, high = (float(value) for value in (ratio.mean(), ratio.min(), ratio.max()))
    print(f"epistemic^2 over x' Sigma x: mean {average} from {low} to {high}")
    assert (ratio - 1).abs().max() < 0.15
    assert ((prediction.mean - new @ mean.T) / expected.sqrt()).abs().max() < 0.15


def test_total_variance_is_that_of_a_monte_carlo_run(problem, learnt):
    """Weights from the exact posterior, then noise: the spread of what could be measured."""
    raw, target, members = learnt
    new, _ = problem.sample(20, generator(5))
    mean, covariance = closed_form(problem, raw, target)
    g, count = generator(6), 100_000
    normal = torch.randn(count, 4, 9, generator=g, dtype=torch.float64)
    weights = mean + torch.einsum("jpq,kjq->kjp", torch.linalg.cholesky(covariance), normal)
    means = torch.einsum("kjp,np->knj", weights, new)
    noise = torch.randn(means.shape, generator=g, dtype=torch.float64) * problem.residual.sqrt()
    ratio = predict(members, new).total.square() / (means + noise).var(dim=0)
    print("total^2 over Monte Carlo: from", float(ratio.min()), "to", float(ratio.max()))
    assert (ratio - 1).abs().max() < 0.02


def test_ninety_per_cent_of_new_targets_are_covered(problem, learnt):
    _, _, members = learnt
    new, truth = problem.sample(20_000, generator(7))
    prediction = predict(members[:200], new)
    lower, upper = interval(prediction.mean, prediction.total, 0.9)
    covered = float(((truth >= lower) & (truth <= upper)).double().mean())
    print("coverage", covered)
    assert covered == pytest.approx(0.9, abs=0.01)


def test_epistemic_variance_falls_as_one_over_the_number_of_fields(problem):
    new, _ = problem.sample(40, generator(8))
    sizes, variances = [100, 400, 1600, 6400], []
    for size in sizes:
        raw, target = problem.sample(size, generator(size))
        draws = sample_weights(problem, raw, target, 200, generator(9))
        prediction = predict(linear_members(problem, draws), new)
        variances.append(float(prediction.epistemic.square().mean()))
    slope = math.log(variances[-1] / variances[0]) / math.log(sizes[-1] / sizes[0])
    print("slope", slope)
    assert slope == pytest.approx(-1, abs=0.05)
