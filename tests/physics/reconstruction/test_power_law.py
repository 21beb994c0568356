"""A power law is found from the spectrum of a filtered sample with noise."""

import math

import pytest
import torch

from bayesdl_sim.physics.optics import frequency_grid
from bayesdl_sim.physics.reconstruction.power_law import (
    REFERENCE,
    PowerLaw,
    noise_level,
    power_law,
    power_of,
    whole_shape,
)

SHAPE = (240, 300)


def spectrum(law, noise, area, seed=0):
    """Numerator and power of a filter that has seen a sample of that law, half planes."""
    radius = frequency_grid(SHAPE).double()
    gain = torch.exp(-(radius / 0.4).square())
    light = power_of(law, area, gain)
    expected = light * gain**2 + noise_level(noise, area) * gain
    generator = torch.Generator().manual_seed(seed)
    wave = torch.randn((2, *gain.shape), generator=generator, dtype=torch.float64)
    return torch.complex(*wave) * (expected / 2).sqrt(), gain


@pytest.mark.parametrize("noise", [0.0, 3e-9, 1e-7])
def test_known_law_is_found(noise):
    law = PowerLaw(-3.0, 2.4, 1000.0)
    fitted = power_law(*spectrum(law, noise, 1000.0), max(noise, 1e-30), 1000.0)
    assert fitted.height == pytest.approx(law.height, abs=0.1)
    assert fitted.slope == pytest.approx(law.slope, abs=0.1)


def test_law_of_a_larger_field_has_more_power():
    gain = torch.ones((40, 31), dtype=torch.float64)
    law = PowerLaw(1.0, 2.0, 100.0)
    assert whole_shape(gain) == (40, 60)
    torch.testing.assert_close(power_of(law, 300.0, gain), 3 * power_of(law, 100.0, gain))
    radius = 8 / 40  # cycles per pixel of the grid
    expected = math.exp(1.0) * (radius / REFERENCE) ** -2
    assert float(power_of(law, 100.0, gain)[8, 0]) == pytest.approx(expected)
