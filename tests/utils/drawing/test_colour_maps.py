"""The colours are matplotlib's, and images keep their values on another grid."""

import matplotlib
import numpy as np
import pytest

from bayesdl_sim.utils.drawing.colour_maps import NO_DATA, colour_map, coloured, resized


@pytest.mark.parametrize("name", ["magma", "viridis", "cividis", "RdBu_r", "gray"])
def test_colours_are_those_of_matplotlib(name):
    expected = (255 * matplotlib.colormaps[name](np.arange(256))[:, :3]).round()
    np.testing.assert_array_equal(colour_map(name), expected)


def test_values_beyond_the_ends_have_the_colours_of_the_ends():
    shown = coloured(np.array([[-5.0, 0.0, 0.5, 1.0, 9.0, np.nan]]), 0.0, 1.0, "gray")[0]
    assert shown[:, 0].tolist() == [0, 0, 128, 255, 255, NO_DATA[0]]


def test_whole_pixels_stay_squares():
    image = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(resized(image, (8, 12)), image.repeat(4, 0).repeat(4, 1))


def test_smaller_grid_is_a_mean_that_skips_nothing():
    image = np.random.default_rng(0).random((300, 400)).astype(np.float32)
    small = resized(image, (100, 133))
    assert small.shape == (100, 133)
    assert small.mean() == pytest.approx(image.mean(), rel=1e-3)
    assert small.std() < 0.5 * image.std()


def test_pixels_without_data_have_none_on_another_grid():
    image = np.ones((40, 40), np.float32)
    image[:20] = np.nan
    for side in (40, 80, 97, 30):
        image_there = resized(image, (side, side))
        assert np.isnan(image_there).mean() == pytest.approx(0.5, abs=0.05)
        assert (image_there[~np.isnan(image_there)] == 1).all()
