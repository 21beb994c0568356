"""The benchmark of frame orders tells a right order from a wrong one, and counts each outcome."""

import pytest
import torch

from bayesdl_sim.benchmarks.faulty_inputs import orders
from bayesdl_sim.benchmarks.faulty_inputs.orders import (
    ACCEPTED,
    PHASE_MAJOR,
    REFUSED,
    RIGHT,
    WARNED,
    WRONG,
    counted,
    exchanged,
    outcome,
    parse_args,
    simulated,
)
from bayesdl_sim.utils.errors import InputError

STATED = tuple(range(9))


@pytest.fixture(scope="module")
def stack():
    """Filaments of modulation 0.41, 56 electrons."""
    return simulated(5, 2, 96)


def test_stacks_are_functions_of_their_number(stack):
    again = simulated(5, 2, 96)
    assert torch.equal(again.raw, stack.raw)
    assert again.structure == stack.structure
    assert 0.1 <= stack.modulation <= 0.5
    assert 20 <= stack.signal_e <= 250
    assert simulated(5, 4, 64).structure == "smooth bundles"


def test_exchanges_are_of_two_orientations_and_all_different():
    shown = exchanged(27, torch.Generator().manual_seed(0))
    assert len(set(shown)) == 27
    for order in shown:
        moved = [place for place, frame in enumerate(order) if place != frame]
        assert len(moved) == 2
        assert moved[0] // 3 != moved[1] // 3


def test_more_exchanges_than_there_are():
    with pytest.raises(InputError, match="at most 27"):
        parse_args(["--exchanges", "28"])


@pytest.mark.parametrize(
    ("proved", "shown", "expected"),
    [
        (PHASE_MAJOR, PHASE_MAJOR, RIGHT),
        ((0, 1, 3, 2, 4, 5, 6, 7, 8), PHASE_MAJOR, WRONG),
        ((0, 1, 3, 2, 4, 5, 6, 7, 8), STATED, WRONG),
    ],
)
def test_only_the_right_orientations_are_put_right(stack, monkeypatch, proved, shown, expected):
    monkeypatch.setattr(orders, "proved_order", lambda raw: proved)
    assert outcome(stack.raw, shown)[0] == expected


def test_what_is_left_is_judged_by_the_findings(stack, monkeypatch):
    monkeypatch.setattr(orders, "proved_order", lambda raw: None)
    assert outcome(stack.raw, STATED)[0] in (ACCEPTED, WARNED)
    dark = stack.raw.clone()
    dark[4] = float(dark.min())
    assert outcome(dark, STATED)[0] == REFUSED

    def refuse(raw):
        raise InputError("5 phases")

    monkeypatch.setattr(orders, "proved_order", refuse)
    assert outcome(stack.raw, STATED) == (REFUSED, "5 phases")


def test_outcomes_are_counted_by_order():
    rows = [{"order": "a", "outcome": RIGHT}, {"order": "b", "outcome": REFUSED}] * 2
    (first, second) = counted([*rows, {"order": "a", "outcome": WARNED}])
    assert (first["stacks"], first[RIGHT], first[WARNED]) == (3, 2, 1)
    assert (second["order"], second[REFUSED], second[ACCEPTED]) == ("b", 2, 0)


def test_groups_of_two_frames_do_not_hide_an_exchange():
    """Single frames of this weak stack show peaks in groups of three, two, two, one and one."""
    raw = simulated(777, 10, 128).raw
    assert outcome(raw, STATED)[0] == ACCEPTED
    assert outcome(raw, (0, 1, 2, 7, 4, 5, 6, 3, 8))[0] == RIGHT


def test_an_order_that_fits_worse_than_another_is_refused():
    """Here the right partition is ahead of the next one by 6, where 8 are asked for to reorder."""
    raw = simulated(777, 1, 128).raw
    assert outcome(raw, STATED)[0] in (ACCEPTED, WARNED)
    assert outcome(raw, (4, 1, 2, 3, 0, 5, 6, 7, 8))[0] in (RIGHT, REFUSED)
