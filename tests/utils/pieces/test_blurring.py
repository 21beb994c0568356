"""Gaussian means are those of SciPy, with both ways to go on beyond the border."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d, gaussian_filter

from bayesdl_sim.utils.pieces import blurring
from bayesdl_sim.utils.pieces.blurring import gaussian


@pytest.mark.parametrize("shape", [(40, 150), (2, 129, 70)])
@pytest.mark.parametrize("sigma", [0.7, 2.0, 9.0])
@pytest.mark.parametrize(("mirrored", "mode"), [(True, "mirror"), (False, "constant")])
def test_means_are_those_of_scipy(shape, sigma, mirrored, mode):
    images = np.random.default_rng(0).normal(size=shape)
    radius = int(np.ceil(3 * sigma))
    expected = gaussian_filter(images, sigma, mode=mode, radius=radius, axes=(-2, -1))
    means = gaussian(torch.from_numpy(images), sigma, mirrored=mirrored)
    np.testing.assert_allclose(means, expected, atol=1e-12)


def test_single_precision_stays_single():
    image = torch.rand(100, 90, generator=torch.Generator().manual_seed(0))
    means = gaussian(image, 5.0, mirrored=True)
    assert means.dtype == torch.float32
    torch.testing.assert_close(means, gaussian(image.double(), 5.0, mirrored=True).float())


def test_a_reach_beyond_the_field_ends_at_its_other_border():
    image = np.random.default_rng(1).normal(size=(5, 7))
    means = gaussian(torch.from_numpy(image), 8.0, mirrored=True)
    for axis, n in enumerate(image.shape):
        kernel = np.exp(-0.5 * (np.arange(1 - n, n) / 8.0) ** 2)
        image = correlate1d(image, kernel / kernel.sum(), axis=axis, mode="mirror")
    np.testing.assert_allclose(means, image, atol=1e-12)


def test_nothing_comes_from_beyond_three_standard_deviations():
    image = torch.zeros(200, 1)
    image[100] = 1.0
    means = gaussian(image, 10.0, mirrored=False)[:, 0]
    assert torch.equal(means.nonzero()[[0, -1], 0], torch.tensor([70, 130]))


def test_products_are_those_of_true_float32(monkeypatch):
    """On NVIDIA GPUs they would round their inputs to ten bits, unless they are told not to."""
    real, precisions = blurring._weights, []

    def watched(*words):
        precisions.append(torch.backends.cuda.matmul.fp32_precision)
        return real(*words)

    monkeypatch.setattr(blurring, "_weights", watched)
    gaussian(torch.ones(20, 30), 2.0, mirrored=True)
    assert set(precisions) == {"ieee"}
