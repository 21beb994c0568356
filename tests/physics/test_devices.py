"""Everything that is measured of a stack is measured on the device that its frames are on."""

import numpy as np
import pytest
import torch

from bayesdl_sim.physics.checks.raw_checks import raw_checks
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.physics.reconstruction.resimulation import resimulate_field

# torch takes the other device for its own `meta`, on which copies do nothing.
pytestmark = pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")


@pytest.fixture
def raw(stand):
    return stand().stack((64, 80), signal_e=100.0)


def test_patterns(raw, other_device):
    expected = estimate(raw)
    with other_device.working():
        estimated = estimate(raw.to(other_device.device))
    light = expected.illumination
    assert estimated.illumination.frequency == pytest.approx(light.frequency, rel=1e-5)
    assert estimated.illumination.modulation == pytest.approx(light.modulation, rel=1e-3)
    np.testing.assert_allclose(estimated.illumination.phase, light.phase, atol=1e-3)
    assert estimated.probability == pytest.approx(expected.probability, abs=1e-3)


def test_first_guess_and_resimulation(raw, other_device):
    patterns = estimate(raw)
    expected = first_guess(raw, patterns)
    misfit = resimulate_field(raw, expected, patterns=patterns)
    with other_device.working():
        there = raw.to(other_device.device)
        guess = first_guess(there, patterns)
        comparison = resimulate_field(there, guess, patterns=patterns)
        assert guess.device == comparison.chi2.device == other_device.device
    scale = float(expected.abs().max())
    torch.testing.assert_close(other_device.on_cpu(guess), expected, rtol=0, atol=1e-4 * scale)
    torch.testing.assert_close(
        other_device.on_cpu(comparison.chi2), misfit.chi2, rtol=1e-2, atol=1e-2
    )
    assert comparison.unexplained == pytest.approx(misfit.unexplained, abs=1e-3)


def test_raw_checks(raw, other_device):
    patterns = estimate(raw)
    expected = raw_checks(raw, patterns=patterns).by_name()
    with other_device.working():
        checks = raw_checks(raw.to(other_device.device), patterns=patterns).by_name()
    for name, value in expected.items():
        if isinstance(value, str) or name in ("groups", "copies"):
            assert checks[name] == value
        else:
            np.testing.assert_allclose(checks[name], value, rtol=1e-2, atol=1e-3, err_msg=name)
