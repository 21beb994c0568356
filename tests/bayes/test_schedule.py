"""Cycles: step sizes, noise and the moments at which members are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesdl_sim.bayes.schedule import CyclicSchedule, turn_of, warm_up_cosine
from bayesdl_sim.utils.errors import InputError


def test_cosine_restarts_and_ends_at_the_smallest_step():
    schedule = CyclicSchedule(3, 101, lr_max=0.4, lr_min_fraction=0.25)
    lrs = [schedule.at(step).lr for step in range(schedule.total_steps)]
    for start in (0, 101, 202):
        assert lrs[start] == pytest.approx(0.4)
        assert lrs[start + 50] == pytest.approx(0.25)  # half way: the mean of 0.4 and 0.1
        assert lrs[start + 100] == pytest.approx(0.1)
        cycle = lrs[start : start + 101]
        assert cycle == sorted(cycle, reverse=True)


def test_explores_without_noise_and_collects_at_equal_distances_up_to_the_end():
    schedule = CyclicSchedule(2, 20, 0.1, explore_fraction=0.6, members_per_cycle=4, temperature=3)
    phases = [schedule.at(step) for step in range(40)]
    assert [phase.exploring for phase in phases] == ([True] * 12 + [False] * 8) * 2
    assert [phase.temperature for phase in phases] == ([0] * 12 + [3] * 8) * 2
    assert [step for step in range(40) if phases[step].collect] == [13, 15, 17, 19, 33, 35, 37, 39]
    assert [phase.cycle for phase in phases] == [0] * 20 + [1] * 20


@given(
    cycles=st.integers(1, 4),
    steps=st.integers(1, 60),
    explore=st.floats(0, 0.99),
    members=st.integers(1, 6),
)
def test_every_schedule_gives_its_members_while_sampling(cycles, steps, explore, members):
    try:
        schedule = CyclicSchedule(
            cycles, steps, 0.1, explore_fraction=explore, members_per_cycle=members
        )
    except InputError:
        assert steps - round(explore * steps) < members
        return
    phases = [schedule.at(step) for step in range(schedule.total_steps)]
    kept = [phase for phase in phases if phase.collect]
    assert len(kept) == schedule.members == cycles * members
    assert not any(phase.exploring for phase in kept)
    assert phases[-1].collect
    assert all(0 < phase.lr <= 0.1 + 1e-12 for phase in phases)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cycles": 0},
        {"lr_max": 0.0},
        {"lr_min_fraction": 1.5},
        {"explore_fraction": 1.0},
        {"members_per_cycle": 0},
        {"temperature": -1.0},
        {"steps_per_cycle": 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="schedule"):
        CyclicSchedule(**{"cycles": 1, "steps_per_cycle": 10, "lr_max": 0.1, **wrong})


@pytest.mark.parametrize("step", [-1, 20])
def test_a_step_outside_the_schedule_is_refused(step):
    with pytest.raises(InputError, match="outside"):
        CyclicSchedule(2, 10, 0.1).at(step)


def test_warm_up_rises_then_falls_along_a_cosine():
    rates = [warm_up_cosine(step, 1000, 1e-3) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-3 / 50)
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (49, 50)
    assert rates[-1] == pytest.approx(2e-5, rel=0.01)
    assert rates[525] == pytest.approx(0.51e-3, rel=0.01)  # half-way down
    assert all(a >= b for a, b in zip(rates[50:], rates[51:], strict=False))


@pytest.mark.parametrize(("total", "turns"), [(12, 3), (10, 4), (7, 7), (5, 1)])
def test_turns_share_a_budget_without_gap_or_overlap(total, turns):
    positions = [turn_of(step, total, turns) for step in range(total)]
    assert sorted({turn.number for turn in positions}) == list(range(turns))
    for number in range(turns):
        steps = [turn for turn in positions if turn.number == number]
        assert [turn.step for turn in steps] == list(range(len(steps)))
        assert {turn.steps for turn in steps} == {len(steps)}
        assert abs(len(steps) - total / turns) < 1
        assert [turn.is_first for turn in steps] == [True] + [False] * (len(steps) - 1)
        assert [turn.is_last for turn in steps] == [False] * (len(steps) - 1) + [True]


def test_more_turns_than_steps_are_refused():
    with pytest.raises(InputError, match="4 networks cannot share 3 steps"):
        turn_of(0, 3, 4)
