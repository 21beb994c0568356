"""Lines of a camera that are unlike their neighbours are found where they are, and only those."""

import numpy as np
import pytest
import torch
from scipy.signal import firwin

from bayesdl_sim.physics.optics import Optics, apply_otf, otf
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.sensor.lines import BEYOND, TAPS, _taps, line_noise, odd_lines


def rows_and_columns(odd):
    """Numbers of the rows and of the columns that are odd from end to end."""
    return [odd.all(dim=axis).nonzero().flatten().tolist() for axis in (1, 0)]


@pytest.fixture(scope="module")
def good(stand):
    return stand(modulation=0.5).stack(size=(128, 144), signal_e=60.0, kind="ER")


@pytest.mark.parametrize("signal_e", [3.0, 60.0, 5000.0])
@pytest.mark.parametrize("kind", ["ER", "MT", "Mitochondria", "beads"])
def test_good_stacks_have_none(stand, kind, signal_e):
    raw = stand(cutoff=0.4, frequency=0.38).stack(size=(128, 144), signal_e=signal_e, kind=kind)
    assert not bool(odd_lines(raw.mean(dim=0)).any())
    assert max(line_noise(raw)) < 2.0


@pytest.mark.parametrize("column", [15, 60, 61, 120])
def test_a_column_of_another_gain_is_found_where_it_is(good, column):
    raw = good.clone()
    raw[:, :, column] = (1.4 * raw[:, :, column]).round()
    assert rows_and_columns(odd_lines(raw.mean(dim=0))) == [[], [column]]


def test_rows_and_columns_of_other_offsets_are_found_together(good):
    raw = good.clone()
    raw[:, :, 40] += 30
    raw[:, :, 90:92] -= 90
    raw[:, 50] += 20
    assert rows_and_columns(odd_lines(raw.mean(dim=0))) == [[50], [40, 90, 91]]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("column", [15, 60, 61, 120])
def test_a_pair_of_columns_is_found_although_it_nearly_cancels_beyond_the_lens(good, column, sign):
    raw = good.clone()
    raw[:, :, column : column + 2] += 20 * sign
    assert rows_and_columns(odd_lines(raw.mean(dim=0))) == [[], [column, column + 1]]


@pytest.mark.parametrize("cutoff", [0.28, 0.4, 0.5])
@pytest.mark.parametrize("signal_e", [20.0, 2000.0])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_straight_lines_of_a_sample_are_no_columns_of_the_camera(cutoff, signal_e, width):
    """As on calibration slides: lines along the columns of the camera, through a lens."""
    optics = Optics(na=1.0, emission_nm=500.0, pixel_size_nm=125.0 * cutoff)  # of a fine pixel
    fine = torch.zeros(256, 288)
    for column in (60, 110, 116, 200):
        fine[:, column : column + width] = 1.0
    light = apply_otf(fine, otf(optics, (256, 288)))[::2, ::2].clamp(min=0.0)
    light = 3.0 + signal_e * light / light.max()
    generator = torch.Generator().manual_seed(3)
    counts = torch.poisson(light.expand(9, -1, -1), generator=generator)
    assert not bool(odd_lines(counts.mean(dim=0)).any())


def test_half_a_column_is_none(good):
    raw = good.clone()
    raw[:, :50, 40] += 30
    assert not bool(odd_lines(raw.mean(dim=0)).any())


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("steady", [True, False])
def test_where_all_lines_have_offsets_none_is_odd_and_their_noise_is_measured(good, axis, steady):
    shape = [1 if steady else 9, 1, 1]
    shape[axis + 1] = good.shape[axis + 1]
    offsets = 6 * torch.randn(shape, generator=torch.Generator().manual_seed(5))
    raw = good + offsets
    assert not bool(odd_lines(raw.mean(dim=0)).any())
    noise = line_noise(raw)
    assert noise[axis] > 4.0
    assert noise[1 - axis] < 2.0


def test_a_small_field_is_not_asked(good):
    raw = good[:, :60, :60].clone()
    raw[:, :, 30] += 100
    assert not bool(odd_lines(raw.mean(dim=0)).any())
    assert line_noise(raw) == (0.0, 0.0)


def test_odd_lines_are_left_out_of_the_frames_and_filled(good):
    raw = good.clone()
    raw[:, :, 60] += 400
    stack = MeasuredFrames(raw)
    assert rows_and_columns(stack.odd) == rows_and_columns(stack.missing) == [[], [60]]
    beside = good[:, :, 60].mean()
    assert float(stack.usable[:, :, 60].mean()) == pytest.approx(float(beside), abs=10)
    assert not bool(MeasuredFrames(raw, torch.zeros_like(stack.missing)).odd.any())


def test_the_filter_is_that_of_scipy():
    expected = firwin(TAPS, BEYOND, pass_zero=False, fs=1.0)
    np.testing.assert_allclose(_taps().numpy(), expected, rtol=0, atol=1e-15)
