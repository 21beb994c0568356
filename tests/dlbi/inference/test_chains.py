"""Scans over time against the plain recursion: the same law of whole chains."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from bayesdl_sim.dlbi.fhmm import single_chain
from bayesdl_sim.dlbi.inference.chains import (
    Switching,
    sample_chains,
    sample_chains_by_recursion,
)
from bayesdl_sim.utils.errors import InputError

WHITE = Switching([[0.21, 0.79, 0], [0.305, 0.695, 0], [0, 0, 1]], [0.3, 0.7, 0])
BLEACHING = Switching([[0.5, 0.5, 0], [0.3, 0.6, 0.1], [0, 0, 1]], [0.4, 0.5, 0.1])
SLOW = Switching([[0.9, 0.1, 0], [0.02, 0.97, 0.01], [0, 0, 1]], [0.2, 0.8, 0])
TABLES = {"white": WHITE, "bleaching": BLEACHING, "slow": SLOW}


def law_of_paths(log_odds, switching):
    """Probability of every path of a short chain."""
    frames = len(log_odds)
    weights = []
    for path in itertools.product(range(3), repeat=frames):
        weight = switching.initial[path[0]]
        for before, now in itertools.pairwise(path):
            weight *= switching.transition[before, now]
        weights.append(weight * np.exp(log_odds[np.array(path) == 0].sum()))
    return np.array(weights) / np.sum(weights)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("frames", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("sample", [sample_chains, sample_chains_by_recursion])
def test_paths_have_the_law_of_enumeration(sample, frames, table):
    switching = TABLES[table]
    log_odds = np.random.default_rng(frames).normal(size=frames)
    draws = sample(np.tile(log_odds, (6000, 1)), switching, np.random.default_rng(1))
    law = law_of_paths(log_odds, switching)
    counts = np.bincount(draws @ 3 ** np.arange(frames)[::-1], minlength=3**frames)
    assert counts[law == 0].sum() == 0
    likely = law * len(draws) >= 5
    observed = np.append(counts[likely], counts[~likely].sum())
    expected = np.append(law[likely], law[~likely].sum()) * len(draws)
    kept = expected > 0
    assert chisquare(observed[kept], expected[kept]).pvalue > 1e-3


def test_scan_and_recursion_draw_the_same_law():
    # Chi-squared over the patterns of eight neighbouring frames in the middle of long chains.
    log_odds = np.tile(np.random.default_rng(0).normal(size=101) * 2, (4000, 1))
    counts = []
    for sample, seed in ((sample_chains, 1), (sample_chains_by_recursion, 2)):
        draws = sample(log_odds, SLOW, np.random.default_rng(seed))
        pattern = (draws[:, 48:56] == 0) @ 2 ** np.arange(8)
        counts.append(np.bincount(pattern, minlength=256))
    counts = np.array(counts)
    common = counts.sum(0) >= 10
    table = np.column_stack([counts[:, common], counts[:, ~common].sum(1)])
    assert chi2_contingency(table[:, table.sum(0) > 0]).pvalue > 1e-3


@pytest.mark.parametrize("table", TABLES)
def test_marginals_of_long_chains(table):
    log_odds = np.random.default_rng(4).normal(size=200) * 3
    _, expected = single_chain(log_odds, TABLES[table].transition, TABLES[table].initial)
    draws = sample_chains(np.tile(log_odds, (3000, 1)), TABLES[table], np.random.default_rng(0))
    for state in range(3):
        chance = expected[:, state]
        error = np.sqrt(chance * (1 - chance) / len(draws)) + 1e-4
        assert np.max(np.abs((draws == state).mean(0) - chance) / error) < 4.5


@given(
    frames=st.integers(2, 70),
    scale=st.sampled_from([0.0, 1.0, 50.0, 1e3, 1e6]),
    seed=st.integers(0, 2**32 - 1),
    table=st.sampled_from(sorted(TABLES)),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_chains_are_possible_and_follow_clear_frames(frames, scale, seed, table):
    generator = np.random.default_rng(seed)
    log_odds = scale * generator.choice([-1.0, 1.0], size=(3, frames))
    states = sample_chains(log_odds, TABLES[table], generator)
    assert states.shape == (3, frames)
    moved = TABLES[table].transition[states[:, :-1], states[:, 1:]]
    assert np.all(moved > 0)
    assert np.all(TABLES[table].initial[states[:, 0]] > 0)
    if scale >= 50:
        assert np.all(states[log_odds < 0] != 0)
    if scale >= 50 and table == "white":
        assert np.all(states[log_odds > 0] == 0)


def test_table_that_never_switches_takes_the_recursion():
    fixed = Switching(np.eye(3), [0.5, 0.5, 0])
    assert not fixed.scannable
    log_odds = np.full((2000, 5), 0.3)
    states = sample_chains(log_odds, fixed, np.random.default_rng(0))
    assert np.all(states == states[:, :1])
    chance = 1 / (1 + np.exp(-5 * 0.3))
    error = np.sqrt(chance * (1 - chance) / 2000)
    assert abs((states[:, 0] == 0).mean() - chance) < 4 * error


def test_many_chains_do_not_depend_on_their_batch():
    log_odds = np.random.default_rng(0).normal(size=(150, 20))
    states = sample_chains(log_odds, SLOW, np.random.default_rng(1))
    again = sample_chains(log_odds, SLOW, np.random.default_rng(1))
    assert states.tobytes() == again.tobytes()
    assert states.shape == (150, 20)


@pytest.mark.parametrize(
    ("transition", "initial", "name"),
    [
        (np.eye(2), [1, 0, 0], "transition"),
        ([[0.5, 0.6, 0], [0.3, 0.7, 0], [0, 0, 1]], [1, 0, 0], "transition"),
        ([[1.5, -0.5, 0], [0.3, 0.7, 0], [0, 0, 1]], [1, 0, 0], "transition"),
        (np.eye(3), [0.5, 0.4, 0], "initial"),
    ],
)
def test_laws_are_checked(transition, initial, name):
    with pytest.raises(InputError, match=name):
        Switching(transition, initial)


def test_emitting_fraction():
    assert WHITE.emitting_fraction == pytest.approx(0.305 / (0.305 + 0.79))


@pytest.mark.parametrize("bleach", [0.0, 0.02])
def test_long_darkness_of_a_fluorophore_that_hardly_stays_dark(bleach):
    # Living states lose against bleached ones by (0.1)**2000 here: no number holds that.
    switching = Switching(
        [[0.5, 0.5, 0], [0.9 - bleach, 0.1, bleach], [0, 0, 1]], [0.45, 0.45, 0.1]
    )
    log_odds = np.full((400, 2000), -8.0)
    log_odds[:, :3] = 8.0
    states = sample_chains(log_odds, switching, np.random.default_rng(0))
    slow = sample_chains_by_recursion(log_odds[:100], switching, np.random.default_rng(1))
    assert np.all(switching.transition[states[:, :-1], states[:, 1:]] > 0)
    first = (states == 2).argmax(1) if bleach else (states[:, 0] == 2)
    expected = (slow == 2).argmax(1) if bleach else (slow[:, 0] == 2)
    error = np.sqrt(expected.var() / 100 + first.var() / 400) + 1e-9
    assert abs(first.mean() - expected.mean()) < 4.5 * error


def shares(states):
    """(T, 3), how often each state occurs in each frame."""
    return np.stack([(states == state).mean(0) for state in range(3)], axis=1)


@pytest.mark.parametrize("table", [[[0, 1, 0], [0.4, 0.5, 0.1]], [[0.4, 0.6, 0], [1, 0, 0]]])
def test_strong_frames_that_cannot_follow_each_other_are_weighed(table):
    # Without emitting -> emitting, one of two bright neighbours must be dark: the brighter one wins
    # however bright both are. Without dark -> dark, the same holds for two dim neighbours.
    switching = Switching([*table, [0, 0, 1]], [0.5, 0.5, 0])
    sign = 1 if table[0][0] == 0 else -1
    log_odds = sign * np.array([500.0, 350.0, 0.0, 320.0, 420.0])
    _, expected = single_chain(log_odds, switching.transition, switching.initial)
    states = sample_chains(np.tile(log_odds, (2000, 1)), switching, np.random.default_rng(0))
    np.testing.assert_allclose(shares(states), expected, atol=0.05)
    assert np.all(switching.transition[states[:, :-1], states[:, 1:]] > 0)


@pytest.mark.parametrize("odds", [0.0, 3.0, 10.0, 400.0])
@pytest.mark.parametrize("frames", [2, 3, 40])
def test_a_chain_that_starts_bleached_stays_so(odds, frames):
    switching = Switching(BLEACHING.transition, [0, 0, 1])
    log_odds = np.full((5, frames), odds)
    assert np.all(sample_chains(log_odds, switching, np.random.default_rng(0)) == 2)
    mixed = np.tile([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]], (50, 1))
    states = sample_chains(
        np.tile(log_odds[:1], (100, 1)), BLEACHING, np.random.default_rng(0), mixed
    )
    assert np.all(states[::2] == 2)
    assert np.all(states[1::2, 0] != 2)
