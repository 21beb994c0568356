"""Torn frames are found with their row and shift, and none are in frames that are in place."""

import pytest
import torch

from bayesdl_sim.physics.checks.agreement.correlations import row_correlations
from bayesdl_sim.physics.checks.agreement.displacement import displaced_rows
from bayesdl_sim.physics.patterns.measured import MeasuredFrames

torch.set_num_threads(1)

SIZE = (112, 128)


@pytest.fixture(scope="module")
def raw(stand):
    return stand().stack(SIZE, 60.0)


def found_in(raw):
    return displaced_rows(*row_correlations(MeasuredFrames(raw).frames))


def torn(raw, frames, row, pixels):
    """Rows of some frames from one on, counted from 0, moved to the right."""
    changed = raw.clone()
    for frame in frames:
        changed[frame, row:] = changed[frame, row:].roll(pixels, dims=1)
    return changed


@pytest.mark.parametrize(
    ("frame", "row", "pixels"), [(4, 60, 6), (0, 80, -3), (8, 36, 20), (5, 70, 2)]
)
def test_rows_moved_sideways_are_found(raw, frame, row, pixels):
    (one,) = found_in(torn(raw, [frame], row, pixels))
    assert (one.frame, one.moved) == (frame + 1, (pixels, 0))
    assert abs(one.row - (row + 1)) <= 3


def test_one_torn_frame_in_each_orientation_is_found(raw):
    found = found_in(torn(raw, [1, 4, 7], 50, 6))
    assert {(one.frame, one.moved[0]) for one in found} == {(2, 6), (5, 6), (8, 6)}


@pytest.mark.parametrize("lost", [-3, 4])
def test_lost_and_doubled_rows_move_the_rest(raw, lost):
    changed = raw.clone()
    rows = torch.arange(SIZE[0])
    moved = torch.where(rows >= 50, rows - lost, rows).clamp(max=SIZE[0] - 1)
    changed[3] = changed[3, moved]
    (one,) = found_in(changed)
    assert (one.frame, one.moved) == (4, (0, lost))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["F-actin", "CCPs", "Mitochondria"])
@pytest.mark.parametrize("signal_e", [4.0, 200.0])
def test_nothing_is_torn_in_good_stacks(stand, kind, seed, signal_e):
    start = 0.4 * seed  # fringes along the rows and along the columns, too
    assert found_in(stand(start=start).stack((96, 80), signal_e, kind, seed)) == ()


def test_a_frame_that_moved_as_a_whole_is_not_torn(raw):
    assert found_in(torn(raw, [4], 0, 4)) == ()


def test_the_unit_of_the_values_does_not_matter(raw):
    frames = MeasuredFrames(torn(raw, [4], 60, 6)).frames
    one, bright, dark = (displaced_rows(*row_correlations(frames * f)) for f in (1, 1e8, 1e-6))
    assert [found[:3] for found in one] == [(5, 61, (6, 0))]
    for other in (bright, dark):
        assert [found[:3] for found in other] == [found[:3] for found in one]
        assert other[0].clearness == pytest.approx(one[0].clearness, rel=1e-3)
