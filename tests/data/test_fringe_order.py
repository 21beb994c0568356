"""The fringes of real stacks prove an order; a stack without visible fringes proves none."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from bayesdl_sim.data.fringe_order import in_proved_order, ordered, proved_order
from bayesdl_sim.data.stacks import RawStack, read_stack
from bayesdl_sim.physics.checks.raw_checks import raw_checks
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.cutoff import with_cutoff
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.utils.errors import InputError

DATA = Path(__file__).resolve().parents[2] / "data"
PHASE_MAJOR = [0, 3, 6, 1, 4, 7, 2, 5, 8]
EXCHANGES = [(a, b) for a, b in combinations(range(9), 2) if a // 3 != b // 3]


@pytest.fixture(scope="module")
def cristae():
    return read_stack(DATA / "cristae" / "raw.tif").raw[0]


def exchanged(a, b):
    order = list(range(9))
    order[a], order[b] = b, a
    return order


@pytest.mark.parametrize("name", ["cristae", "hela"])
def test_a_right_order_is_left_alone(name):
    raw = read_stack(DATA / name / "raw.tif").raw[0]
    assert proved_order(raw) is None
    within = [1, 0, 2, 5, 4, 3, 7, 8, 6]  # phases may follow in any order
    assert proved_order(raw[within]) is None
    assert proved_order(raw[[6, 7, 8, 0, 1, 2, 3, 4, 5]]) is None  # and so may orientations


@pytest.mark.parametrize(("a", "b"), EXCHANGES)
def test_any_two_exchanged_frames_are_put_back(cristae, a, b):
    order = exchanged(a, b)
    assert proved_order(cristae[order]) == tuple(order)  # the exchange undoes itself


@pytest.mark.parametrize("name", ["cristae", "hela"])
def test_phase_major_frames_are_put_in_order(name):
    raw = read_stack(DATA / name / "raw.tif").raw[0]
    order = proved_order(raw[PHASE_MAJOR])
    np.testing.assert_array_equal(raw[PHASE_MAJOR][list(order)], raw)


def test_frames_without_fringes_are_never_reordered(cristae):
    rng = np.random.default_rng(0)
    wide = np.maximum(cristae.mean(axis=0) - 100, 0)
    for signal in (0.02, 0.3, 3.0):  # of the stack's own light
        raw = (rng.poisson(signal * np.repeat(wide[None], 9, axis=0)) + 100).astype(np.float32)
        assert proved_order(raw) is None
        dim = rng.poisson(0.001 * np.maximum(cristae - 100, 0))[PHASE_MAJOR] + 100
        assert proved_order(dim.astype(np.float32)) is None
        dim = rng.poisson(0.01 * np.maximum(cristae - 100, 0))[PHASE_MAJOR] + 100
        assert proved_order(dim.astype(np.float32)) in (None, tuple(PHASE_MAJOR))


def test_five_phases_are_refused_by_name(cristae):
    five = cristae[[0, 1, 2, 0, 1, 3, 4, 5, 3]] + np.random.default_rng(0).normal(
        0, 5, cristae.shape
    )
    with pytest.raises(InputError, match="5 phases: not supported"):
        proved_order(five.astype(np.float32))


def stack_of(raw):
    return RawStack(raw=raw, pixel_size_nm=65.0, name="raw", source=Path("raw.tif"), notes=("a",))


def test_the_stack_says_that_it_was_put_in_order(cristae):
    right = stack_of(np.stack([cristae, cristae]))
    assert in_proved_order(right) is right
    order = exchanged(1, 5)
    put = in_proved_order(stack_of(np.stack([cristae[order], cristae[order]])))
    np.testing.assert_array_equal(put.raw, right.raw)
    assert put.order == tuple(order)
    assert put.notes[0] == "a"
    assert "are put in the order 1, 6, 3, 4, 5, 2, 7, 8, 9" in put.notes[1]
    # A series whose time points contradict each other is left as it is.
    mixed = stack_of(np.stack([cristae[order], cristae]))
    assert in_proved_order(mixed) is mixed


def test_missing_pixels_do_not_matter(cristae):
    gaps = cristae[PHASE_MAJOR].copy()
    gaps[:, :6] = np.nan
    order = proved_order(gaps)
    np.testing.assert_array_equal(np.array(PHASE_MAJOR)[list(order)], range(9))


def test_the_search_for_the_order_serves_the_raw_checks(cristae):
    """Same bytes with it, and it is not used for other frames, nor with other optics."""
    search = ordered(stack_of(cristae[None])).search
    frames = torch.from_numpy(cristae.astype(np.float32))
    assert raw_checks(frames, search=search).by_name() == raw_checks(frames).by_name()
    moved = frames[[3, 4, 5, 0, 1, 2, 6, 7, 8]]
    for other, optics in ((moved, None), (frames, with_cutoff(0.3))):
        assert not search.is_of(MeasuredFrames(other), optics or TYPICAL_OPTICS)
        known = raw_checks(other, optics, search=search)
        assert known.by_name() == raw_checks(other, optics).by_name()
    assert search.is_of(MeasuredFrames(frames), TYPICAL_OPTICS)


def test_frames_that_were_put_in_order_are_searched_again(cristae):
    order = [0, 1, 3, 2, 4, 5, 6, 7, 8]
    assert ordered(stack_of(cristae[order][None])).search is None
