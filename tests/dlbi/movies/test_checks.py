"""Movies that no method can use."""

import pytest
import torch

from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.movies.checks import check_moments
from bayesdl_sim.utils.errors import InputError


def noisy(mean=200.0):
    generator = torch.Generator().manual_seed(0)
    return (mean + 30 * torch.randn((40, 20, 20), generator=generator)).round()


def test_a_good_movie_passes_without_a_word():
    assert check_moments(moments_of(noisy())) == []


def test_a_constant_movie():
    with pytest.raises(InputError, match="all its pixels are equal"):
        check_moments(moments_of(torch.full((20, 20, 20), 100.0)), "flat.tif")


def test_one_frame_many_times():
    frame = noisy()[0]
    with pytest.raises(InputError, match="all frames are equal"):
        check_moments(moments_of(frame.expand(20, 20, 20)))


@pytest.mark.parametrize("top", [255.0, 4095.0, 65535.0])
def test_a_saturated_movie(top):
    movie = noisy(top - 30).clamp(max=top)
    with pytest.raises(InputError, match="saturated"):
        check_moments(moments_of(movie))


def test_a_few_saturated_values_are_only_mentioned():
    movie = noisy()
    movie[0, :2, :2] = 65535
    (warning,) = check_moments(moments_of(movie))
    assert "saturated" in warning


def test_the_frames_of_a_sim_stack_are_mentioned():
    (warning,) = check_moments(moments_of(noisy()[:9]))
    assert warning.startswith("9 frames are too few")
    assert "test.py" in warning


def test_equal_large_values_that_are_no_limit_of_a_camera():
    assert check_moments(moments_of(noisy().clamp(max=230))) == []
