"""Narrow gaps are told apart from wide ones, and light and fringes are interpolated in them."""

import math

import pytest
import torch

from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.sensor.interpolation import interpolated, narrow_gaps
from bayesdl_sim.physics.sensor.missing import _smoothly_filled, filled


def missing_columns(*columns, size=(48, 60)):
    missing = torch.zeros(size, dtype=torch.bool)
    missing[:, list(columns)] = True
    return missing


def fringes(size=(48, 60), period=5.0, angle=0.4):
    """Three frames of a smooth sample under fringes: (3, H, W)."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in size), indexing="ij")
    sample = 100 + 60 * torch.sin(2 * math.pi * (x + 0.3 * y) / 23)
    along = 2 * math.pi * (math.cos(angle) * x + math.sin(angle) * y) / period
    return torch.stack([sample * (1 + 0.5 * torch.cos(along + phase)) for phase in (0.0, 2.1, 4.2)])


def test_gaps_of_up_to_three_pixels_with_data_at_both_ends_are_narrow():
    assert torch.equal(
        narrow_gaps(missing_columns(10, 20, 21, 22)), missing_columns(10, 20, 21, 22)
    )
    assert torch.equal(narrow_gaps(missing_columns(10, 11).T), missing_columns(10, 11).T)
    assert not bool(narrow_gaps(missing_columns(0, 1, 30, 31, 32, 33, 59)).any())
    assert not bool(narrow_gaps(missing_columns()).any())


def test_a_wide_block_has_no_narrow_part():
    missing = torch.zeros(48, 60, dtype=torch.bool)
    missing[10:30, 20:40] = True
    assert not bool(narrow_gaps(missing).any())


@pytest.mark.parametrize("columns", [(25,), (25, 26)])
def test_fringes_go_on_through_dead_columns(columns):
    frames, missing = fringes(), missing_columns(*columns)
    broken = torch.where(missing, 0.0, frames)
    result, smooth = filled(broken, missing), _smoothly_filled(broken, missing)
    assert torch.equal(result[:, ~missing], frames[:, ~missing])
    error, before = ((one - frames)[:, missing].square().mean().sqrt() for one in (result, smooth))
    assert float(error) < 0.9 * float(before)


def test_what_stands_in_a_gap_does_not_matter_and_a_level_is_kept():
    missing = missing_columns(7, 30, 31)
    missing[20] = True
    level = torch.full((2, 48, 60), 1000.0)
    for value in (0.0, 65535.0):
        broken = torch.where(missing, value, level)
        torch.testing.assert_close(filled(broken, missing), level, rtol=1e-4, atol=0)


def test_nothing_to_fill_changes_nothing():
    frames, missing = fringes(), missing_columns(7)
    assert interpolated(frames, missing, torch.zeros_like(missing)) is frames


@pytest.mark.parametrize(("columns", "seed"), [((40,), 0), ((64, 65), 1), ((90, 91, 92), 2)])
def test_dead_columns_leave_the_estimated_patterns_as_they_are(stand, columns, seed):
    raw = stand(modulation=0.5).stack(kind="MT", signal_e=15.0, seed=seed)
    broken = raw.clone()
    broken[:, :, list(columns)] = 0
    whole, interpolated = estimate(raw), estimate(broken)
    assert interpolated.optics.cutoff == pytest.approx(whole.optics.cutoff, rel=0.03)
    assert interpolated.illumination.modulation == pytest.approx(
        whole.illumination.modulation, abs=0.06
    )
