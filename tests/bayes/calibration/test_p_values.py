"""Conformal p-values: their alarm rate is the stated one, for any number of scores."""

import numpy as np
import pytest

from bayesdl_sim.bayes.calibration.p_values import combined_p_value
from bayesdl_sim.utils.errors import InputError

RATE = 0.05


def correlated(rng, n, names):
    """Scores that depend on each other, of very different scales."""
    shared = rng.normal(size=(n, 1))
    table = 0.7 * shared + rng.normal(size=(n, len(names)))
    return np.exp(np.arange(len(names))) * table


def test_alarm_rate_is_the_stated_one_over_many_gates():
    """P(p <= alpha) <= alpha whatever the number of scores, over calibration sets and stacks."""
    rng, alarms, repeats, names = np.random.default_rng(0), 0, 1000, "abcdef"
    for _ in range(repeats):
        table = correlated(rng, 60, names)
        gate = dict(zip(names, table[1:].T, strict=True))
        p, _ = combined_p_value(gate, dict(zip(names, table[0], strict=True)))
        alarms += p <= RATE
    error = (RATE * (1 - RATE) / repeats) ** 0.5
    assert alarms / repeats <= RATE + 3 * error
    assert alarms / repeats >= 0.5 * RATE  # and it is not silent


def test_p_value_of_one_score_is_its_rank():
    gate = {"snr": np.arange(19.0)}
    assert combined_p_value(gate, {"snr": 100.0})[0] == pytest.approx(1 / 20)
    assert combined_p_value(gate, {"snr": -1.0})[0] == 1.0
    assert combined_p_value(gate, {"snr": 9.5})[0] == pytest.approx(10 / 20)


def test_equal_scores_raise_no_alarm():
    gate = {"snr": np.zeros(50), "drift": np.zeros(50)}
    assert combined_p_value(gate, {"snr": 0.0, "drift": 0.0})[0] == 1.0


def test_scores_of_another_gate_are_an_error():
    with pytest.raises(InputError, match="gate has the scores"):
        combined_p_value({"snr": np.arange(9.0)}, {"drift": 1.0})
