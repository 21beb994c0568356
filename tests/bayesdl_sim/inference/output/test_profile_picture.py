"""A profile shows the pixels of its line, its band, and gaps where there are no data."""

import numpy as np
import pytest

from bayesdl_sim.inference.output import profile_picture
from bayesdl_sim.inference.output.profile_picture import (
    brightest_row,
    profile_of,
    write_profile_picture,
)
from tests.utils.drawing.conftest import spied


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    sr = rng.random((30, 40)).astype(np.float32)
    sr[12, 7] = 3.0
    return sr, np.full(sr.shape, 0.1, np.float32)


def test_the_row_of_the_brightest_point(maps):
    sr, total = maps
    sr[0, 0] = np.nan  # no data there
    line = brightest_row(sr)
    curve = profile_of(sr, total, line, 32.5, 0.9, 2 * np.nan_to_num(sr) + 5)
    np.testing.assert_allclose(curve.ours, sr[12], rtol=1e-6)
    np.testing.assert_allclose(curve.wide_field, sr[12], rtol=1e-4)
    assert curve.band[1].max() == pytest.approx(3.0 + 1.645 * 0.1, abs=1e-3)
    assert curve.unit == "µm"
    assert curve.along[-1] == pytest.approx(39 * 0.0325, rel=1e-5)


def test_the_picture_holds_line_profile_and_band(maps, tmp_path, monkeypatch):
    sr, total = maps
    drawn = spied(monkeypatch, profile_picture)
    write_profile_picture(tmp_path / "a.png", sr, total, brightest_row(sr), 32.5, wide_field=sr)
    (canvas,) = drawn
    left, top, right, bottom = canvas.pictures[0]
    (mark, _), (ours, _), (wide, _) = canvas.lines
    np.testing.assert_allclose(mark[:, 1], top + 12.5 / 30 * (bottom - top), atol=0.5)
    assert mark[-1, 0] > right - 6
    np.testing.assert_allclose(ours, wide, atol=0.1)
    assert ours[:, 1].argmin() == 7  # the highest place is the brightest pixel
    band = canvas.areas[-1][0]
    assert band[:, 1].min() < ours[:, 1].min()
    words = [text for text, _ in canvas.texts]
    expected = {"90% interval", "super-resolved", "wide field, fitted"}
    assert expected | {"along the line, from the dot, µm"} <= {*words}
    width, height = canvas.image.size
    for _, box in canvas.texts:
        assert 0 <= box[0] < box[2] <= width
        assert 0 <= box[1] < box[3] <= height


def test_pixels_without_data_leave_a_gap(maps, tmp_path):
    sr, total = maps
    sr[:, 20:24] = total[:, 20:24] = np.nan
    curve = profile_of(sr, total, brightest_row(sr), None, wide_field=sr)
    for values in (curve.ours, *curve.band, curve.wide_field):
        assert np.isnan(values[20:24]).all()
        assert np.isfinite(values[:19]).all()
    write_profile_picture(tmp_path / "Profile.png", sr, total, brightest_row(sr), None)
    assert (tmp_path / "Profile.png").read_bytes().startswith(b"\x89PNG")


def test_without_total_there_is_no_band(maps, tmp_path, monkeypatch):
    drawn = spied(monkeypatch, profile_picture)
    write_profile_picture(tmp_path / "a.png", maps[0], None, brightest_row(maps[0]), None)
    words = [text for text, _ in drawn[0].texts]
    assert "super-resolved" in words
    assert not [text for text in words if "interval" in text or "fitted" in text]
    assert len(drawn[0].lines) == 2
