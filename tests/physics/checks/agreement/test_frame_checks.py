"""All measures of the frames together; small fields are not measured."""

import math

import pytest
import torch

from bayesdl_sim.physics.checks.agreement.banding import NO_BANDING
from bayesdl_sim.physics.checks.agreement.frame_checks import frame_checks
from bayesdl_sim.physics.checks.agreement.stray_light import NO_STRAY_LIGHT


@pytest.mark.parametrize("size", [(63, 80), (80, 63), (16, 16)])
def test_small_fields_are_not_measured(size):
    generator = torch.Generator().manual_seed(0)
    found = frame_checks(torch.rand((9, *size), generator=generator), signal=1.0)
    assert found.displaced == ()
    assert math.isinf(found.moved.error_px)
    assert found.bands == (NO_BANDING, NO_BANDING)
    assert found.stray == NO_STRAY_LIGHT


def test_fields_of_64_pixels_are_measured():
    generator = torch.Generator().manual_seed(0)
    found = frame_checks(torch.rand((9, 64, 64), generator=generator), signal=1.0)
    assert min(bands.clearness for bands in found.bands) > 0
    assert found.stray.changing_sigma > 0
