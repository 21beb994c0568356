"""Patches of one value in a frame are found where they end in a step, and nowhere else."""

import numpy as np
import pytest

from bayesdl_sim.physics.sensor.patches import flat_pixels, patches_of_one_value


@pytest.fixture(scope="module")
def frame(stand):
    return stand().stack((96, 96), signal_e=60.0, kind="MT")[4].numpy()


def patches(frame):
    return patches_of_one_value(frame, np.zeros(frame.shape, bool))


def eight_bits(frame):
    return np.round(255 * (frame - frame.min()) / np.ptp(frame))


def test_squares_of_four_and_runs_of_twelve_are_flat():
    values = np.arange(30.0 * 40).reshape(30, 40)
    expected = np.zeros(values.shape, bool)
    for part in (np.s_[3:5, 7:9], np.s_[10, 20:32], np.s_[15:28, 39], np.s_[29, 0:12]):
        values[part], expected[part] = -1.0, True
    values[20, 2:13] = -2.0  # a run of eleven
    np.testing.assert_array_equal(flat_pixels(values), expected)


@pytest.mark.parametrize("store", [np.asarray, eight_bits])
@pytest.mark.parametrize("cut", [0.0, 0.05, 0.3, 0.7, 0.95])
def test_a_cut_background_is_no_gap(frame, store, cut):
    floor = np.quantile(frame, cut)
    assert not patches(store(np.maximum(frame, floor))).any()


@pytest.mark.parametrize("store", [np.asarray, eight_bits])
@pytest.mark.parametrize("share", [0.002, 0.01, 0.05, 0.2])
def test_saturation_is_no_gap(frame, store, share):
    cut = np.minimum(frame, np.quantile(frame, 1 - share))
    assert flat_pixels(cut).any()
    assert not patches(store(cut)).any()


@pytest.mark.parametrize("light", [0.1, 0.5, 2.0, 10.0])
def test_photons_counted_in_dim_light_are_no_gap(light):
    y, x = np.mgrid[:128, :128] / 20
    expected = light * (2.1 + np.sin(9 * x) * np.cos(7 * y) + np.sin(x) * np.sin(y))
    assert not patches(np.random.default_rng(1).poisson(expected).astype(float)).any()


@pytest.mark.parametrize("store", [np.asarray, eight_bits])
@pytest.mark.parametrize("part", [np.s_[:, :1], np.s_[:, :3], np.s_[-6:], np.s_[40:41]])
def test_lines_of_zeros_are_gaps(frame, store, part):
    values, expected = store(frame).copy(), np.zeros(frame.shape, bool)
    values[part], expected[part] = 0.0, True
    np.testing.assert_array_equal(patches(values), expected)


@pytest.mark.parametrize("store", [np.asarray, eight_bits])
def test_a_time_stamp_of_the_brightest_value_is_a_gap(frame, store):
    values, text = store(frame).copy(), np.zeros(frame.shape, bool)
    letters = np.random.default_rng(2).random((4, 12)) < 0.5
    text[6:14, 10:34] = letters.repeat(2, axis=0).repeat(2, axis=1)
    values[text] = values.max()
    found = patches(values)
    assert found[text].mean() > 0.9
    assert not found[~text].any()


def test_text_on_a_black_box_is_a_gap(frame):
    values = frame.copy()
    values[40:60, 30:70], values[45:55, 35:39], values[45:55, 45:60] = 0.0, 9000.0, 9000.0
    expected = np.zeros(frame.shape, bool)
    expected[40:60, 30:70] = True
    np.testing.assert_array_equal(patches(values), expected)


def test_a_frame_of_one_value_is_left_to_other_checks():
    assert not patches(np.full((64, 64), 100.0)).any()


def test_broken_pixels_make_no_patch(frame):
    values, broken = frame.copy(), np.zeros(frame.shape, bool)
    values[:, :4], broken[:, :4] = np.inf, True
    assert not patches_of_one_value(values, broken).any()
