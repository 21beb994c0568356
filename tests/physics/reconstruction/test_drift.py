"""Shifts between images are found to a twentieth of a pixel, as by a general library."""

import numpy as np
import pytest
import torch
from scipy.ndimage import fourier_shift, gaussian_filter
from skimage.registration import phase_cross_correlation

from bayesdl_sim.physics.reconstruction.drift import drift, shift_px


@pytest.mark.parametrize("shape", [(64, 96), (61, 75), (100, 101)])
@pytest.mark.parametrize("moved", [(0.0, 0.0), (0.35, -0.6), (-3.25, 7.5), (12.0, -20.1)])
def test_shift_is_that_of_skimage(shape, moved):
    image = gaussian_filter(np.random.default_rng(0).random(shape), 1.5)
    other = np.fft.ifft2(fourier_shift(np.fft.fft2(image), moved)).real
    spectra = torch.fft.rfft2(torch.from_numpy(np.stack([image, other])))
    expected = phase_cross_correlation(image, other, upsample_factor=20, normalization=None)[0]
    found = shift_px(*spectra, shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found, np.negative(moved), atol=0.1)


def test_drift_of_one_orientation_is_seen():
    image = gaussian_filter(np.random.default_rng(1).random((120, 130)), 2.0)
    frames = np.repeat(image[None], 9, axis=0)
    frames[6:] = np.roll(image, (2, -1), axis=(0, 1))
    found = drift(torch.from_numpy(frames))
    assert found.largest_px == pytest.approx(np.hypot(2, 1), abs=0.1)
    assert found.error_px < 0.1
    assert drift(torch.from_numpy(np.repeat(image[None], 9, axis=0))).largest_px == 0.0
