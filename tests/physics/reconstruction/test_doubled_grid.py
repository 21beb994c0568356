"""Margins that fade to zero, waves on the camera's grid, and halves of spectra of real images."""

import math

import pytest
import torch

from bayesdl_sim.physics.patterns.bands import fast_shape
from bayesdl_sim.physics.reconstruction.doubled_grid import (
    MARGIN,
    carrier,
    fade,
    full_plane,
    half_plane,
    mirror,
)

SIZE = (41, 52)


def test_the_margin_fades_from_one_in_the_field_to_zero():
    window = fade(SIZE[0], "cpu")
    field = slice(MARGIN, MARGIN + SIZE[0])
    torch.testing.assert_close(window[field], torch.ones(SIZE[0], dtype=torch.float64))
    assert float(window[0]) == pytest.approx(0.0, abs=1e-12)
    assert (window[: MARGIN + 1].diff() > 0).all()
    assert (window[MARGIN + SIZE[0] - 1 :].diff() < 0).all()
    assert float(window[MARGIN // 2]) == pytest.approx(0.5)  # halfway


def test_the_field_is_continued_by_its_mirror_image():
    image = torch.rand(SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shape = fast_shape(SIZE, MARGIN)
    padded = mirror(image, shape)
    assert padded.shape == shape
    torch.testing.assert_close(padded[MARGIN : MARGIN + SIZE[0], MARGIN : MARGIN + SIZE[1]], image)
    weight = float(fade(SIZE[0], "cpu")[MARGIN - 1])
    above = padded[MARGIN - 1, MARGIN : MARGIN + SIZE[1]]  # the first row again, a little fainter
    torch.testing.assert_close(above, weight * image[0])


def test_a_carrier_is_one_at_the_first_pixel_of_the_field():
    wave, shape = (0.11, -0.2), (12, 9)
    made = carrier(wave, shape, 4, torch.zeros(1, dtype=torch.complex128))
    assert complex(made[4, 4]) == pytest.approx(1.0)
    expected = complex(math.cos(0.4 * math.pi), -math.sin(0.4 * math.pi))  # one column further
    assert complex(made[4, 5]) == pytest.approx(expected)
    expected = complex(math.cos(0.22 * math.pi), math.sin(0.22 * math.pi))  # one row further
    assert complex(made[5, 4]) == pytest.approx(expected)


def test_half_a_spectrum_is_that_of_the_real_part():
    generator = torch.Generator().manual_seed(1)
    image = torch.randn((16, 20), generator=generator, dtype=torch.complex128)
    half = half_plane(torch.fft.fft2(image))
    torch.testing.assert_close(half, torch.fft.rfft2(image.real))
    torch.testing.assert_close(full_plane(half), torch.fft.fft2(image.real + 0j))
