"""Backgrounds that differ between the frames are measured, where there is evidence for them."""

import pytest
import torch

from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.sensor.offsets import coarse_frames, frame_offsets, offsets_of

OFFSETS = 4 * torch.tensor([3.0, -2.0, 1.0, 0.0, -4.0, 2.0, 5.0, -3.0, -2.0])  # their mean is 0
EXACT = 1.5  # counts, beside up to 20


@pytest.fixture(scope="module", params=["MT", "ER", "F-actin"])
def raw(stand, request):
    return stand(modulation=0.6).stack(size=(128, 144), signal_e=60.0, kind=request.param)


@pytest.fixture(scope="module")
def whole(raw):
    return torch.ones(raw.shape[1:], dtype=torch.bool)


def test_offsets_are_those_that_were_added(raw, whole):
    offsets = frame_offsets(raw + OFFSETS[:, None, None], whole)
    torch.testing.assert_close(offsets - frame_offsets(raw, whole), OFFSETS, atol=EXACT, rtol=0)


def test_frames_of_one_background_have_none(raw, whole):
    assert not bool(frame_offsets(raw, whole).any())


def test_noise_is_no_offset(whole):
    generator = torch.Generator().manual_seed(1)
    raw = torch.poisson(torch.full((9, *whole.shape), 40.0), generator=generator)
    assert not bool(frame_offsets(raw, whole).any())


def test_a_brighter_orientation_has_an_offset_only_as_far_as_the_dark_is_lit(raw, whole):
    dark = raw.mean(dim=0).flatten().kthvalue(200).values
    brighter = raw.clone()
    brighter[3:6] = dark + 1.1 * (raw[3:6] - dark)
    assert float(frame_offsets(brighter, whole).abs().max()) < 0.03 * float(raw.std())


def test_pixels_without_data_do_not_count(raw, whole):
    cut, usable = raw + OFFSETS[:, None, None], whole.clone()
    usable[:40] = False
    expected = frame_offsets(cut, usable)
    cut[:, :40] = torch.nan
    assert torch.equal(frame_offsets(cut, usable), expected)
    torch.testing.assert_close(expected, OFFSETS, atol=EXACT, rtol=0)


def test_bands_of_rows_give_the_offsets_of_the_field(raw, whole):
    shifted = raw + OFFSETS[:, None, None]
    bands = [coarse_frames(shifted[:, rows], whole[rows]) for rows in (slice(64), slice(64, 128))]
    assert torch.equal(offsets_of(torch.cat(bands, dim=1)), frame_offsets(shifted, whole))


def test_measured_frames_have_one_background(raw, whole):
    frames = MeasuredFrames(raw + OFFSETS[:, None, None])
    torch.testing.assert_close(frames.level, raw, atol=EXACT, rtol=0)
    assert float((frames.usable - MeasuredFrames(raw).usable).abs().mean()) < EXACT
