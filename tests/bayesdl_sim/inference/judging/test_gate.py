"""The gate: its alarm rate is the stated one, and its reasons are the faults."""

import numpy as np
import pytest

from bayesdl_sim.inference.judging.findings import Finding
from bayesdl_sim.inference.judging.gate import (
    SCORES,
    Gate,
    Verdict,
    judge,
    read_gate,
    stack_scores,
    write_gate,
)
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

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
    "local_drift_px": 0.2,
    "local_drift_error_px": 0.1,
    "hot_share": 0.0,
    "dead_share": 0.0,
    "snr": 9.0,
    "fine_share": 0.02,
}


def correlated(rng, n, names=tuple(SCORES)):
    """Scores that depend on each other, of very different scales."""
    shared = rng.normal(size=(n, 1))
    table = 0.7 * shared + rng.normal(size=(n, len(names)))
    return np.exp(np.arange(len(names))) * table


# --- Scores ------------------------------------------------------------------------------------


def test_a_p_value_of_one_is_said_without_a_share():
    assert "at most 37 in 100 good stacks" in Verdict("accept", 0.37, ()).sentence()
    said = Verdict("accept", 1.0, ()).sentence()
    assert said == "accept (p = 1.000: scores as those of good stacks)"


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


def test_scores_grow_with_what_is_unusual():
    rng = np.random.default_rng(0)
    mean = rng.random((64, 64))
    wide = mean.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    misfit = {"unexplained": 0.01, "fringes_unexplained": 0.1, "invented": 4.0}
    usual = stack_scores(GOOD, misfit, wide, mean, 0.01 * np.ones_like(mean))
    assert set(usual) == set(SCORES)
    units = stack_scores(GOOD, misfit, 7 * wide + 100, 3 * mean + 2, 0.03 * np.ones_like(mean))
    assert units == pytest.approx(usual, rel=1e-3)
    bad = GOOD | {"snr": 1.0, "fringe_share": 1e-4, "drift_px": 3.0, "confidence": (3.0,) * 3}
    large_misfit = {name: 10 * value for name, value in misfit.items()}
    worse = stack_scores(bad, large_misfit, wide[::-1], mean, 0.1 * np.ones_like(mean))
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


MEMBERS = {"member_01.pth": "ab", "member_02.pth": "cd"}


def cells(more=0.0, count=40):
    """Scores of validation cells: one of the frames, one that depends on the members."""
    return [{"snr": float(i), "rse": 0.5 * i + more} for i in range(count)]


def test_gate_is_read_back_for_its_own_members_only(tmp_path):
    one, two = cells(), [row | {"epistemic": 7.0} for row in cells(more=9.0)]
    assert read_gate(tmp_path, MEMBERS) is None
    path = write_gate(tmp_path, [one, two], MEMBERS, {"seed": 1})
    assert read_json(path)["facts"] == {"seed": 1}
    assert set(read_json(path)["scores"]) == {"snr"}  # of the frames: once for all
    first = read_gate(tmp_path, {"member_01.pth": "ab"})
    assert {name: values.tolist() for name, values in first.scores.items()} == {
        "snr": [row["snr"] for row in one],
        "rse": [row["rse"] for row in one],
    }
    gate = read_gate(tmp_path, MEMBERS)
    assert gate.scores["rse"].tolist() == [row["rse"] for row in two]
    assert set(gate.scores) == {"snr", "rse", "epistemic"}
    assert read_gate(tmp_path, MEMBERS | {"member_02.pth": "ef"}) is None
    assert read_gate(tmp_path, {"member_02.pth": "cd"}) is None


def test_a_gate_of_the_first_version_is_of_all_members(tmp_path):
    scores = {"snr": [float(i) for i in range(19)]}
    head = {"format": "BayesDL-SIM gate", "version": 1, "alarm_rate": 0.05, "facts": {}}
    write_json(tmp_path / "gate.json", head | {"members": MEMBERS, "scores": scores})
    assert read_gate(tmp_path, MEMBERS).scores["snr"].tolist() == scores["snr"]
    assert read_gate(tmp_path, {"member_01.pth": "ab"}) is None


def test_too_few_cells_or_a_foreign_file_are_errors(tmp_path):
    with pytest.raises(InputError, match="needs 19 validation cells"):
        write_gate(tmp_path, [cells(count=18)], {}, {})
    (tmp_path / "gate.json").write_text('{"format": "something else"}', encoding="utf-8")
    with pytest.raises(InputError, match="not a valid gate file"):
        read_gate(tmp_path, {})


@pytest.mark.parametrize(
    "change",
    [
        {"version": 7},
        {"members": {}},
        {"members": [{"file": "a"}]},
        {"scores": {"snr": [1.0, "x"] * 20}},
        {"scores": {"snr": [0.0] * 39}},
        {"scores": {"snr": []}},
        {"by_members": 3},
        {"by_members": [{"members": 2, "scores": {"rse": [None] * 40}}]},
    ],
)
def test_a_damaged_gate_is_refused_in_one_line(tmp_path, change):
    path = write_gate(tmp_path, [cells(), cells(1.0)], MEMBERS, {})
    write_json(path, read_json(path) | change)
    with pytest.raises(InputError, match="not a valid gate file"):
        read_gate(tmp_path, MEMBERS)
