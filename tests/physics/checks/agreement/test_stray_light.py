"""A background that slopes is found, in all frames and in single ones; structure is no slope."""

import pytest
import torch

from bayesdl_sim.physics.checks.agreement.stray_light import stray_light
from bayesdl_sim.physics.patterns.measured import MeasuredFrames

torch.set_num_threads(1)

SIZE = (112, 128)
PLANE, SIGMA = 0.88, 30.0  # what the verdict warns from


def found_in(raw):
    stack = MeasuredFrames(raw)
    return stray_light(stack.frames, stack.signal)


def slope_of(raw, frames=slice(None)):
    """Light of the structure, added to some frames as a slope along the columns."""
    added = torch.zeros_like(raw)
    added[frames] = MeasuredFrames(raw).signal * torch.linspace(0, 1, raw.shape[2])
    return added


def test_a_slope_of_all_frames_is_measured_where_the_floor_is_seen(stand):
    raw = stand().stack(SIZE, 60.0, "beads", 1)
    found = found_in(raw + slope_of(raw))
    assert found.plane > PLANE
    assert found.slope == pytest.approx(1.0, abs=0.3)
    assert found.changing_sigma < SIGMA


@pytest.mark.parametrize("kind", ["F-actin", "CCPs", "ER"])
def test_a_slope_of_one_frame_is_measured(stand, kind):
    raw = stand().stack(SIZE, 60.0, kind, 1)
    found = found_in(raw + 0.8 * slope_of(raw, slice(4, 5)))
    assert found.changing_sigma > SIGMA
    assert found.changing == pytest.approx(0.7, rel=0.4)


@pytest.mark.parametrize("kind", ["F-actin", "CCPs", "Mitochondria", "beads"])
@pytest.mark.parametrize("signal_e", [4.0, 200.0])
def test_good_stacks_have_no_stray_light(stand, kind, signal_e):
    found = found_in(stand().stack(SIZE, signal_e, kind, 2))
    assert found.plane < PLANE
    assert found.changing_sigma < SIGMA


def test_uneven_light_on_the_structure_is_no_stray_light(stand):
    expected = 100 * stand().expected(SIZE, "ER", 3).clamp(min=0)
    uneven = torch.ones(9, 1, 1) * torch.linspace(0.9, 1.1, SIZE[1])
    uneven[3:6] = 2 - uneven[3:6]  # the light of this orientation falls off to the other side
    generator = torch.Generator().manual_seed(4)
    assert found_in(torch.poisson(expected * uneven, generator=generator)).changing_sigma < SIGMA


def test_dark_frames_are_not_measured():
    assert stray_light(torch.zeros(9, 80, 80), 0.0).slope == 0.0
