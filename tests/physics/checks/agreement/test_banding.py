"""Bands of rows and of columns that change from frame to frame are found, with period and share."""

import math

import pytest
import torch

from bayesdl_sim.physics.checks.agreement.banding import banding
from bayesdl_sim.physics.patterns.measured import MeasuredFrames

torch.set_num_threads(1)

FOUND = 30.0  # what the verdict warns from


def bands_of(raw):
    stack = MeasuredFrames(raw)
    return banding(stack.frames, stack.signal)


def hum(count, period, generator):
    """A wave of another phase in each of nine frames (9, count)."""
    place = torch.arange(count) / period
    return (2 * math.pi * (place + torch.rand(9, 1, generator=generator))).sin()


@pytest.mark.parametrize("period", [4.0, 12.0, 30.0])
@pytest.mark.parametrize("axis", [1, 2])
def test_hum_is_found_along_its_axis(stand, period, axis):
    raw = stand().stack((120, 136), 60.0, seed=2)
    amplitude = 0.03 * MeasuredFrames(raw).signal
    wave = amplitude * hum(raw.shape[axis], period, torch.Generator().manual_seed(3))
    bands = bands_of(raw + wave.unsqueeze(3 - axis))
    assert bands[axis - 1].clearness > FOUND
    assert bands[axis - 1].period_px == pytest.approx(period, rel=0.1)
    assert 0.005 < bands[axis - 1].share < 0.1
    assert bands[2 - axis].clearness < FOUND


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["F-actin", "beads", "Mitochondria"])
@pytest.mark.parametrize("signal_e", [4.0, 200.0])
def test_no_bands_in_good_stacks(stand, kind, seed, signal_e):
    raw = stand(start=0.4 * seed).stack((96, 112), signal_e, kind, seed)
    assert max(one.clearness for one in bands_of(raw)) < FOUND


def test_structure_along_the_rows_is_no_band(stand):
    generator = torch.Generator().manual_seed(1)
    lines = torch.zeros(100, 110)
    lines[10::9] = 80.0  # the same in all frames, of another brightness in each orientation
    light = torch.tensor([1.0, 1.05, 0.95]).repeat_interleave(3)[:, None, None]
    raw = torch.poisson(20 + light * lines, generator=generator) + 100
    assert bands_of(raw)[0].clearness < FOUND
