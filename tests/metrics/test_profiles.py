"""Values along a line are those of a general interpolation."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from bayesdl_sim.metrics.profiles import line_between, profile


@pytest.mark.parametrize(
    "ends", [((0, 0), (19, 29)), ((3.3, 25.1), (17.9, 0.4)), ((5, 2), (5, 27))]
)
def test_profile_is_linear_interpolation(ends):
    image = np.random.default_rng(0).random((20, 30))
    line = line_between(*ends)
    expected = map_coordinates(image, line, order=1, mode="nearest")
    np.testing.assert_allclose(profile(image, line), expected, atol=1e-12)


def test_a_pixel_without_data_is_a_gap_where_it_is_needed_and_nowhere_else():
    image = np.arange(30.0).reshape(5, 6)
    image[2, 3] = np.nan
    row = profile(image, line_between((2, 0), (2, 5)))
    assert np.isnan(row).tolist() == [False, False, False, True, False, False]
    above = profile(image, line_between((1, 0), (1, 5)))
    np.testing.assert_array_equal(above, image[1])
    between = profile(image, line_between((1.5, 0), (1.5, 5)))
    assert np.isnan(between).tolist() == [False, False, False, True, False, False]
