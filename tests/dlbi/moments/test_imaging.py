"""The imaging model: it is linear, its adjoint fits, and a fluorophore looks as it does."""

import pytest
import torch

from bayesdl_sim.dlbi.blinking import FINE, MARGIN
from bayesdl_sim.dlbi.moments.imaging import airy_imaging_of, imaging_of
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA, spots

SHAPE, FWHM = (12, 15), 2.6  # camera pixels


@pytest.mark.parametrize(
    ("kernel", "model", "off"),
    [
        ("gaussian", imaging_of(SHAPE, FWHM / FWHM_PER_SIGMA), 1e-6),
        ("airy", airy_imaging_of(SHAPE, FWHM), 0.01),  # three separable terms
    ],
)
def test_a_fine_pixel_becomes_a_spot(kernel, model, off):
    fine = torch.zeros(model.fine_shape)
    fine[FINE * MARGIN + 44, FINE * MARGIN + 61] = 3
    position = torch.tensor([[44.5 / FINE - 0.5, 61.5 / FINE - 0.5]])
    spot = spots(position, FWHM, SHAPE, kernel)[0]
    height = float(spot.max())
    torch.testing.assert_close(model.forward(fine), 3 * spot, atol=3 * off * height, rtol=0)
    squared = model.squared().forward(fine)
    torch.testing.assert_close(squared, 3 * spot.square(), atol=3 * off * height**2, rtol=0)


def test_shapes_of_spots_are_told_apart():
    fine = torch.zeros(imaging_of(SHAPE, 1.0).fine_shape)
    fine[FINE * MARGIN + 44, FINE * MARGIN + 61] = 1
    gaussian = imaging_of(SHAPE, FWHM / FWHM_PER_SIGMA).forward(fine)
    airy = airy_imaging_of(SHAPE, FWHM).forward(fine)
    assert float((gaussian - airy).abs().max()) > 0.05 * float(airy.max())


def test_no_variance_is_negative():
    for fwhm in (2.2, 2.6, 4.0):
        model = airy_imaging_of(SHAPE, fwhm)
        fine = torch.zeros(model.fine_shape)
        fine[FINE * MARGIN + 44, FINE * MARGIN + 61] = 1
        image = model.squared().forward(fine)
        assert float(image.min()) > -1e-9 * float(image.max())


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
