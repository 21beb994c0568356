"""The predictive distribution: law of total variance, streaming, and what stays unclamped."""

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayesdl_sim.bayes.prediction import Welford, predict, predict_nested
from bayesdl_sim.utils.errors import InputError

RAW = torch.zeros(2, 9, 3, 4)


def random_members(count, seed=0, tail=True, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    outputs = [torch.randn(2, 2, 1, 6, 8, generator=g, dtype=dtype) for _ in range(count)]
    return [lambda raw, o=output: (o[0], o[1] if tail else None) for output in outputs], outputs


def test_nested_predictions_are_those_of_the_first_members():
    members, _ = random_members(4)
    nested = list(predict_nested(members, RAW))
    assert len(nested) == 4
    for count, prediction in enumerate(nested, start=1):
        for one, other in zip(prediction, predict(members[:count], RAW), strict=True):
            assert torch.equal(one, other)
    assert nested[0].epistemic.count_nonzero() == 0


@pytest.mark.parametrize("count", [2, 5, 12])
def test_law_of_total_variance(count):
    members, outputs = random_members(count)
    prediction = predict(members, RAW)
    means = torch.stack([output[0] for output in outputs]).double()
    variances = torch.stack([output[1] for output in outputs]).double().exp()
    expected = {
        "mean": means.mean(0),
        "aleatoric": variances.mean(0).sqrt(),
        "epistemic": means.std(0),
        "total": (variances.mean(0) + means.var(0)).sqrt(),
    }
    for name, value in expected.items():
        actual = getattr(prediction, name)
        assert actual.dtype == torch.float32
        torch.testing.assert_close(actual.double(), value, atol=1e-6, rtol=1e-5)


def test_total_variance_is_that_of_draws_from_the_mixture():
    members, outputs = random_members(3, seed=1, dtype=torch.float64)
    prediction = predict(members, RAW)
    g = torch.Generator().manual_seed(2)
    draws = torch.cat(
        [o[0] + (0.5 * o[1]).exp() * torch.randn(4000, 2, 1, 6, 8, generator=g) for o in outputs]
    )
    # The mixture has the variance of the means with 1/K; the prediction's 1/(K - 1) corrects it
    # for the few members.
    biased = prediction.aleatoric**2 + prediction.epistemic**2 * 2 / 3
    torch.testing.assert_close(draws.var(0), biased, rtol=0.12, atol=0)


@given(count=st.integers(2, 9), seed=st.integers(0, 1000))
def test_equal_members_give_exactly_zero_epistemic(count, seed):
    (member,), (output,) = random_members(1, seed)
    prediction = predict([member] * count, RAW)
    assert torch.equal(prediction.mean, output[0])
    assert not prediction.epistemic.any()
    assert torch.equal(prediction.total, prediction.aleatoric)


def test_one_member_has_no_epistemic_and_its_own_aleatoric():
    members, (output,) = random_members(1)
    prediction = predict(members, RAW)
    assert not prediction.epistemic.any()
    torch.testing.assert_close(prediction.aleatoric, (0.5 * output[1]).exp())


def test_members_without_a_tail_have_zero_aleatoric():
    members, _ = random_members(4, tail=False)
    prediction = predict(members, RAW)
    assert not prediction.aleatoric.any()
    assert torch.equal(prediction.total, prediction.epistemic)


def test_nothing_is_clamped():
    members = [lambda raw, v=v: (torch.full((1, 1, 2, 2), v), None) for v in (-0.3, -0.1, 1.7)]
    prediction = predict(members, RAW)
    values = np.array([-0.3, -0.1, 1.7])
    assert prediction.mean[0, 0, 0, 0].item() == pytest.approx(values.mean(), rel=1e-6)
    assert prediction.epistemic[0, 0, 0, 0].item() == pytest.approx(values.std(ddof=1), rel=1e-6)


def test_small_spread_on_a_large_mean_survives_float32():
    """The difference of mean square and squared mean would lose a spread of 1e-3 on 100."""
    values = [100 + 1e-3 * i for i in range(5)]
    members = [lambda raw, v=v: (torch.full((1, 1, 2, 2), v), None) for v in values]
    stored = np.float32(values).astype(float)  # what float32 holds of them
    epistemic = predict(members, RAW).epistemic[0, 0, 0, 0].item()
    assert epistemic == pytest.approx(stored.std(ddof=1), rel=0.01)


def test_bf16_members_are_accumulated_in_float32():
    members = [lambda raw, v=v: (torch.full((1, 1, 1, 1), v).bfloat16(), None) for v in (1.0, 2.0)]
    prediction = predict(members * 50, RAW)
    assert prediction.mean.dtype == torch.float32
    assert prediction.mean.item() == pytest.approx(1.5, rel=1e-6)


def test_members_are_streamed_one_at_a_time():
    alive = []

    class Member:
        def __call__(self, raw):
            gc.collect()
            assert sum(ref() is not None for ref in alive) <= 2  # this one and the one before
            return torch.ones(1, 1, 2, 2), None

    def load():
        for _ in range(6):
            member = Member()
            alive.append(weakref.ref(member))
            yield member
            del member

    assert predict(load(), RAW).mean.shape == (1, 1, 2, 2)


def test_prediction_needs_no_gradient():
    weight = torch.ones(1, requires_grad=True)
    prediction = predict([lambda raw: (weight * raw[:, :1], weight * raw[:, :1])] * 2, RAW)
    assert not any(image.requires_grad for image in prediction)


def test_wrong_members_are_refused():
    with_tail, _ = random_members(1)
    without, _ = random_members(1, tail=False)
    other = [lambda raw: (torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))]
    for members, message in (
        ([], "at least one member"),
        (with_tail + without, "member 2 has no uncertainty tail"),
        (without + with_tail, "member 2 has an uncertainty tail"),
        (with_tail + other, "the same shape"),
    ):
        with pytest.raises(InputError, match=message):
            predict(members, RAW)


def test_welford_does_not_write_into_its_input():
    first, second = torch.ones(3), torch.full((3,), 5.0)
    welford = Welford()
    welford.add(first)
    welford.add(second)
    assert torch.equal(first, torch.ones(3))
    assert torch.equal(welford.mean, torch.full((3,), 3.0))
    assert torch.equal(welford.variance, torch.full((3,), 8.0))
