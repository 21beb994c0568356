"""What a distilled network is fitted to, and what its two variances become."""

import math

import pytest
import torch

from bayesdl_sim.bayes.distillation import distillation_loss, log_variances
from bayesdl_sim.bayes.likelihoods import DISTILLED, find_likelihood, standard_deviation
from bayesdl_sim.bayes.prediction import predict, predict_nested
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def teacher():
    """Mean, aleatoric and epistemic deviation of two patches, (2, 1, 8, 8) each."""
    generator = torch.Generator().manual_seed(0)
    mean, a, e = (torch.rand((2, 1, 8, 8), generator=generator) for _ in range(3))
    return mean, 0.01 + 0.1 * a, 0.01 + 0.1 * e


def test_the_teacher_itself_has_no_loss(teacher):
    mean, aleatoric, epistemic = teacher
    parameters = log_variances(aleatoric, epistemic)
    terms = distillation_loss(mean, parameters, mean, parameters)
    assert [float(term) for term in terms] == [0, 0, 0, 0]


def test_the_mean_is_measured_in_the_teachers_variance_of_each_patch(teacher):
    """A dim patch, with everything a tenth, counts as much as a bright one."""
    mean, aleatoric, epistemic = teacher
    scale = torch.tensor([1.0, 0.1])[:, None, None, None]
    step = 0.05 * scale
    parameters = log_variances(scale * aleatoric, scale * epistemic)
    terms = distillation_loss(scale * mean + step, parameters, scale * mean, parameters)
    variance = (aleatoric.square() + epistemic.square()).mean(dim=(1, 2, 3))
    assert float(terms.mean) == pytest.approx(float((0.05**2 / variance).mean()), rel=1e-3)


def test_each_deviation_is_compared_by_its_logarithm(teacher):
    mean, aleatoric, epistemic = teacher
    parameters = log_variances(aleatoric, epistemic)
    logarithms = log_variances(2 * aleatoric, epistemic / 3)
    terms = distillation_loss(mean, logarithms, mean, parameters)
    assert float(terms.aleatoric) == pytest.approx(2 * math.log(2), rel=1e-5)
    assert float(terms.epistemic) == pytest.approx(2 * math.log(3), rel=1e-5)
    assert float(terms.total) == pytest.approx((math.log(2) + math.log(3)) / 2, rel=1e-5)


def test_a_teacher_without_any_spread_has_finite_logarithms():
    zero = torch.zeros(1, 1, 4, 4)
    assert torch.isfinite(log_variances(zero, zero)).all()


def test_the_prediction_is_what_the_network_says(teacher):
    mean, aleatoric, epistemic = teacher
    output = mean, log_variances(aleatoric, epistemic)
    prediction = predict([lambda raw: output], torch.zeros(2, 9, 4, 4), DISTILLED)
    torch.testing.assert_close(prediction.mean, mean)
    torch.testing.assert_close(prediction.aleatoric, aleatoric)
    torch.testing.assert_close(prediction.epistemic, epistemic)
    torch.testing.assert_close(prediction.total, torch.hypot(aleatoric, epistemic))
    (nested,) = predict_nested([lambda raw: output], torch.zeros(2, 9, 4, 4), DISTILLED)
    assert all(torch.equal(a, b) for a, b in zip(prediction, nested, strict=True))


def test_there_is_one_student():
    output = torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 4, 4)
    with pytest.raises(InputError, match="expected one distilled network, found 2"):
        predict([lambda raw: output] * 2, torch.zeros(1, 9, 2, 2), DISTILLED)


def test_its_likelihood_is_a_gaussian_of_the_total_variance(teacher):
    mean, aleatoric, epistemic = teacher
    parameters, total = log_variances(aleatoric, epistemic), torch.hypot(aleatoric, epistemic)
    torch.testing.assert_close(standard_deviation(DISTILLED, parameters), total)
    target = mean + 0.03
    law = torch.distributions.Normal(mean, total)
    nll = find_likelihood(DISTILLED).nll(mean, parameters, target)
    assert float(nll) == pytest.approx(-float(law.log_prob(target).mean()), rel=1e-5)
    half = find_likelihood(DISTILLED).half_width(parameters, 0.9)
    torch.testing.assert_close(half, law.icdf(torch.tensor(0.95)) - mean)
