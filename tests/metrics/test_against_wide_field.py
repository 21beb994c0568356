"""A super-resolved image against wide field: blurs that are known, structure that was invented."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bayesdl_sim.metrics.against_wide_field import error_map, resolution_scale, rse, rsp
from bayesdl_sim.utils.errors import InputError
from tests.metrics.test_images import binned, filaments


def test_resolution_scaling_recovers_the_blur():
    sr = filaments(np.random.default_rng(5))
    wide_field = 800 * binned(gaussian_filter(sr, 3.3, mode="nearest")) + 100
    scaled = resolution_scale(sr, wide_field)
    assert scaled.sigma == pytest.approx(3.3, abs=0.03)
    np.testing.assert_allclose(scaled.image, wide_field, atol=0.5)  # of about 800 counts
    assert rsp(sr, wide_field) > 0.99999
    assert rsp(5 * sr - 1, wide_field) == pytest.approx(rsp(sr, wide_field), abs=1e-6)


def test_rsp_falls_and_rse_grows_where_structure_is_invented_or_lost():
    rng = np.random.default_rng(6)
    sr = filaments(rng)
    wide_field = 800 * binned(gaussian_filter(sr, 3.0, mode="nearest")) + 100
    lost, invented = sr.copy(), sr.copy()
    lost[:, :30] = 0
    invented[20:40, 20:40] += sr.max()
    for wrong in (lost, invented):
        assert rsp(wrong, wide_field) < 0.95
        assert rse(wrong, wide_field) > 20 * rse(sr, wide_field)


def test_rse_of_a_noisy_wide_field_is_its_noise():
    rng = np.random.default_rng(7)
    sr = filaments(rng)
    wide_field = 800 * binned(gaussian_filter(sr, 3.0, mode="nearest"))
    noisy = wide_field + 12 * rng.normal(size=wide_field.shape)
    assert rse(sr, noisy) == pytest.approx(12, rel=0.05)


def test_rsp_takes_images_of_one_size_and_refuses_other_ratios():
    wide_field = gaussian_filter(np.random.default_rng(8).normal(size=(40, 30)), 2)
    assert rsp(wide_field, wide_field) == pytest.approx(1)
    with pytest.raises(InputError, match="twice its size"):
        rsp(np.zeros((81, 60)), wide_field)
    with pytest.raises(InputError, match="twice its size"):
        rsp(np.zeros((120, 90)), wide_field)


def test_error_map_shows_where_structure_was_invented():
    sr = filaments(np.random.default_rng(12))
    wide_field = 800 * binned(gaussian_filter(sr, 3.0, mode="nearest")) + 100
    invented = sr.copy()
    invented[20:40, 20:40] += sr.max()
    errors = error_map(invented, wide_field)
    assert errors.shape == wide_field.shape
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(rse(invented, wide_field))
    inside = errors[10:20, 10:20].mean()
    assert inside > 3 * np.abs(np.delete(errors, range(8, 22), axis=0)).mean()
