"""Pixels that differ in all frames are measured, named, and do less harm."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.moments.calibration import calibrate
from bayesdl_sim.dlbi.moments.deconvolution import density_of, held_out_iterations
from bayesdl_sim.dlbi.moments.imaging import Imaging, imaging_of
from bayesdl_sim.dlbi.moments.likelihood.evidence import evidence_of
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.scoring.scores import truth_scores
from bayesdl_sim.dlbi.stages.preparing import facts_of, prepare
from bayesdl_sim.dlbi.stages.records import Settings
from bayesdl_sim.physics.sensor.camera import Camera

OFFSET = Camera().offset


def patterned(counts, gain, offset, seed=3):
    """The movie of a camera whose pixels have gains and offsets (counts) of their own."""
    generator = torch.Generator().manual_seed(seed)
    gains, offsets = (torch.randn(counts.shape[1:], generator=generator) for _ in range(2))
    return (counts - OFFSET) * (1 + gain * gains) + OFFSET + offset * offsets


def test_a_camera_without_a_pattern_has_none(cell):
    assert calibrate(cell[1]).pattern is None


@pytest.mark.parametrize(("gain", "offset"), [(0.03, 0.0), (0.0, 4.0), (0.02, 2.0)])
def test_a_pattern_is_measured(cell, gain, offset):
    """On average: so small a field holds few independent values of such frequencies."""
    ratios = []
    for seed in range(3, 9):
        moments = moments_of(patterned(cell[0].counts, gain, offset, seed))
        calibration = calibrate(moments)
        light = (moments.mean - OFFSET) / calibration.gain
        true = (offset / calibration.gain) ** 2 + (gain * light).square()
        ratios.append(float(calibration.pattern.variance.mean() / true.mean()))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.5)


def test_a_narrow_spot_is_no_pattern(cell):
    moments = moments_of(patterned(cell[0].counts, 0.03, 0.0))
    assert calibrate(moments, fwhm_px=1.9).pattern is None


def test_the_mean_counts_less_where_pixels_differ_more(cell):
    moments = moments_of(patterned(cell[0].counts, 0.03, 0.0))
    calibration = calibrate(moments)
    imaging = imaging_of((32, 36), 1.1)
    evidence = evidence_of(moments, calibration, imaging)
    bright = evidence.mean > evidence.mean.quantile(0.9)
    assert float(evidence.weight[bright].mean()) < 0.5 * float(evidence.weight[~bright].mean())
    assert float(evidence.weight.max()) <= moments.frames
    plain = evidence_of(moments, replace(calibration, pattern=None), imaging)
    assert plain.weight == moments.frames


def test_the_pattern_is_not_fitted(cell):
    """The estimate stops before it, and is nearer to the truth than one that does not."""
    moments = moments_of(patterned(cell[0].counts, 0.04, 0.0))
    with_pattern = calibrate(moments)
    without = replace(with_pattern, pattern=None)
    start = torch.full((32, 36), 5.0)
    steps = [
        held_out_iterations(moments, c, c.imaging((32, 36)), start) for c in (with_pattern, without)
    ]
    assert steps[0] < steps[1]
    truth = cell[0].fluorophores.numpy()
    scores = [
        truth_scores(Imaging.crop(density_of(moments, c).light).numpy(), truth, 20.0).ncc
        for c in (with_pattern, without)
    ]
    assert scores[0] > scores[1] + 0.01


def test_the_note_gives_both_numbers(cell):
    movie = Movie.of(patterned(cell[0].counts, 0.03, 2.0))
    prepared = prepare(movie, Settings(stage="moments"))
    (note,) = [text for text in prepared.warnings if "pixels of the camera differ" in text]
    pattern = prepared.calibration.pattern
    assert f"{100 * pattern.gain:.2g} % in their gains" in note
    stored = facts_of(prepared)["calibration"]["pattern"]
    assert stored == {"offset_e": pattern.offset_e, "gain": pattern.gain}
