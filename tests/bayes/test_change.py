"""Changes between images: what shared members have in common does not count."""

import pytest
import torch

from bayesdl_sim.bayes.change import MemberImage, change_between, marked, predict_series
from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.utils.errors import InputError

RAW = torch.zeros(3, 9, 10, 12)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def members_of(means, log_var):
    """Members with these means (K, T, 1, 20, 24) and one log-variance."""
    return [lambda raw, m=mean: (m, torch.full_like(m, log_var)) for mean in means]


def test_difference_follows_the_law_of_total_variance():
    means = torch.randn(6, 3, 1, 20, 24, generator=generator())
    series, change = predict_series(members_of(means, -1.0), RAW, [1] * 3, [0] * 3)
    single = predict(members_of(means, -1.0), RAW)
    for name in single._fields:
        torch.testing.assert_close(getattr(series, name), getattr(single, name))
    differences = means[:, 1:] - means[:, :-1]
    torch.testing.assert_close(change.difference, differences.mean(0))
    torch.testing.assert_close(change.epistemic, differences.std(0))
    noise = 2 * torch.tensor(-1.0).exp()
    torch.testing.assert_close(change.aleatoric, noise.sqrt().expand_as(differences[0]))
    torch.testing.assert_close(change.total.square(), noise + differences.var(0))


def test_what_a_member_gets_wrong_twice_is_no_change():
    """Each member has an error of its own, the same in every image: only noise is left."""
    errors = torch.randn(6, 1, 1, 20, 24, generator=generator(1))
    means = errors.expand(-1, 3, -1, -1, -1)
    series, change = predict_series(members_of(means, -4.0), RAW, [1] * 3, [0] * 3)
    assert (series.epistemic > 0.1).float().mean() > 0.95
    assert not change.epistemic.any()
    assert not change.difference.any()


def test_time_points_are_compared_on_one_scale():
    """A stack with twice the counts and another offset shows the same intensity, not a change."""
    counts = 10 + torch.rand(4, 1, 1, 20, 24, generator=generator(2)).expand(-1, 3, -1, -1, -1)
    scale, low = torch.tensor([2.0, 4.0, 0.5]), torch.tensor([1.0, -3.0, 7.0])
    normalised = (counts - low.view(3, 1, 1, 1)) / scale.view(3, 1, 1, 1)
    series, change = predict_series(members_of(normalised, -2.0), RAW, scale, low)
    torch.testing.assert_close(series.mean, counts.mean(0), atol=1e-5, rtol=0)
    assert change.difference.abs().max() < 1e-5
    one = torch.tensor(-1.0).exp()  # standard deviation of each member, in its own units
    expected = one * torch.tensor([2.0, 4.0, 0.5])
    torch.testing.assert_close(series.aleatoric.amax((1, 2, 3)), expected)
    combined = (expected[1:] ** 2 + expected[:-1] ** 2).sqrt()
    torch.testing.assert_close(change.aleatoric.amax((1, 2, 3)), combined)


@pytest.mark.parametrize("level", [0.9, 0.99])
def test_noise_alone_is_marked_as_often_as_promised(level):
    total = 0.1 + torch.rand(200_000, generator=generator(3))
    difference = total * torch.randn(200_000, generator=generator(4))
    share = float(marked(difference, total, level).float().mean())
    assert share == pytest.approx(1 - level, abs=4 * (level * (1 - level) / 200_000) ** 0.5)
    assert marked(torch.tensor([3.0, -3.0]), torch.tensor([1.0, 1.0]), level).all()


def test_stored_predictions_give_the_change_of_the_series():
    means = torch.randn(5, 2, 1, 20, 24, generator=generator(5))
    scale, low = [2.0, 3.0], [1.0, -4.0]
    _, expected = predict_series(members_of(means, -1.0), RAW[:2], scale, low)
    variance = torch.tensor(-1.0).exp()
    earlier, later = (
        [MemberImage(s * m[t] + b, (s**2 * variance).expand_as(m[t])) for m in means]
        for t, (s, b) in enumerate(zip(scale, low, strict=True))
    )
    change = change_between(earlier, later)
    for name in change._fields:
        torch.testing.assert_close(getattr(change, name), getattr(expected, name)[0])
    with pytest.raises(InputError, match="same members twice, found 5 and 4"):
        change_between(earlier, later[:4])
    with pytest.raises(InputError, match="same members twice"):
        change_between([], [])


def test_a_single_image_and_members_without_tail_are_refused():
    means = torch.zeros(2, 1, 1, 20, 24)
    with pytest.raises(InputError, match="two time points"):
        predict_series(members_of(means, 0.0), RAW[:1], [1], [0])
    with pytest.raises(InputError, match="no uncertainty tail"):
        predict_series([lambda raw: (torch.zeros(3, 1, 20, 24), None)], RAW, [1] * 3, [0] * 3)
