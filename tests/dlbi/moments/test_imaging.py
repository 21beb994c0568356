"""The imaging model: it is linear, its adjoint fits, and a fluorophore looks as it does."""

import torch

from bayesdl_sim.dlbi.blinking import FINE, MARGIN
from bayesdl_sim.dlbi.moments.imaging import imaging_of
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA, spots

SHAPE = (12, 15)


def test_a_fine_pixel_becomes_a_spot():
    sigma = 1.1
    imaging = imaging_of(SHAPE, sigma)
    fine = torch.zeros(imaging.fine_shape)
    fine[FINE * MARGIN + 44, FINE * MARGIN + 61] = 3
    position = torch.tensor([[44.5 / FINE - 0.5, 61.5 / FINE - 0.5]])
    expected = 3 * spots(position, sigma * FWHM_PER_SIGMA, SHAPE)[0]
    torch.testing.assert_close(imaging.forward(fine), expected, atol=1e-6, rtol=0)
    squared = imaging.squared().forward(fine / 3)
    torch.testing.assert_close(squared, (expected / 3).square(), atol=1e-6, rtol=0)


def test_adjoint():
    generator = torch.Generator().manual_seed(0)
    for imaging in (imaging_of(SHAPE, 0.9), imaging_of(SHAPE, 0.9).squared()):
        fine = torch.rand(imaging.fine_shape, generator=generator)
        image = torch.rand(SHAPE, generator=generator)
        left = (imaging.forward(fine) * image).sum()
        right = (fine * imaging.adjoint(image)).sum()
        torch.testing.assert_close(left, right, rtol=1e-4, atol=0)


def test_light_from_beyond_the_border_reaches_the_field():
    imaging = imaging_of(SHAPE, 1.2)
    fine = torch.zeros(imaging.fine_shape)
    fine[FINE * MARGIN - 4, FINE * MARGIN + 40] = 1
    assert 0.1 < float(imaging.forward(fine).sum()) < 0.6


def test_crop_is_the_field():
    imaging = imaging_of(SHAPE, 1.0)
    fine = torch.zeros((2, *imaging.fine_shape))
    assert imaging.crop(fine).shape == (2, FINE * SHAPE[0], FINE * SHAPE[1])
