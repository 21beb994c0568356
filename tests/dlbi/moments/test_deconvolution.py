"""Stage 2 against Richardson-Lucy of the mean image that is told the true spots."""

from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch

from bayesdl_sim.dlbi.blinking import FINE, MARGIN, Microscopy, simulate_movie
from bayesdl_sim.dlbi.moments import deconvolution
from bayesdl_sim.dlbi.moments.calibration import Calibration, calibrate
from bayesdl_sim.dlbi.moments.deconvolution import (
    EARLY,
    MIDDLE,
    density_of,
    half_difference,
    held_out_iterations,
    polished,
)
from bayesdl_sim.dlbi.moments.imaging import Imaging, imaging_of
from bayesdl_sim.dlbi.moments.likelihood.evidence import Evidence, Fluctuation, evidence_of
from bayesdl_sim.dlbi.moments.likelihood.richardson_lucy import Solution, richardson_lucy
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.scoring.scores import truth_scores
from bayesdl_sim.dlbi.simulation.scenes import draw_density
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES
from bayesdl_sim.utils.errors import InputError

FWHM_PX, GAIN = 2.6, 2.0  # of the cell in conftest.py


@pytest.fixture(scope="module")
def estimate(cell):
    calibration = calibrate(cell[1])
    return calibration, density_of(cell[1], calibration)


def flat(evidence, value=5.0):
    return torch.full_like(evidence.mean, value)


def plain_step(evidence, light, background):
    ratio = evidence.mean / (evidence.imaging.forward(light) + background)
    ones = evidence.imaging.adjoint(torch.ones_like(evidence.mean))
    return light * evidence.imaging.adjoint(ratio) / ones


def test_one_step_is_that_of_richardson_and_lucy(cell):
    calibration = calibrate(cell[1])
    imaging = imaging_of((32, 36), 1.1)
    evidence = evidence_of(cell[1], calibration, imaging, share=0)
    assert evidence.fluctuations == ()
    first, _ = richardson_lucy(evidence, 1, flat(evidence))
    light = float((evidence.mean - 5).clamp(min=0).mean()) * evidence.mean.numel()
    start = torch.full(imaging.fine_shape, light / first.light.numel())
    torch.testing.assert_close(first.light, plain_step(evidence, start, 5.0), rtol=5e-3, atol=0.02)


@pytest.mark.parametrize("value", [60.0, 60000.0])  # dead, saturated
def test_a_pixel_that_never_changes_says_nothing_of_fluctuations(cell, value):
    calibration = calibrate(cell[1])
    imaging = imaging_of((32, 36), calibration.sigma_px)
    counts = cell[0].counts.clone()
    counts[:, 20, 20] = value
    changed, whole = (evidence_of(m, calibration, imaging) for m in (moments_of(counts), cell[1]))
    for fluctuation, before in zip(changed.fluctuations, whole.fluctuations, strict=True):
        assert fluctuation.weight[20, 20] == 0
        others = torch.ones((32, 36), dtype=torch.bool)
        others[20, 20] = False
        torch.testing.assert_close(
            fluctuation.weight[others], before.weight[others], rtol=0.02, atol=0
        )
    assert all((fluctuation.weight > 0).all() for fluctuation in whole.fluctuations)
    density = density_of(moments_of(counts), calibration, iterations=20)
    assert density.pulse > 1.0


def test_acceleration_does_not_lower_the_likelihood(cell):
    calibration = calibrate(cell[1])
    evidence = evidence_of(cell[1], calibration, imaging_of((32, 36), 1.1), share=0)

    def likelihood(iterations):
        solution, _ = richardson_lucy(evidence, iterations, flat(evidence))
        expected = evidence.imaging.forward(solution.light) + solution.background
        return float((evidence.mean * expected.log() - expected).sum())

    values = [likelihood(n) for n in (2, 5, 15, 40, 80)]
    assert values == sorted(values)


def test_alone_it_equals_deconvolution_with_the_true_spots(cell, estimate):
    movie, moments = cell
    calibration, density = estimate
    exact = replace(calibration, sigma_px=FWHM_PX / FWHM_PER_SIGMA, gain=GAIN)
    imaging = imaging_of((32, 36), exact.sigma_px)
    evidence = evidence_of(moments, exact, imaging, share=0)
    reference, _ = richardson_lucy(evidence, 200, flat(evidence))
    truth = movie.fluorophores.numpy()
    ours = truth_scores(Imaging.crop(density.light).numpy(), truth, 20.0)
    best = truth_scores(Imaging.crop(reference.light).numpy(), truth, 20.0)
    assert ours.psnr > best.psnr - 0.1
    assert ours.ncc > best.ncc - 0.01


def test_it_is_far_better_than_the_mean_image(cell, estimate):
    movie, moments = cell
    mean = moments.mean.repeat_interleave(8, 0).repeat_interleave(8, 1).numpy()
    truth = movie.fluorophores.numpy()
    plain = truth_scores(mean, truth, 20.0)
    assert truth_scores(Imaging.crop(estimate[1].light), truth, 20.0).ncc > plain.ncc + 0.1


def test_light_and_background_are_those_of_the_movie(cell, estimate):
    movie, _ = cell
    calibration, density = estimate
    imaging = imaging_of((32, 36), calibration.sigma_px)
    expected = imaging.forward(density.light) + density.background
    mean = calibration.electrons(cell[1].mean)
    assert float(expected.mean()) == pytest.approx(float(mean.mean()), rel=0.02)
    assert bool((density.light >= 0).all())


def test_fluctuations_tell_two_emitters_that_the_mean_does_not():
    # Without noise: the variance is an image through a spot that is narrower by sqrt(2).
    imaging = imaging_of((16, 16), 1.2)
    light = torch.zeros(imaging.fine_shape)
    light[96, 90] = light[96, 102] = 1000.0
    mean = imaging.forward(light) + 1
    pulse = 200.0
    excess = pulse * imaging.squared().forward(light)
    plain = Evidence(mean=mean, frames=100.0, imaging=imaging)
    joint = replace(plain, fluctuations=(Fluctuation(excess, torch.full_like(excess, 0.5)),))
    valley = {}
    for name, evidence in (("mean", plain), ("both", joint)):
        solution, _ = richardson_lucy(evidence, 60, flat(evidence, 1.0))
        row = solution.light[94:99].sum(0)
        valley[name] = float(row[96] / row[88:105].max())
    assert valley["both"] < valley["mean"]
    assert solution.pulses[0] == pytest.approx(pulse, rel=0.1)


def test_an_estimate_that_diverges_is_refused(cell, estimate, monkeypatch):
    broken = estimate[1].light * float("nan"), estimate[1].background, ()
    monkeypatch.setattr(deconvolution, "richardson_lucy", lambda *_, **__: (Solution(*broken), {}))
    with pytest.raises(InputError, match="no finite values"):
        density_of(cell[1], estimate[0], iterations=EARLY)


def test_same_movie_same_estimate(cell, estimate):
    again = density_of(cell[1], estimate[0])
    assert torch.equal(again.light, estimate[1].light)
    assert again.iterations == estimate[1].iterations


def test_smooth_estimates_are_those_on_the_way(cell):
    calibration = calibrate(cell[1])
    long = density_of(cell[1], calibration, iterations=MIDDLE + 20)
    assert torch.equal(long.middle, density_of(cell[1], calibration, iterations=MIDDLE).light)
    short = density_of(cell[1], calibration, iterations=EARLY)
    assert torch.equal(long.early, short.light)
    assert torch.equal(short.middle, short.light)


def test_bright_movies_ask_for_more_iterations_than_dim_ones():
    imaging = imaging_of((24, 24), 1.1)
    light = torch.zeros(imaging.fine_shape)
    light[90:150:12, 70:170] = 1.0
    mean = imaging.forward(light)
    generator = torch.Generator().manual_seed(0)
    calibration = Calibration(
        gain=1.0, shift=0.0, sigma_px=1.1, airy_fwhm_px=None, blinking=1.0, estimated=()
    )
    iterations = {}
    for photons, correlation in ((5.0, 0.0), (50000.0, 0.0), (50000.0, 0.5)):
        whole = (photons * mean / mean.max() + 1).expand(2, 24, 24)
        halves = torch.poisson(whole, generator)
        turns = torch.poisson(whole / photons, generator) * photons  # a thousandth of the light
        excess = photons * halves[0]
        moments = Mock(
            halves=halves,
            turns=turns if correlation else None,
            frames=2,
            mean=halves.mean(0),
            lag=correlation * excess,
        )
        moments.variance = moments.mean + excess
        background = torch.ones(24, 24)
        asked = held_out_iterations(moments, calibration, imaging, background)
        iterations[photons, correlation] = asked
    assert iterations[5.0, 0.0] < 300 < iterations[50000.0, 0.0]
    # Halves of a movie that share emissions cannot judge each other: those that take turns do.
    assert iterations[50000.0, 0.5] < 300


@pytest.fixture(scope="module")
def hazy():
    """A cell that covers a part of its field, in a haze that is brighter than it."""
    generator = torch.Generator().manual_seed(5)
    cell = draw_density("MT", (40, 40), 20.0, generator, 0.3)
    cell[:, FINE * (MARGIN + 22) :] = 0
    microscopy = Microscopy(photons=400.0, background_fraction=1.5, background_relief=0.5)
    fluorophore = FLUOROPHORES["bleaching"]
    return simulate_movie(cell, 700, 120, generator, fluorophore, microscopy)


def test_haze_is_not_explained_by_fluorophores(hazy):
    moments = moments_of(hazy.counts)
    calibration = calibrate(moments)
    density = density_of(moments, calibration)
    field = Imaging.crop(density.light)
    empty = torch.zeros_like(field, dtype=torch.bool)
    empty[:, FINE * 25 :] = True
    assert not hazy.fluorophores[empty].any()
    assert float(field[empty].sum() / field.sum()) < 0.05
    flat_haze = evidence_of(moments, calibration, imaging_of((40, 40), calibration.sigma_px), 0)
    plain, _ = richardson_lucy(flat_haze, 100, flat(flat_haze, float(flat_haze.mean.min())))
    plain = Imaging.crop(plain.light)
    assert float(plain[empty].sum() / plain.sum()) > 0.1  # the mean alone does not tell
    assert truth_scores(field, hazy.fluorophores, 20.0).ncc > 0.8


def test_polishing_undoes_what_the_movie_contradicts(cell, estimate):
    calibration, density = estimate
    light = Imaging.crop(density.light).clone()
    light[:128] *= 0.2  # a network that loses half of the field
    imaging = imaging_of((32, 36), calibration.sigma_px)
    evidence = evidence_of(cell[1], calibration, imaging, share=0)

    def misfit(field):
        padded = density.light.clone()
        imaging.crop(padded).copy_(field)
        expected = imaging.forward(padded) + density.background
        return float((expected - evidence.mean).square().mean().sqrt())

    better = polished(cell[1], calibration, density, light)
    assert misfit(better) < 0.15 * misfit(light)
    assert bool((better >= 0).all())


def test_polishing_leaves_the_density_untouched(cell, estimate):
    calibration, density = estimate
    before = density.light.clone()
    polished(cell[1], calibration, density, torch.ones((256, 288)))
    assert torch.equal(density.light, before)


def test_halves_of_a_movie_differ_where_there_is_light(cell, estimate):
    calibration, density = estimate
    difference = half_difference(cell[1], calibration, density.iterations)
    bright = density.light > density.light.quantile(0.99)
    assert float(difference[bright].mean()) > 5 * float(difference[~bright].mean())
