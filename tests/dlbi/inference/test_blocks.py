"""Joint chains of a block: their law against enumeration, and their extremes."""

import numpy as np
import pytest
from scipy.stats import chisquare

from bayesdl_sim.dlbi.inference.blocks import (
    forward_backward,
    joint_states,
    joint_switching,
    pattern_evidence,
    sample_blocks,
    sample_joint,
)
from bayesdl_sim.dlbi.inference.chains import Switching, sample_chains

TABLE = Switching([[0.5, 0.5, 0], [0.3, 0.6, 0.1], [0, 0, 1]], [0.4, 0.5, 0.1])
FIXED = Switching(np.eye(3), [0.5, 0.4, 0.1])
GRAM = np.array([[4.0, 3.0], [3.0, 5.0]])


def tiled(fields, times):
    return np.tile(fields, (times, 1, 1)), np.tile(GRAM, (times, 1, 1))


def test_evidence_of_a_pattern_is_the_likelihood_ratio():
    generator = np.random.default_rng(0)
    spots, frame = generator.random((3, 10)), generator.normal(size=10)
    evidence = pattern_evidence(spots @ frame, spots @ spots.T)
    for state, log_ratio in zip(joint_states(3), evidence, strict=True):
        light = (state == 0) @ spots
        expected = (np.sum(frame**2) - np.sum((frame - light) ** 2)) / 2
        assert log_ratio == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("switching", [TABLE, FIXED], ids=["switching", "fixed"])
def test_pairs_have_the_law_of_enumeration(switching):
    fields = np.random.default_rng(1).normal(size=(1, 2, 2)) + 2
    draws = sample_blocks(*tiled(fields, 20000), switching, np.random.default_rng(2))
    table, initial = joint_switching(switching, 2)
    evidence = pattern_evidence(fields[0].T, GRAM)
    law = np.exp(evidence[0])[:, None] * initial[:, None] * table * np.exp(evidence[1])
    law = (law / law.sum()).ravel()
    code = 3 * draws[:, 0] + draws[:, 1]  # (draws, frames), joint states
    counts = np.bincount(9 * code[:, 0].astype(int) + code[:, 1], minlength=81)
    assert counts[law == 0].sum() == 0
    likely = law * len(draws) >= 5
    pieces = [np.append(x[likely], x[~likely].sum()) for x in (counts, law * len(draws))]
    assert chisquare(pieces[0][pieces[1] > 0], pieces[1][pieces[1] > 0]).pvalue > 1e-3


def test_a_block_of_one_is_a_chain():
    fields = np.random.default_rng(3).normal(size=(1, 1, 8))
    gram = np.full((1, 1, 1), 0.8)
    many = sample_blocks(
        np.tile(fields, (8000, 1, 1)), np.tile(gram, (8000, 1, 1)), TABLE, np.random.default_rng(0)
    )[:, 0]
    chains = sample_chains(np.tile(fields[0] - 0.4, (8000, 1)), TABLE, np.random.default_rng(1))
    for state in range(3):
        first, second = (many == state).mean(0), (chains == state).mean(0)
        assert np.max(np.abs(first - second)) < 4.5 * np.sqrt(2 * 0.25 / 8000)


@pytest.mark.parametrize("switching", [TABLE, FIXED], ids=["switching", "fixed"])
@pytest.mark.parametrize("scale", [1e2, 1e5])
def test_huge_evidence_gives_possible_chains(switching, scale):
    fields = scale * np.random.default_rng(0).normal(size=(50, 3, 30))
    gram = np.tile(np.eye(3), (50, 1, 1))
    states = sample_blocks(fields, gram, switching, np.random.default_rng(0))
    assert states.min() >= 0
    assert states.max() <= 2
    assert np.all(switching.transition[states[..., :-1], states[..., 1:]] > 0)


def test_joint_switching_is_independent():
    table, initial = joint_switching(TABLE, 3)
    states = joint_states(3)
    np.testing.assert_allclose(table.sum(1), 1)
    np.testing.assert_allclose(initial, TABLE.initial[states].prod(1))
    np.testing.assert_allclose(table[5, 14], TABLE.transition[states[5], states[14]].prod())


def test_forward_backward_of_one_frame_is_bayes_rule():
    evidence = np.array([[0.3, -1.0, 2.0]])
    log_evidence, marginals = forward_backward(evidence, TABLE.transition, TABLE.initial)
    joint = TABLE.initial * np.exp(evidence[0])
    assert log_evidence == pytest.approx(np.log(joint.sum()), abs=1e-12)
    np.testing.assert_allclose(marginals[0], joint / joint.sum())


def joint_marginals(evidence, switching, initial):
    """(k, T, 3) by the forward-backward algorithm over the joint states."""
    emitters = round(np.log(len(initial)) / np.log(3))
    table, _ = joint_switching(switching, emitters)
    _, chances = forward_backward(evidence, table, initial)
    states = joint_states(emitters)
    return np.stack(
        [[chances[:, states[:, k] == s].sum(1) for s in range(3)] for k in range(emitters)]
    ).swapaxes(1, 2)


def assert_marginals(draws, expected):
    for state in range(3):
        np.testing.assert_allclose((draws == state).mean(0), expected[..., state], atol=0.05)


def test_pairs_that_cannot_emit_twice_in_a_row_weigh_strong_frames():
    switching = Switching([[0, 1, 0], [0.4, 0.6, 0], [0, 0, 1]], [0.5, 0.5, 0])
    fields = np.array([[[400.0, 250.0, 0.0], [-3.0, 1.0, 350.0]]])
    gram = np.array([[[10.0, 4.0], [4.0, 10.0]]])
    draws = sample_blocks(
        np.tile(fields, (1500, 1, 1)),
        np.tile(gram, (1500, 1, 1)),
        switching,
        np.random.default_rng(0),
    )
    _, initial = joint_switching(switching, 2)
    evidence = pattern_evidence(fields[0].T, gram[0])
    assert_marginals(draws, joint_marginals(evidence, switching, initial))


@pytest.mark.parametrize("first", [[0, 0, 1], [0.3, 0.6, 0.1]])
def test_one_of_a_bright_pair_that_starts_bleached_stays_so(first):
    # The evidence for its emission is stronger than float64 can hold.
    law = np.kron(np.array([0.0, 0.0, 1.0]), np.array(first, dtype=float))
    evidence = pattern_evidence(np.full((12, 2), 150.0), np.eye(2))
    draws = sample_joint(
        np.tile(evidence[:, None], (1, 1500, 1)), TABLE, np.random.default_rng(0), law
    )
    assert np.all(draws[:, 0] == 2)
    assert_marginals(draws, joint_marginals(evidence, TABLE, law))
