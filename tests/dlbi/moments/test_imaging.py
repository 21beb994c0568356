"""The imaging model: it is linear, its adjoint fits, and a fluorophore looks as it does."""

import torch

from bayesdl_sim.dlbi.blinking import FINE, MARGIN
from bayesdl_sim.dlbi.moments.imaging import airy_imaging_of, imaging_of
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


def test_a_fine_pixel_becomes_an_airy_spot():
    fwhm = 2.6
    imaging = airy_imaging_of(SHAPE, fwhm)
    fine = torch.zeros(imaging.fine_shape)
    fine[FINE * MARGIN + 44, FINE * MARGIN + 61] = 3
    position = torch.tensor([[44.5 / FINE - 0.5, 61.5 / FINE - 0.5]])
    expected = 3 * spots(position, fwhm, SHAPE, "airy")[0]
    height = float(expected.max())
    torch.testing.assert_close(imaging.forward(fine), expected, atol=0.01 * height, rtol=0)
    squared = imaging.squared().forward(fine)
    expected = expected.square() / 3
    torch.testing.assert_close(squared, expected, atol=0.001 * height**2, rtol=0)
    gaussian = imaging_of(SHAPE, fwhm / FWHM_PER_SIGMA).forward(fine)
    assert float((gaussian - imaging.forward(fine)).abs().max()) > 0.05 * height


def test_adjoint():
    generator = torch.Generator().manual_seed(0)
    models = (imaging_of(SHAPE, 0.9), airy_imaging_of(SHAPE, 2.2))
    for imaging in (*models, *(model.squared() for model in models)):
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
