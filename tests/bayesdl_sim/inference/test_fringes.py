"""Fringes in numbers, words and spectra: true to the estimate, and honest where there are none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.inference.fringes import fringe_facts, fringe_sentence, fringe_spectra
from bayesdl_sim.inference.prepared.stack import PreparedStack


@pytest.fixture(scope="module")
def prepared(cristae, stack_of):
    kept = PreparedStack(stack_of(cristae[:, :96, :96]))
    kept.patterns(0)
    return kept


def test_facts_are_those_of_the_estimate_in_nm_and_degrees(prepared):
    (facts,) = fringe_facts(prepared)
    estimate = prepared.patterns(0)
    assert facts["time_point"] == 1
    assert facts["wide_field_limit_nm"] == pytest.approx(65.0 / estimate.optics.cutoff, abs=0.1)
    for o, row in enumerate(facts["orientations"]):
        assert row["period_nm"] == pytest.approx(
            65.0 / estimate.illumination.frequency[o], abs=0.01
        )
        assert row["angle_deg"] == pytest.approx(
            np.degrees(estimate.illumination.angle[o]), abs=0.01
        )
        assert row["modulation"] == pytest.approx(estimate.illumination.modulation[o], abs=1e-3)
        assert all(0 <= phase <= 360 for phase in row["phases_deg"])
    unknown = PreparedStack(replace(prepared.stack, pixel_size_nm=None))
    unknown.restore(0, prepared.norm(0), estimate, 0)
    assert fringe_facts(unknown)[0]["orientations"][0]["period_nm"] is None
    assert " px, modulation" in fringe_sentence(fringe_facts(unknown))


def test_the_sentence_gives_the_share_of_the_fringes(prepared):
    facts = fringe_facts(prepared)
    assert fringe_sentence(facts).startswith("fringes found in 3 of 3 orientations, period 3")
    assert fringe_sentence([]) == ""
    rows = [dict(row) for row in facts[0]["orientations"]]
    rows[1]["probability"] = 0.01
    two = fringe_sentence([facts[0] | {"orientations": rows}])
    assert "2 of 3 orientations" in two
    assert "along the others the resolution is that of wide field" in two
    none = [row | {"probability": 0.01} for row in rows]
    words = fringe_sentence([facts[0] | {"orientations": none}])
    assert words.startswith("WARNING: no fringes were found: this is a denoised, deconvolved wide")
    assert f"about {facts[0]['wide_field_limit_nm']:.0f} nm" in words


def test_spectra_peak_at_the_carriers():
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    waves = [(0.25, 0.0), (0.125, 0.1875), (-0.125, 0.1875)]  # (ky, kx), cycles per pixel
    frames = torch.stack(
        [
            100 + 50 * torch.cos(2 * torch.pi * (ky * rows + kx * columns + step / 3))
            for ky, kx in waves
            for step in range(3)
        ]
    )
    spectra = fringe_spectra(frames)
    assert spectra.shape == (3, 128, 128)
    for (ky, kx), spectrum in zip(waves, spectra, strict=True):
        peak = np.unravel_index(spectrum.argmax(), spectrum.shape)
        place = [(i - 64) / 128 for i in peak]
        assert place in ([ky, kx], [-ky, -kx])
    assert fringe_spectra(frames.repeat(1, 3, 3)).shape == (3, 256, 256)
