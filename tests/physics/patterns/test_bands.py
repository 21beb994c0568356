"""The transfer function on the camera's grid."""

import math

import pytest
import torch

from bayesdl_sim.physics.optics import TYPICAL_OPTICS, otf
from bayesdl_sim.physics.patterns.bands import camera_otf, frequencies


@pytest.mark.parametrize("shape", [(40, 40), (33, 50), (50, 33)])
def test_camera_otf_is_the_otf_times_the_pixel(shape):
    """Every frequency of the camera's grid is one of the doubled grid, too."""
    half = otf(TYPICAL_OPTICS, (2 * shape[0], 2 * shape[1])).double()
    fy, fx = frequencies(shape, "cpu")
    rows, columns = ((f * n).round().abs().long() for f, n in zip((fy, fx), shape, strict=True))
    pixel = torch.cos(math.pi * fy / 2) * torch.cos(math.pi * fx / 2)
    torch.testing.assert_close(
        camera_otf(TYPICAL_OPTICS, shape, "cpu"), half[rows, columns] * pixel, rtol=0, atol=1e-15
    )
