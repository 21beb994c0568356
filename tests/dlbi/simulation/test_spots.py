"""Images of single fluorophores: their light, their width, their place."""

import numpy as np
import pytest
import torch
from scipy.special import j1, ndtr

from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA, KERNELS, pixel_weights, spots
from bayesdl_sim.utils.errors import InputError

CENTRE = torch.tensor([[20.0, 20.0]], dtype=torch.float64)


def test_a_gaussian_is_integrated_over_pixels():
    weights = pixel_weights(torch.tensor([3.3], dtype=torch.float64), 0.9, 8)[0].numpy()
    edges = np.arange(9) - 0.5
    np.testing.assert_allclose(weights, np.diff(ndtr((edges - 3.3) / 0.9)), atol=1e-14)


@pytest.mark.parametrize("kernel", KERNELS)
def test_light_is_conserved(kernel):
    total = float(spots(CENTRE, 2.5, (41, 41), kernel).sum())
    # The rings of an Airy pattern reach far: within r the light missing is about 2 / (pi r).
    assert total == pytest.approx(1.0, abs=1e-9 if kernel == "gaussian" else 0.04)


@pytest.mark.parametrize("kernel", KERNELS)
def test_full_width_at_half_maximum(kernel):
    fwhm = 12.0  # wide, so that pixels do not matter
    profile = spots(CENTRE, fwhm, (41, 41), kernel)[0, 20].numpy()
    half = profile.max() / 2
    right = 20 + np.argmax(profile[20:] < half)
    edge = right - 1 + (profile[right - 1] - half) / (profile[right - 1] - profile[right])
    assert 2 * (edge - 20) == pytest.approx(fwhm, rel=0.02)


@pytest.mark.parametrize("kernel", KERNELS)
def test_centre_of_mass_is_the_position(kernel):
    position = torch.tensor([[19.7, 20.4]], dtype=torch.float64)
    image = spots(position, 2.0, (41, 41), kernel)[0]
    image = image[10:31, 10:31]
    y, x = torch.meshgrid(torch.arange(10.0, 31), torch.arange(10.0, 31), indexing="ij")
    assert float((image * y).sum() / image.sum()) == pytest.approx(19.7, abs=0.03)
    assert float((image * x).sum() / image.sum()) == pytest.approx(20.4, abs=0.03)


def test_variance_of_a_gaussian_spot_is_that_of_optics_and_pixel():
    sigma = 1.5
    image = spots(CENTRE, sigma * FWHM_PER_SIGMA, (41, 41))[0]
    offset = torch.arange(41, dtype=torch.float64) - 20
    variance = float((image.sum(0) * offset.square()).sum())
    assert variance == pytest.approx(sigma**2 + 1 / 12, rel=1e-6)


def test_an_airy_spot_is_integrated_over_pixels():
    position, fwhm, nodes = (4.3, 3.8), 2.2, (np.arange(40) + 0.5) / 40 - 0.5
    y, x = (np.add.outer(np.arange(9), nodes).ravel() - p for p in position)
    radius = np.hypot(y[:, None], x) * 3.2327 / fwhm
    fine = (2 * j1(radius) / radius) ** 2 * (3.2327 / fwhm) ** 2 / (4 * np.pi) / 1600
    expected = fine.reshape(9, 40, 9, 40).sum(axis=(1, 3))
    image = spots(torch.tensor([position], dtype=torch.float64), fwhm, (9, 9), "airy")[0]
    np.testing.assert_allclose(image, expected, atol=2e-3 * expected.max())


def test_unknown_kernel():
    with pytest.raises(InputError, match="kernel"):
        spots(CENTRE, 2.0, (9, 9), "box")
