"""Light that does not blink: beads, another structure, and an uneven background."""

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.moments.calibration import calibrate
from bayesdl_sim.dlbi.moments.deconvolution import ALONE, density_of
from bayesdl_sim.dlbi.moments.imaging import Imaging, imaging_of
from bayesdl_sim.dlbi.moments.likelihood.evidence import evidence_of, without_static
from bayesdl_sim.dlbi.moments.likelihood.richardson_lucy import richardson_lucy
from bayesdl_sim.dlbi.moments.static_light import (
    StaticLight,
    light_maps,
    static_light,
    static_pixels,
)
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.scoring.scores import truth_scores
from bayesdl_sim.dlbi.simulation.scenes import draw_density
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA, spots

FWHM_PX, GAIN = 2.6, 2.0  # of the cell in conftest.py
PLACE = (20.0, 9.0)  # row and column of the bead, from 0


def bead(electrons):
    return electrons * spots(torch.tensor([PLACE]), FWHM_PX, (32, 36))[0]


def with_light(cell, light, seed=0):
    """Moments of the movie with light (H, W) in electrons that does not blink, but has noise."""
    generator = torch.Generator().manual_seed(seed)
    counts = cell[0].counts
    return moments_of(
        counts + GAIN * torch.poisson(light.expand(counts.shape), generator=generator)
    )


def darkest(moments, calibration):
    mean = calibration.electrons(moments.mean)
    return torch.full_like(mean, float(mean.quantile(0.01)))


def ncc(density, cell):
    return truth_scores(Imaging.crop(density.light), cell[0].fluorophores, 20.0).ncc


@pytest.fixture(scope="module")
def clean(cell):
    return density_of(cell[1], calibrate(cell[1]))


def test_a_cell_that_blinks_has_none(cell, clean):
    calibration = calibrate(cell[1])
    maps = light_maps(cell[1], calibration, darkest(cell[1], calibration))
    assert static_pixels(maps) is None
    assert clean.static is None
    assert clean.note == ""
    assert clean.still_light(cell[1], calibration) is clean.background


def test_light_and_fluctuations_agree_where_everything_blinks(cell):
    calibration = calibrate(cell[1])
    light, blinking, _, _ = light_maps(cell[1], calibration, darkest(cell[1], calibration))
    bright = light > 0.3 * light.max()
    assert np.median(blinking[bright] / light[bright]) == pytest.approx(1, abs=0.15)


def test_a_bead_is_found_where_it_is(cell):
    moments = with_light(cell, bead(20000.0))
    calibration = calibrate(moments)
    maps = light_maps(moments, calibration, darkest(moments, calibration))
    static = static_pixels(maps)
    assert bool(static[20, 9])
    assert float(static.float().mean()) < 0.15
    found = static_light(static, maps, calibration.fwhm_px)
    assert found.spots == ("row 21, column 10",)
    assert found.rest == 0


def test_a_bead_is_left_out_of_the_density(cell, clean):
    moments = with_light(cell, bead(20000.0))
    calibration = calibrate(moments)
    density = density_of(moments, calibration)
    assert "a spot at row 21, column 10" in density.note
    whole = Imaging.crop(density.light).sum() / Imaging.crop(clean.light).sum()
    assert whole == pytest.approx(1, abs=0.2)  # the bead alone has four times the light of the cell
    far = torch.ones((32, 36))
    far[12:29, 1:18] = 0
    far = torch.nn.functional.interpolate(far[None, None], scale_factor=8)[0, 0]
    estimates = [Imaging.crop(d.light) * far for d in (clean, density)]
    truth = cell[0].fluorophores * far
    usual, beside = (truth_scores(estimate, truth, 20.0).ncc for estimate in estimates)
    assert beside > usual - 0.02


def test_its_light_belongs_to_the_background_of_later_stages(cell):
    moments = with_light(cell, bead(20000.0))
    calibration = calibrate(moments)
    density = density_of(moments, calibration)
    left = calibration.electrons(moments.mean) - density.still_light(moments, calibration)
    assert float(left[20, 9]) < 0.05 * float(bead(20000.0)[20, 9])


def test_a_slope_is_an_uneven_background(cell, clean):
    top = 5 * float(calibrate(cell[1]).electrons(cell[1].mean).quantile(0.95))
    slope = top * torch.linspace(0, 1, 36).expand(32, 36)
    moments = with_light(cell, slope)
    calibration = calibrate(moments)
    density = density_of(moments, calibration)
    assert density.note.endswith("taken for an uneven background")
    difference = density.background - slope
    assert float((difference - difference.mean()).abs().mean()) < 0.05 * top
    assert ncc(density, cell) > ncc(clean, cell) - 0.06


def test_another_structure_leaves_the_fluctuations_alone(cell):
    generator = torch.Generator().manual_seed(3)
    other = imaging_of((32, 36), FWHM_PX / FWHM_PER_SIGMA).forward(
        draw_density("MT", (32, 36), 20.0, generator, 0.3)
    )
    bright = float(calibrate(cell[1]).electrons(cell[1].mean).quantile(0.99))
    moments = with_light(cell, other / other.quantile(0.99) * bright)
    density = density_of(moments, calibrate(moments))
    assert bool(density.static.all())
    assert density.iterations == ALONE
    assert "only the fluctuations are used" in density.note
    ordinary = density_of(cell[1], calibrate(cell[1]), iterations=ALONE)
    assert ncc(density, cell) > ncc(ordinary, cell) - 0.08


def test_notes():
    assert StaticLight((), 0.0).note == ""
    spots_alone = StaticLight(tuple(f"row {n}, column 1" for n in range(1, 7)), 0.0)
    assert "(spots at row 1, column 1; row 2, column 1; " in spots_alone.note
    assert " and 2 more)" in spots_alone.note
    assert not spots_alone.is_structure
    assert "3 % of the field" in StaticLight((), 0.03).note
    assert "not the mean image" in StaticLight((), 0.2).note


def test_too_few_fluctuations_tell_nothing(cell):
    calibration = calibrate(cell[1])
    still = with_light(cell, torch.zeros((32, 36)))
    still.variance.copy_(GAIN * (still.mean - calibration.shift))
    assert light_maps(still, calibration, darkest(still, calibration)) is None
    assert static_pixels(None) is None


def test_the_mean_of_masked_pixels_does_not_count(cell):
    calibration = calibrate(cell[1])
    evidence = evidence_of(cell[1], calibration, calibration.imaging((32, 36)))
    static = torch.zeros((32, 36), dtype=torch.bool)
    static[10:14, 10:14] = True
    background, results = darkest(cell[1], calibration), []
    for value in (0.0, 1e4):
        mean = torch.where(static, value, evidence.mean)
        masked = without_static(evidence.__class__(**{**vars(evidence), "mean": mean}), static)
        start = torch.ones(evidence.imaging.fine_shape)
        results.append(richardson_lucy(masked, 5, background, start=start)[0].light)
    torch.testing.assert_close(*results)
    assert without_static(evidence, None) is evidence
