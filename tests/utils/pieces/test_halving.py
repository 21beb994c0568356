"""Halved images are means of their pixels, whatever their size."""

import numpy as np
import pytest

from bayesdl_sim.utils.pieces.halving import halved, halved_to


def test_each_pixel_is_the_mean_of_four():
    image = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected = [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]
    np.testing.assert_array_equal(halved(image), np.array(expected, np.float32))


@pytest.mark.parametrize("size", [(5, 6), (4, 7), (5, 7), (1, 1)])
def test_a_last_row_or_column_stands_for_itself(size):
    image = np.random.default_rng(0).random(size).astype(np.float32)
    small = halved(image)
    assert small.shape == (-(-size[0] // 2), -(-size[1] // 2))
    if size[0] % 2:
        rest = image[-1][: 2 * (size[1] // 2)].reshape(-1, 2).mean(axis=1)
        np.testing.assert_allclose(small[-1][: len(rest)], rest, rtol=1e-6)


def test_several_halvings_are_means_of_larger_squares():
    image = np.random.default_rng(1).random((16, 24)).astype(np.float32)
    expected = image.reshape(2, 8, 3, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(halved_to(image, 3), expected, rtol=1e-5)
    assert halved_to(image, 0) is image


def test_a_pixel_without_data_leaves_none():
    image = np.ones((4, 4), np.float32)
    image[0, 1] = np.nan
    assert np.isnan(halved(image)[0, 0])
    assert np.isfinite(halved(image)).sum() == 3


def test_bands_of_whole_squares_are_halved_as_the_whole():
    image = np.random.default_rng(2).random((24, 10)).astype(np.float32)
    bands = [halved_to(band, 2) for band in (image[:8], image[8:16], image[16:])]
    np.testing.assert_array_equal(np.concatenate(bands), halved_to(image, 2))
