"""The gate: its alarm rate is the stated one, and its reasons are the faults."""

import numpy as np
import pytest

from bayesdl_sim.inference.findings import Finding
from bayesdl_sim.inference.gate import (
    ALARM_RATE,
    SCORES,
    Gate,
    combined_p_value,
    judge,
    read_gate,
    stack_scores,
    write_gate,
)
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json

GOOD = {
    "confidence": (12.0, 11.0, 13.0),
    "frequency": (0.24, 0.24, 0.25),
    "modulation": (0.6, 0.6, 0.6),
    "angle_error_deg": 1.0,
    "groups": ((1, 2, 3), (4, 5, 6), (7, 8, 9)),
    "phase_step_deg": (4.0, 6.0, 3.0),
    "phase_step_error_deg": (4.0, 5.0, 4.0),
    "fringe_share": 0.03,
    "fringe_sigma": 80.0,
    "saturated_share": 0.0,
    "copies": (),
    "brightness": (1.0, 1.01, 0.99, 0.8, 0.8, 0.81, 1.1, 1.1, 1.1),
    "drift_px": 0.1,
    "drift_error_px": 0.05,
    "hot_share": 0.0,
    "snr": 9.0,
    "fine_share": 0.02,
}


def correlated(rng, n, names=tuple(SCORES)):
    """Scores that depend on each other, of very different scales."""
    shared = rng.normal(size=(n, 1))
    table = 0.7 * shared + rng.normal(size=(n, len(names)))
    return np.exp(np.arange(len(names))) * table


# --- Scores ------------------------------------------------------------------------------------


def test_alarm_rate_is_the_stated_one_over_many_gates():
    """P(p <= alpha) <= alpha whatever the number of scores, over calibration sets and stacks."""
    rng, alarms, repeats, names = np.random.default_rng(0), 0, 1000, tuple(SCORES)[:6]
    for _ in range(repeats):
        table = correlated(rng, 60, names)
        gate = dict(zip(names, table[1:].T, strict=True))
        p, _ = combined_p_value(gate, dict(zip(names, table[0], strict=True)))
        alarms += p <= ALARM_RATE
    error = (ALARM_RATE * (1 - ALARM_RATE) / repeats) ** 0.5
    assert alarms / repeats <= ALARM_RATE + 3 * error
    assert alarms / repeats >= 0.5 * ALARM_RATE  # and it is not silent


def test_p_value_of_one_score_is_its_rank():
    gate = {"snr": np.arange(19.0)}
    assert combined_p_value(gate, {"snr": 100.0})[0] == pytest.approx(1 / 20)
    assert combined_p_value(gate, {"snr": -1.0})[0] == 1.0
    assert combined_p_value(gate, {"snr": 9.5})[0] == pytest.approx(10 / 20)


def test_equal_scores_raise_no_alarm():
    gate = {"snr": np.zeros(50), "drift": np.zeros(50)}
    assert combined_p_value(gate, {"snr": 0.0, "drift": 0.0})[0] == 1.0


def test_extreme_score_among_ordinary_ones_is_named():
    rng = np.random.default_rng(1)
    names = tuple(SCORES)
    gate = Gate(dict(zip(names, correlated(rng, 200).T, strict=True)), {})
    scores = {name: float(np.median(gate.scores[name])) for name in names}
    verdict = judge([], scores, gate)
    assert (verdict.decision, verdict.reasons) == ("accept", ())
    verdict = judge([], scores | {"invented": 1e9}, gate)
    assert verdict.decision == "warn"
    assert verdict.reasons == (SCORES["invented"],)
    assert "p = 0.0" in verdict.sentence()


def test_score_that_is_not_a_number_counts_as_extreme():
    gate = Gate({"snr": np.arange(100.0)}, {})
    assert judge([], {"snr": float("nan")}, gate).decision == "warn"


def test_many_stacks_are_judged_more_carefully():
    gate = Gate({"snr": np.arange(99.0)}, {})
    assert judge([], {"snr": 1000.0}, gate, stacks=1).decision == "warn"
    assert judge([], {"snr": 1000.0}, gate, stacks=10).decision == "accept"


def test_scores_of_another_gate_are_an_error():
    with pytest.raises(InputError, match="gate knows"):
        combined_p_value({"snr": np.arange(9.0)}, {"drift": 1.0})


def test_scores_grow_with_what_is_unusual():
    rng = np.random.default_rng(0)
    mean = rng.random((64, 64))
    wide = mean.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    misfit = {"unexplained": 0.01, "fringes_unexplained": 0.1, "invented": 4.0}
    usual = stack_scores(GOOD, misfit, wide, mean, 0.01 * np.ones_like(mean))
    assert set(usual) == set(SCORES)
    units = stack_scores(GOOD, misfit, 7 * wide + 100, 3 * mean + 2, 0.03 * np.ones_like(mean))
    assert units == pytest.approx(usual, rel=1e-3)
    worse = stack_scores(
        GOOD | {"snr": 1.0, "fringe_share": 1e-4, "drift_px": 3.0, "confidence": (3.0,) * 3},
        {name: 10 * value for name, value in misfit.items()},
        wide[::-1], mean, 0.1 * np.ones_like(mean),
    )  # fmt: skip
    moved = ("snr", "fringe_share", "drift", "unexplained", "invented", "epistemic", "rse")
    assert all(worse[name] > usual[name] for name in moved)
    assert "epistemic" not in stack_scores(GOOD, misfit, wide, mean, None)


# --- Verdict -----------------------------------------------------------------------------------


def test_refusal_outweighs_warning_and_comes_first():
    verdict = judge([Finding(False, "small"), Finding(True, "large")])
    assert verdict.decision == "refuse"
    assert verdict.reasons == ("large", "small")
    assert verdict.p_value is None
    assert verdict.sentence() == "refuse: large; small"
    assert judge([Finding(False, "small")]).decision == "warn"


def test_nothing_is_accepted_without_comparison():
    """Members without a gate, such as four of eight, must not read as if they had been judged."""
    verdict = judge([], {"snr": 1.0}, None)
    assert (verdict.decision, verdict.p_value) == ("not judged", None)
    assert "not compared with validation cells" in verdict.sentence()
    assert judge([Finding(True, "dark")], {"snr": 1.0}, None).reasons == ("dark",)


# --- Storage -----------------------------------------------------------------------------------


def test_gate_is_read_back_for_its_own_members_only(tmp_path):
    rows = [{"snr": float(i), "drift": 0.5 * i} for i in range(40)]
    members = {"member_01.pth": "ab", "member_02.pth": "cd"}
    assert read_gate(tmp_path, members) is None
    path = write_gate(tmp_path, rows, members, {"seed": 1})
    stored = read_gate(tmp_path, members)
    assert stored.scores["drift"].tolist() == [0.5 * i for i in range(40)]
    assert read_gate(tmp_path, members | {"member_02.pth": "ef"}) is None
    assert read_gate(tmp_path, {"member_01.pth": "ab"}) is None
    assert read_json(path)["facts"] == {"seed": 1}


def test_too_few_cells_or_a_foreign_file_are_errors(tmp_path):
    with pytest.raises(InputError, match="needs 19 validation cells"):
        write_gate(tmp_path, [{"snr": 1.0}] * 18, {}, {})
    (tmp_path / "gate.json").write_text('{"format": "something else"}', encoding="utf-8")
    with pytest.raises(InputError, match="fit it again"):
        read_gate(tmp_path, {})
