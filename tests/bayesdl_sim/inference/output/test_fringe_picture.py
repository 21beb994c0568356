"""The picture of the fringes shows carriers where they are."""

import matplotlib.image
import numpy as np

from bayesdl_sim.inference.output import fringe_picture
from bayesdl_sim.inference.output.fringe_picture import write_fringes


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
    drawn = []

    class Spy(fringe_picture.Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            drawn.append(self)

    monkeypatch.setattr(fringe_picture, "Figure", Spy)
    rows = [row(), row(probability=0.1), row(period_nm=None)]
    facts = {"cutoff_cycles_per_pixel": 0.33, "orientations": rows}
    spectra = np.random.default_rng(0).random((3, 64, 64)).astype(np.float32)
    write_fringes(tmp_path / "Patterns.png", spectra, facts)
    assert matplotlib.image.imread(tmp_path / "Patterns.png").shape[2] == 4
    panels = drawn[0].axes
    cut_off, *carriers = panels[0].patches
    assert cut_off.radius == 0.33
    np.testing.assert_allclose(carriers[0].center, (0.3 * np.sqrt(0.75), 0.15), atol=1e-6)
    np.testing.assert_allclose(carriers[1].center, (-0.3 * np.sqrt(0.75), -0.15), atol=1e-6)
    assert panels[1].patches[1].get_edgecolor() != carriers[0].get_edgecolor()  # doubtful
    assert "200 nm" in panels[0].get_title()
    assert "3.33 px" in panels[2].get_title()
