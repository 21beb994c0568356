"""What the movie says of its microscope, against what it was simulated with."""

import math

import pytest
import torch

from bayesdl_sim.dlbi.blinking import FINE, MARGIN, Microscopy, simulate_movie
from bayesdl_sim.dlbi.moments.calibration import calibrate
from bayesdl_sim.dlbi.moments.noise import noise_line
from bayesdl_sim.dlbi.moments.spot_width import Spots, spot_width
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.simulation.scenes import draw_density
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.utils.errors import InputError

FWHM_PX, GAIN = 2.6, 2.0  # of the cell in conftest.py


def test_width_of_the_spots(cell):
    sigma = spot_width(cell[1]).sigma
    assert FWHM_PER_SIGMA * sigma == pytest.approx(FWHM_PX, rel=0.05)


@pytest.mark.parametrize(("fwhm", "name"), [(2.2, "sparse"), (3.6, "slow"), (3.0, "bleaching")])
def test_width_whatever_structure_and_switching(fwhm, name):
    generator = torch.Generator().manual_seed(round(10 * fwhm))
    density = draw_density("F-actin", (40, 40), 16.0, generator, 0.5)
    microscopy = Microscopy(fwhm_px=fwhm, photons=500.0)
    movie = simulate_movie(density, 1200.0, 120, generator, FLUOROPHORES[name], microscopy)
    sigma = spot_width(moments_of(movie.counts)).sigma
    assert FWHM_PER_SIGMA * sigma == pytest.approx(fwhm, rel=0.06)


@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_width_of_the_usual_emission_whatever_its_spread(jitter):
    generator = torch.Generator().manual_seed(8)
    density = draw_density("MT", (40, 40), 20.0, generator, 0.5)
    microscopy = Microscopy(fwhm_px=2.8, photons=1000.0, width_jitter=jitter)
    movie = simulate_movie(density, 3000.0, 150, generator, microscopy=microscopy)
    sigma = spot_width(moments_of(movie.counts)).sigma
    assert FWHM_PER_SIGMA * sigma == pytest.approx(2.8, rel=0.03)


@pytest.mark.parametrize("spread", [0.0, 0.04, 0.08])
def test_the_nearest_gaussian_has_the_mean_transfer_where_that_is_three_per_cent(spread):
    widths = 1.2 * (1 + spread * torch.randn(400_000, generator=torch.Generator().manual_seed(1)))
    frequency = math.sqrt(3.5 / 2) / (math.pi * 1.2)
    mean = float(torch.exp(-2 * (math.pi * widths * frequency) ** 2).mean())
    nearest = Spots(1.2, spread, 100.0, None).nearest
    assert math.exp(-2 * (math.pi * nearest * frequency) ** 2) == pytest.approx(mean, rel=0.02)


def test_width_where_little_fluoresces():
    """Two clusters fluctuate like few numbers, as a lamp that flickers would make them."""
    generator = torch.Generator().manual_seed(6)
    density = torch.zeros(FINE * (48 + 2 * MARGIN), FINE * (48 + 2 * MARGIN))
    for y, x in ((20, 14), (30, 35)):
        density[FINE * (MARGIN + y) :, FINE * (MARGIN + x) :][:20, :20] = 1.0
    microscopy = Microscopy(fwhm_px=3.2, photons=400.0)
    movie = simulate_movie(density, 2000.0, 200, generator, microscopy=microscopy)
    sigma = spot_width(moments_of(movie.counts)).sigma
    assert FWHM_PER_SIGMA * sigma == pytest.approx(3.2, rel=0.05)


def test_width_whatever_the_lamp_does():
    generator = torch.Generator().manual_seed(7)
    density = draw_density("MT", (40, 40), 20.0, generator, 0.5)
    movie = simulate_movie(density, 3000.0, 150, generator, microscopy=Microscopy(fwhm_px=2.8))
    lamp = 1 + 0.1 * torch.randn((150, 1, 1), generator=generator)
    sigma = spot_width(moments_of((movie.counts - 100) * lamp + 100)).sigma
    assert FWHM_PER_SIGMA * sigma == pytest.approx(2.8, rel=0.05)


@pytest.mark.parametrize("kernel", ["gaussian", "airy"])
def test_shape_of_the_spots(kernel):
    generator = torch.Generator().manual_seed(3)
    density = draw_density("MT", (40, 40), 20.0, generator, 0.5)
    microscopy = Microscopy(fwhm_px=2.5, photons=400.0, kernel=kernel, width_jitter=0.0)
    movie = simulate_movie(density, 1500.0, 120, generator, FLUOROPHORES["mEos3.2"], microscopy)
    estimate = spot_width(moments_of(movie.counts))
    if kernel == "gaussian":
        assert estimate.airy_fwhm is None
        assert FWHM_PER_SIGMA * estimate.sigma == pytest.approx(2.5, rel=0.05)
    else:
        assert estimate.airy_fwhm == pytest.approx(2.5, rel=0.03)
        assert FWHM_PER_SIGMA * estimate.sigma == pytest.approx(0.94 * 2.5, rel=0.04)


def test_noise_of_the_camera(cell):
    movie, moments = cell
    slope, intercept = noise_line(moments, FWHM_PX / FWHM_PER_SIGMA)
    mean = float(moments.mean.mean())
    expected = GAIN * (mean - 100) + (GAIN * 1.5) ** 2
    assert slope * mean + intercept == pytest.approx(expected, rel=0.15)
    assert slope == pytest.approx(GAIN, rel=0.3)


def test_dim_frames_without_structure_give_the_gain():
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(5, 80, 40).expand(200, 40, 40)
    counts = 3 * torch.poisson(ramp, generator=generator) + 50
    slope, intercept = noise_line(moments_of(counts), 1.1)
    assert slope == pytest.approx(3, rel=0.05)
    assert intercept == pytest.approx(-150, abs=25)


def test_poisson_like_electrons(cell):
    calibration = calibrate(cell[1])
    electrons = calibration.electrons(cell[1].mean)
    noise = slope_of(calibration, cell[1].mean)
    torch.testing.assert_close(electrons, noise / calibration.gain**2)


def slope_of(calibration, mean):
    return calibration.gain * (mean - calibration.shift)


def test_what_is_given_is_not_estimated(cell):
    calibration = calibrate(cell[1], fwhm_px=3.0, gain=GAIN)
    assert calibration.fwhm_px == pytest.approx(3.0)
    assert calibration.gain == GAIN
    assert calibration.estimated == ("offset",)


def test_a_still_movie_is_refused():
    generator = torch.Generator().manual_seed(0)
    structure = 50 + 40 * torch.rand((30, 30), generator=generator)
    counts = 2 * torch.poisson(structure.expand(80, 30, 30), generator=generator) + 100
    with pytest.raises(InputError, match="nothing blinks"):
        calibrate(moments_of(counts))


def test_a_flickering_lamp_is_no_blinking():
    generator = torch.Generator().manual_seed(0)
    structure = 50 + 40 * torch.rand((30, 30), generator=generator)
    lamp = 1 + 0.1 * torch.randn((80, 1, 1), generator=generator)
    counts = torch.poisson((structure * lamp).clamp(min=0), generator=generator) + 100
    with pytest.raises(InputError, match="nothing blinks"):
        calibrate(moments_of(counts))


def test_gain_of_another_camera():
    generator = torch.Generator().manual_seed(2)
    density = draw_density("ER", (40, 40), 20.0, generator, 0.5)
    microscopy = Microscopy(photons=80.0, camera=Camera(gain=0.5))
    movie = simulate_movie(density, 3000.0, 150, generator, microscopy=microscopy)
    assert calibrate(moments_of(movie.counts)).gain == pytest.approx(0.5, rel=0.3)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("value", [0.0, 50.0, 90.0])
def test_one_dark_pixel_does_not_set_the_gain(cell, value, noisy):
    counts = cell[0].counts.clone()
    noise = torch.randn(len(counts), generator=torch.Generator().manual_seed(4))
    counts[:, 10, 10] = value + 3 * noise * noisy
    usual, found = calibrate(cell[1]), calibrate(moments_of(counts))
    assert found.gain == pytest.approx(usual.gain, rel=0.02)
    assert found.shift == pytest.approx(usual.shift, abs=2)
