"""A profile shows the pixels of its line, its band, and gaps where there are no data."""

import numpy as np
import pytest

from bayesdl_sim.inference.output.profile_picture import (
    brightest_row,
    draw_profile,
    write_profile_picture,
)


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    sr = rng.random((30, 40)).astype(np.float32)
    sr[12, 7] = 3.0
    return sr, np.full(sr.shape, 0.1, np.float32)


def lines(figure):
    return {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}


def test_the_row_of_the_brightest_point(maps):
    sr, total = maps
    sr[0, 0] = np.nan  # no data there
    line = brightest_row(sr)
    figure = draw_profile(sr, total, line, 32.5, 0.9, 2 * np.nan_to_num(sr) + 5)
    drawn = lines(figure)
    np.testing.assert_allclose(drawn["super-resolved"], sr[12], rtol=1e-6)
    np.testing.assert_allclose(drawn["wide field, fitted"], sr[12], rtol=1e-4)
    band = figure.axes[1].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(3.0 + 1.645 * 0.1, abs=1e-3)
    assert figure.axes[1].get_xlabel() == "along the line, from the dot, µm"
    assert band[:, 0].max() == pytest.approx(39 * 0.0325, rel=1e-5)


def test_pixels_without_data_leave_a_gap(maps, tmp_path):
    sr, total = maps
    sr[:, 20:24] = total[:, 20:24] = np.nan
    figure = draw_profile(sr, total, brightest_row(sr), None, wide_field=sr)
    drawn = lines(figure)["super-resolved"]
    assert np.isnan(drawn[20:24]).all()
    assert np.isfinite(drawn[:19]).all()
    write_profile_picture(tmp_path / "Profile.png", figure)
    assert (tmp_path / "Profile.png").read_bytes().startswith(b"\x89PNG")


def test_without_total_there_is_no_band(maps):
    figure = draw_profile(maps[0], None, brightest_row(maps[0]), None)
    assert not figure.axes[1].collections
    assert set(lines(figure)) == {"super-resolved"}
