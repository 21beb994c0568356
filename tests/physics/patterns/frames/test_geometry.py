"""Deviations from steps of 120 and angles of 60 degrees are those that were put in."""

import math

import pytest

from bayesdl_sim.physics.patterns.frames.fringe_search import FringeGroup
from bayesdl_sim.physics.patterns.frames.geometry import geometry_of


def group(orientation, angle_deg, phases_deg=(0, 120, 240), height=40.0):
    """Three frames of one orientation."""
    frames = tuple(range(3 * orientation, 3 * orientation + 3))
    phase = tuple(math.radians(phase + 17) for phase in phases_deg)
    return of_frames(frames, phase, math.radians(angle_deg), height)


def of_frames(frames, phase, angle=0.0, height=9.0):
    heights = (height,) * len(frames)
    return FringeGroup(frames=frames, frequency=0.25, angle=angle, height=heights, phase=phase)


@pytest.mark.parametrize("turn", [0, 40, 170, -65])
@pytest.mark.parametrize("sense", [1, -1])
def test_a_regular_stand_deviates_by_nothing(turn, sense):
    groups = [group(n, turn + 60 * n, (0, sense * 120, sense * 240)) for n in range(3)]
    geometry = geometry_of(groups)
    assert geometry.phase_step_deg == pytest.approx((0, 0, 0), abs=1e-6)
    assert geometry.angle_error_deg == pytest.approx(0, abs=1e-6)


def test_a_step_and_an_angle_that_deviate_are_measured():
    groups = [group(0, 0), group(1, 60, (0, 127, 240)), group(2, 112)]
    geometry = geometry_of(groups)
    assert geometry.phase_step_deg == pytest.approx((0, 7, 0), abs=1e-6)
    assert geometry.angle_error_deg == pytest.approx(8, abs=1e-6)


def test_high_peaks_give_certain_phases():
    low, high = (geometry_of([group(0, 0, height=h)]).phase_step_error_deg[0] for h in (8, 80))
    assert low == pytest.approx(10 * high)
    assert high == pytest.approx(math.degrees(0.85 * math.sqrt(2) / 80))


def test_what_is_no_orientation_says_nothing():
    pair = of_frames((0, 1), (0.0, 1.0))
    mixed = of_frames((0, 1, 3), (0.0, 1.0, 2.0))
    geometry = geometry_of([pair, mixed, group(2, 10)])
    assert len(geometry.phase_step_deg) == 1
    assert math.isnan(geometry.angle_error_deg)
