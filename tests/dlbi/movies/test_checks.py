"""Movies that no method can use."""

import pytest
import torch

from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.movies.checks import check_moments
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.movies.survey import survey
from bayesdl_sim.utils.errors import InputError


def noisy(mean=200.0):
    generator = torch.Generator().manual_seed(0)
    return (mean + 30 * torch.randn((40, 20, 20), generator=generator)).round()


def checked(counts, name="movie"):
    return check_moments(moments_of(counts), survey(Movie.of(counts)), name)


def test_a_good_movie_passes_without_a_word():
    assert checked(noisy()) == []


def test_a_constant_movie():
    with pytest.raises(InputError, match="all its pixels are equal"):
        checked(torch.full((20, 20, 20), 100.0), "flat.tif")


def test_one_frame_many_times():
    frame = noisy()[0]
    with pytest.raises(InputError, match="all frames are equal"):
        checked(frame.expand(20, 20, 20))


@pytest.mark.parametrize("top", [255.0, 4095.0, 65535.0])
def test_a_saturated_movie(top):
    movie = noisy(top - 30).clamp(max=top)
    with pytest.raises(InputError, match="saturated"):
        checked(movie)


def test_a_few_saturated_values_are_only_mentioned():
    movie = noisy()
    movie[0, :2, :2] = 65535
    (warning,) = checked(movie)
    assert "saturated" in warning


def test_the_frames_of_a_sim_stack_are_mentioned():
    (warning,) = checked(noisy()[:9])
    assert warning.startswith("9 frames are too few")
    assert "test.py" in warning


def test_equal_large_values_that_are_no_limit_of_a_camera():
    assert checked(noisy().clamp(max=230)) == []


def test_the_share_of_saturated_values_is_above_the_limit_that_is_stated():
    movie = noisy()
    movie[:17, 3, 3] = 4095  # 0.106 %, which would be rounded to the limit
    with pytest.raises(InputError, match=r"more than 0.1 % .* \(0.106 %, at 4095 counts\)"):
        checked(movie)


@pytest.mark.parametrize("value", [0.0, 200.0, 4095.0])
def test_a_stuck_pixel_is_named_and_not_counted_as_saturation(value):
    movie = noisy()
    movie[:, 4, 7] = value
    (warning,) = checked(movie)
    assert warning == (
        "1 pixel (row 5, column 8) holds the same value in all frames: filled from the neighbours"
    )


def test_a_pixel_at_the_limit_that_others_reach_is_saturated():
    movie = noisy()
    movie[:, 4, 7] = 4095
    movie[3, 10, 10] = 4095
    with pytest.raises(InputError, match="saturated"):
        checked(movie)


def test_values_cut_off_in_a_part_of_the_field_are_mentioned():
    movie = noisy()
    movie[:, :10] = 0
    (warning,) = checked(movie)
    assert warning.startswith("50 % of the pixels hold the same value")


@pytest.mark.parametrize("factor", [1e12, 1e20, 1e30])
def test_counts_whose_squares_overflow_are_refused_by_their_size(factor):
    with pytest.raises(InputError, match=r"expected counts of at most about 1e\+07, found .*e\+"):
        checked(noisy() * factor)


@pytest.mark.parametrize("factor", [1e-10, 1e-30])
def test_tiny_values_are_no_equal_frames(factor):
    with pytest.raises(InputError, match="found a mean image of at most .*: multiply"):
        checked(noisy() * factor)


@pytest.mark.parametrize("factor", [1e-5, 1e-3, 1.0, 1e3, 1e5])
def test_other_units_are_accepted(factor):
    assert checked(noisy() * factor) == []
