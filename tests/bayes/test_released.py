"""The released statistics, against numpy's in the released order."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.bayes.released import predict_released, released_deviation
from bayesdl_sim.utils.errors import InputError

RAW = torch.zeros(1, 9, 3, 4)


def draws(count, channels=1, seed=0):
    g = torch.Generator().manual_seed(seed)
    means = 0.5 + torch.randn(count, 1, 1, 6, 8, generator=g)
    parameters = torch.randn(count, 1, channels, 6, 8, generator=g) - 2
    return means, parameters


def functions(means, parameters):
    return [lambda raw, m=m, p=p: (m, p) for m, p in zip(means, parameters, strict=True)]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equals_numpy_to_the_last_bit(count):
    means, log_vars = draws(count)
    prediction = predict_released(functions(means, log_vars), RAW)
    clipped = means.numpy().clip(0, 1)[:, 0, 0]
    np.testing.assert_array_equal(prediction.mean[0, 0], np.mean(clipped, axis=0))
    np.testing.assert_array_equal(prediction.epistemic[0, 0], np.std(clipped, axis=0))
    deviations = np.exp(log_vars.numpy()[:, 0, 0] / 2)
    # The exponential itself may differ between the libraries in the last bit.
    np.testing.assert_allclose(prediction.aleatoric[0, 0], np.mean(deviations, axis=0), rtol=3e-7)


def test_differs_from_the_law_of_total_variance():
    members = functions(*draws(5))
    released, total = predict_released(members, RAW), predict(members, RAW)
    assert (released.aleatoric < total.aleatoric).all()  # Jensen
    assert released.mean.min() >= 0
    assert released.mean.max() <= 1
    inside = functions(0.3 + 0.01 * draws(5)[0], draws(5)[1])  # nothing to clip: K against K - 1
    ratio = predict_released(inside, RAW).epistemic / predict(inside, RAW).epistemic
    torch.testing.assert_close(ratio, torch.full_like(ratio, 0.8**0.5), rtol=1e-4, atol=0)


def test_released_deviations():
    log_scale = torch.tensor([[[[-2.0, 0.5]]]])
    torch.testing.assert_close(released_deviation("gauss", log_scale), (log_scale / 2).exp())
    torch.testing.assert_close(released_deviation("laplace", log_scale), log_scale.exp())
    precision, freedom = torch.tensor(4.0), torch.tensor(3.0)
    maps = torch.stack([precision.log(), freedom.log()]).view(1, 2, 1, 1)
    expected = torch.distributions.StudentT(freedom + 2, 0.0, 0.5).stddev.view(1, 1, 1, 1)
    torch.testing.assert_close(released_deviation("student", maps), expected)


def test_members_without_a_tail():
    means, log_vars = draws(3)
    prediction = predict_released(functions(means, [None] * 3), RAW)
    assert not prediction.aleatoric.any()
    with pytest.raises(InputError, match="2 of 3 members have an uncertainty tail"):
        predict_released(functions(means, [log_vars[0], log_vars[1], None]), RAW)
    with pytest.raises(InputError, match="found none"):
        predict_released([], RAW)
