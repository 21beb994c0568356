"""Noise grows in proportion to the light of a camera, not of values stored with a gamma."""

import math

import pytest
import torch

from bayesdl_sim.physics.checks.photon_statistics import noise_growth, stored_gamma
from bayesdl_sim.physics.patterns.measured import MeasuredFrames, background_of


def power_of(counts, gamma):
    return (60000 * (counts / counts.max()) ** gamma).round()


@pytest.fixture(scope="module")
def good(stand):
    return stand(modulation=0.4).stack(size=(144, 144), signal_e=120.0, kind="MT")


@pytest.mark.parametrize(("signal_e", "kind"), [(4.0, "MT"), (30.0, "ER"), (200.0, "F-actin")])
def test_counts_of_a_camera_grow_as_a_line(stand, signal_e, kind):
    growth = noise_growth(
        MeasuredFrames(stand(modulation=0.6).stack((128, 128), signal_e, kind=kind)).frames
    )
    assert growth.exponent == pytest.approx(1.0, abs=4 * growth.error)
    assert growth.error < 0.2


def test_gain_and_offset_change_nothing(good):
    growth, other = (
        noise_growth(MeasuredFrames(good).frames),
        noise_growth(MeasuredFrames(5 * good + 300).frames),
    )
    assert other.exponent == pytest.approx(growth.exponent, abs=1e-3)
    assert other.error == pytest.approx(growth.error, rel=0.02)


@pytest.mark.parametrize("gamma", [0.5, 0.6, 0.7, 0.8, 1.3])
def test_a_gamma_is_found_and_measured(good, gamma):
    frames = MeasuredFrames(power_of(good, gamma)).frames
    growth = noise_growth(frames)
    assert growth.is_doubtful
    assert (growth.exponent < 1) == (gamma < 1)
    background = background_of(power_of(good, gamma).mean(dim=0).flatten())
    assert stored_gamma(frames, background) == pytest.approx(gamma, abs=0.11)


def test_noise_without_growth_is_no_cameras(stand):
    light = 200 * stand().expected((128, 128), kind="MT")
    noise = torch.randn(light.shape, generator=torch.Generator().manual_seed(5))
    assert noise_growth(MeasuredFrames(light + 5 * noise).frames).exponent == 0.0


def test_noise_alone_does_not_tell():
    noise = torch.randn((9, 96, 96), generator=torch.Generator().manual_seed(6))
    growth = noise_growth(noise)
    assert math.isnan(growth.exponent)
    assert not growth.is_doubtful


def test_pixels_of_no_weight_do_not_count(good):
    weight = torch.ones(good.shape[1:])
    weight[40:80, 30:70] = 0.0
    spoiled = good.clone()
    noise = torch.randn((9, 32, 32), generator=torch.Generator().manual_seed(7))
    spoiled[:, 44:76, 34:66] = 110 + 40 * noise
    growth = noise_growth(MeasuredFrames(spoiled).frames, weight)
    assert growth.exponent == pytest.approx(1.0, abs=4 * growth.error)
    assert noise_growth(MeasuredFrames(spoiled).frames).deviation > growth.deviation + 4
