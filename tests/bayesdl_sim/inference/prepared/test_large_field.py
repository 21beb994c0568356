"""A field measured part by part has the measurements of the whole field."""

import numpy as np
import pytest
import torch

from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.prepared import large_field as field_module
from bayesdl_sim.inference.prepared.large_field import LargeField, is_large
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.sensor.missing import missing_pixels
from bayesdl_sim.physics.spots import UNDIMMED, dimming
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def bands(monkeypatch):
    monkeypatch.setattr(field_module, "BAND", 20)
    monkeypatch.setattr(field_module, "BLOCK", 40)


def counts(size=(90, 70), seed=0):
    """Frames of a rough sample that is brighter to the lower right."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.linspace(0, 1, size[0])[:, None], torch.linspace(0, 1, size[1])[None]
    light = 20 + 200 * rows * columns
    return torch.poisson(light.expand(9, *size), generator=generator) + 100


def field_of(raw):
    windows = []

    def window(square):
        windows.append(square)
        return raw[:, *square].clone()

    field = LargeField(window, tuple(raw.shape[1:]), "a.tif")
    field.asked = windows
    return field


def test_only_fields_beyond_the_limit_are_large():
    assert not is_large((1280, 1280))
    assert is_large((1281, 1280))
    assert is_large((100, 20_000))


def test_bands_are_the_whole_field(bands):
    raw = counts()
    field = field_of(raw)
    assert torch.equal(torch.cat(list(field.bands()), dim=1), raw)
    assert all(rows.stop - rows.start <= 20 for rows, _ in field.asked)


def test_frames_have_one_background(bands):
    raw = counts()
    offsets = torch.tensor([5.0, -5, 10, -10, 0, 20, -20, 15, -15])
    field, whole = field_of(raw + offsets[:, None, None]), (slice(0, 90), slice(0, 70))
    torch.testing.assert_close(field.offsets, offsets, atol=1.0, rtol=0)
    assert float((field.counts(whole) - raw).abs().max()) < 1.0
    assert field.norm.scale == pytest.approx(field_of(raw).norm.scale, rel=0.02)


def test_gaps_are_found_across_bands(bands):
    raw = counts()
    raw[:, 15:30, 10:25] = 0.0
    raw[:, -5:] = float("nan")
    field = field_of(raw)
    assert torch.equal(field.missing, missing_pixels(raw))
    assert int(field.missing.sum()) == 15 * 15 + 5 * 70


def test_the_scale_leaves_out_gaps_and_outshining_spots(bands):
    raw = counts()
    raw[:, 40:43, 30:33] += 40_000.0
    raw[:, :8] = 0.0
    field = field_of(raw)
    factor = dimming(MeasuredFrames(raw).light)
    assert factor is not None
    assert field.dimming is not None
    np.testing.assert_allclose(field.dimming, factor, atol=0.02)
    values = raw[:, ~(missing_pixels(raw) | (factor < UNDIMMED))].numpy()
    np.testing.assert_allclose(field.norm, np.percentile(values, (0.1, 99.9)), rtol=5e-3)
    assert field.norm.high < 500
    assert field_of(counts()).dimming is None


def test_what_is_shown_of_a_part_is_what_is_shown_of_the_whole(bands, tmp_path):
    raw = counts()
    raw[:, 40:43, 30:33] += 4_000.0
    raw[:, 20:32, 50:60] = 0.0
    raw[:, 70, 12] += 5_000.0  # a hot pixel
    raw[:, 71, 60] = 3.0  # a dead one
    stack = RawStack(raw=raw[None].numpy(), pixel_size_nm=None, name="a", source=tmp_path / "a.tif")
    whole, field = PreparedStack(stack), field_of(raw)
    assert torch.equal(field.faulty, whole.faulty(0))
    assert bool(field.faulty[70, 12])
    assert bool(field.faulty[71, 60])
    square = (slice(18, 80), slice(5, 66))
    # The haze of spots is not measured in fields that are measured part by part.
    expected = whole.shown(0) + whole.dimming(0) * whole.haze(0)
    np.testing.assert_allclose(field.shown(square), expected[:, *square], rtol=5e-3, atol=1.0)


def test_a_constant_field_is_refused_by_name(bands):
    field = field_of(torch.full((9, 60, 60), 7.0))
    with pytest.raises(InputError, match=r"a\.tif is constant"):
        _ = field.norm


def test_the_brightest_blocks_come_first(bands):
    squares = field_of(counts()).squares
    assert len(squares) == field_module.JUDGED_SQUARES
    raw = counts().double()
    light = [float((raw[:, *square].mean(dim=0) - 100).sum()) for square in squares]
    assert light == sorted(light, reverse=True)
    assert squares[0][0].stop == 90
    assert squares[0][1].stop == 70


def test_the_background_is_that_of_the_whole_field(bands):
    raw = counts()
    field = field_of(raw)
    mean, background = field.light, field.background
    expected = MeasuredFrames(raw).frames.mean(dim=0)
    assert background == pytest.approx(float((raw.mean(dim=0) - expected).median()), abs=1.0)
    np.testing.assert_allclose(mean, expected, atol=1.5)
