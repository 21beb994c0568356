"""The picture of the fringes shows carriers where they are."""

import matplotlib.image
import numpy as np
import pytest

from bayesdl_sim.inference.output import fringe_picture
from bayesdl_sim.inference.output.fringe_picture import write_fringes
from tests.utils.drawing.conftest import spied


def row(**changes):
    return {
        "period_nm": 200.0,
        "frequency_cycles_per_pixel": 0.3,
        "angle_deg": 30.0,
        "phases_deg": [0.0, 120.0, 240.0],
        "modulation": 0.4,
        "modulation_error": 0.02,
        "probability": 0.99,
    } | changes


def test_carriers_and_cut_off_are_drawn(tmp_path, monkeypatch):
    drawn = spied(monkeypatch, fringe_picture)
    rows = [row(), row(probability=0.1), row(period_nm=None)]
    facts = {"cutoff_cycles_per_pixel": 0.33, "orientations": rows}
    spectra = np.random.default_rng(0).random((3, 64, 64)).astype(np.float32)
    write_fringes(tmp_path / "Patterns.png", spectra, facts)
    assert matplotlib.image.imread(tmp_path / "Patterns.png").shape[0] > 400
    (canvas,) = drawn
    left, top, right, bottom = canvas.pictures[0]
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    cut_off, *carriers = canvas.circles[:3]
    np.testing.assert_allclose(cut_off[0], middle)
    assert cut_off[1] == pytest.approx(0.33 * (right - left))
    away = np.array([0.3 * np.sqrt(0.75), 0.15]) * (right - left)
    np.testing.assert_allclose(carriers[0][0], middle + away, atol=1e-6)
    np.testing.assert_allclose(carriers[1][0], middle - away, atol=1e-6)
    assert canvas.circles[4][2] != carriers[0][2]  # doubtful
    titles = [words for words, _ in canvas.texts if words.startswith("orientation")]
    assert "200 nm" in titles[0]
    assert "3.33 px" in titles[2]
    width, height = canvas.image.size
    for _, box in canvas.texts:
        assert 0 <= box[0] < box[2] <= width
        assert 0 <= box[1] < box[3] <= height
