"""The noise of a stack is measured where no lens transmits anything."""

import math

import pytest
import torch

from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.patterns.noise import noise_line, noise_variance, noise_weight


def test_slope_is_the_gain(stand):
    level, gain = noise_line(MeasuredFrames(stand().stack(size=(160, 160), signal_e=200.0)).frames)
    assert gain == pytest.approx(2.0, rel=0.15)
    assert level > 0


def test_variance_of_white_noise():
    frames = 3.0 * torch.randn(9, 96, 80, generator=torch.Generator().manual_seed(0))
    assert noise_variance(frames, TYPICAL_OPTICS) == pytest.approx(9.0, rel=0.05)


def test_weighed_frames_have_the_same_noise_everywhere():
    generator = torch.Generator().manual_seed(1)
    light = 220.0 - 140.0 * torch.cos(2 * math.pi * torch.arange(128) / 128).expand(128, 128)
    frames = torch.poisson(light.expand(9, 128, 128).contiguous(), generator=generator)
    weighed = frames * noise_weight(frames - 80.0)
    left, right = (weighed[:, :, part].var(dim=0).mean() for part in (slice(16), slice(56, 72)))
    assert float(right / left) == pytest.approx(1.0, rel=0.25)
    plain = frames[:, :, 56:72].var(dim=0).mean() / frames[:, :, :16].var(dim=0).mean()
    assert float(plain) > 2.5


def test_a_constant_stack_weighs_all_pixels_alike():
    weight = noise_weight(torch.zeros(9, 32, 40))
    assert torch.equal(weight, torch.ones(32, 40))
