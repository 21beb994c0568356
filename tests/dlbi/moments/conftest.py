"""A small blinking cell that all tests of this folder share."""

import pytest
import torch

from bayesdl_sim.dlbi.blinking import Microscopy, simulate_movie
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.simulation.scenes import draw_density
from bayesdl_sim.physics.sensor.camera import Camera

FWHM_PX, GAIN = 2.6, 2.0


@pytest.fixture(scope="session")
def cell():
    """Movie of 100 x 32 x 36 and its moments."""
    generator = torch.Generator().manual_seed(11)
    density = draw_density("MT", (32, 36), 20.0, generator, 0.6)
    microscopy = Microscopy(fwhm_px=FWHM_PX, photons=300.0, camera=Camera(gain=GAIN))
    movie = simulate_movie(density, 900.0, 100, generator, microscopy=microscopy)
    return movie, moments_of(movie.counts)
