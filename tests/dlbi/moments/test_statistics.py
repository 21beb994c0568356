"""Moments in pieces are those of the whole movie; noise and spectrum have the right units."""

import pytest
import torch

from bayesdl_sim.dlbi.moments.statistics import BLOCK, MomentSums, moments_of
from bayesdl_sim.utils.errors import InputError


def noise(frames=150, shape=(20, 24), seed=0):
    return torch.randn((frames, *shape), generator=torch.Generator().manual_seed(seed))


def test_pieces_of_any_length_give_the_same():
    movie = noise(130) + 10
    whole = moments_of(movie)
    sums = MomentSums((20, 24))
    for start in range(0, 130, 7):
        sums.add(movie[start : start + 7])
    pieces = sums.finish()
    for name in ("mean", "halves", "turns", "variance", "lag", "across", "noise", "spectrum"):
        torch.testing.assert_close(getattr(whole, name), getattr(pieces, name))
    assert pieces.frames == 130


def test_mean_and_halves():
    movie = noise(101)
    moments = moments_of(movie)
    torch.testing.assert_close(moments.mean, movie.mean(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(moments.halves[0], movie[0::2].mean(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(moments.halves[1], movie[1::2].mean(0), atol=1e-6, rtol=0)


def test_halves_that_take_turns():
    movie = noise(100) + torch.arange(100)[:, None, None] // 10
    first = [n for n in range(100) if n // 10 % 4 in (0, 3)]
    second = [n for n in range(100) if n // 10 % 4 in (1, 2)]
    turns = moments_of(movie).turns
    torch.testing.assert_close(turns[0], movie[first].mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(turns[1], movie[second].mean(0), atol=1e-5, rtol=0)
    short = moments_of(movie[:30])
    assert torch.equal(short.turns, short.halves)


def test_white_noise_of_unit_variance():
    moments = moments_of(noise(1000))
    error = (2 / 1000 / 480) ** 0.5
    assert float(moments.variance.mean()) == pytest.approx(1, abs=5 * error)
    assert float(moments.noise.mean()) == pytest.approx(1, abs=0.02)
    assert float(moments.spectrum.mean()) == pytest.approx(1, abs=0.02)
    assert float(moments.lag.mean()) == pytest.approx(0, abs=0.005)
    assert float(moments.across.mean()) == pytest.approx(0, abs=0.06)


def test_lag_covariance_of_an_autoregression():
    white = noise(1000)
    movie = torch.empty_like(white)
    movie[0] = white[0]
    for t in range(1, len(white)):
        movie[t] = 0.4 * movie[t - 1] + (1 - 0.16) ** 0.5 * white[t]
    # Each of three courses of the trend of a block takes (1 + 0.4) / (1 - 0.4) / n with it, of
    # which the part 1 / n is put back.
    lost = 3 * (1.4 / 0.6 - 1) / BLOCK
    assert float(moments_of(movie).lag.mean()) == pytest.approx(0.4 - lost, abs=0.02)


@pytest.mark.parametrize("frames", [15.0, 150.0])
def test_bleaching_is_not_taken_for_blinking(frames):
    fall = torch.exp(-torch.arange(300) / frames)[:, None, None]
    rates = torch.linspace(0.9, 1.1, 24)  # bleaches more slowly on the left than on the right
    movie = 20 * fall.expand(300, 20, 24) ** rates + noise(300)
    moments = moments_of(movie)
    assert float(moments.variance.mean()) == pytest.approx(1, abs=0.03)
    assert float(moments.lag.mean()) == pytest.approx(0, abs=0.03)


def test_skewness_has_its_sign():
    movie = torch.rand((400, 16, 16), generator=torch.Generator().manual_seed(1)).pow(4)
    assert bool((moments_of(movie).skewness.mean() > 0).all())


def test_too_few_frames():
    with pytest.raises(InputError, match="at least 4 frames"):
        moments_of(noise(1))


def test_too_small_frames():
    with pytest.raises(InputError, match="at least 8 x 8"):
        MomentSums((4, 60))


def test_blocks_are_longer_than_a_blink():
    assert BLOCK >= 20
