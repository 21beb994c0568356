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


@pytest.mark.parametrize("shift", [0.0, -100.0])
def test_values_that_pile_up_below_the_limit_of_any_camera(shift):
    with pytest.raises(InputError, match="% of the values pile up at the largest one, "):
        checked(noisy().clamp(max=230) + shift, "cut.tif")


def test_few_grey_values_do_not_pile_up():
    coarse = (noisy() / 60).round()
    assert float((coarse == coarse.max()).float().mean()) > 1e-3
    assert checked(coarse) == []


def test_the_share_of_saturated_values_is_above_the_limit_that_is_stated():
    movie = noisy()
    movie[:4, 3:5, 3:5] = 4095  # one pixel alone would be faulty
    movie[4, 3, 3] = 4095  # 0.106 %, which would be rounded to the limit
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


def spot(peak, row=10, column=10, width=2.0):
    """A point of light with a full width at half maximum in pixels, (20, 20)."""
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    return peak * torch.exp(-2.77 * ((y - row) ** 2 + (x - column) ** 2) / width**2)


def test_a_static_bead_at_the_limit_of_the_camera_is_saturated():
    """It used to be taken for pixels that hold the same value, and filled."""
    movie = (noisy() + spot(200_000)).clamp(max=65535)
    assert int((movie == 65535).all(dim=0).sum()) > 2
    with pytest.raises(InputError, match="saturated .*at 65535 counts"):
        checked(movie)


def test_a_bead_of_which_one_pixel_is_saturated():
    movie = torch.cat([noisy()] * 4, dim=2)  # the share is small
    movie[:, :, :20] = (movie[:, :, :20] + spot(90_000)).clamp(max=65535)
    assert int((movie == 65535).all(dim=0).sum()) == 1
    warnings = checked(movie)
    assert any("saturated (at 65535 counts)" in text for text in warnings)
    assert not any("filled" in text for text in warnings)


@pytest.mark.parametrize("kind", ["poisson", "flicker"])
def test_a_noisy_hot_pixel_is_named(kind):
    generator, movie = torch.Generator().manual_seed(1), noisy()
    if kind == "poisson":
        movie[:, 4, 7] += torch.poisson(torch.full((40,), 2000.0), generator=generator)
    else:
        movie[:, 4, 7] += 3000 * (torch.rand(40, generator=generator) < 0.1)
    (warning,) = checked(movie)
    assert warning.startswith("1 pixel (row 5, column 8) is brighter or less steady than any spot")


@pytest.mark.parametrize("place", [(10, 10), (10.5, 10), (10.3, 9.6), (0, 10), (19, 19)])
@pytest.mark.parametrize("blinks", [True, False])
def test_a_single_bright_point_of_light_is_no_hot_pixel(place, blinks):
    generator, light = torch.Generator().manual_seed(2), spot(8000, *place, width=1.8)
    emits = (torch.rand((40, 1, 1), generator=generator) < 0.3).float() if blinks else 1.0
    assert checked((noisy() + emits * light).round()) == []


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
