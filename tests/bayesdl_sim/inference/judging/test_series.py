"""Time points that are not judged in full: their faults are found, named, and weighed."""

import numpy as np
import pytest

from bayesdl_sim.inference.judging.findings import Finding
from bayesdl_sim.inference.judging.gate import NOT_COMPARED, Verdict
from bayesdl_sim.inference.judging.series import (
    BLANK,
    PointLook,
    blank_points,
    look_at,
    odd_points,
    over_times,
)
from bayesdl_sim.inference.judging.verdict import judge_frames
from bayesdl_sim.inference.prepared.stack import PreparedStack

GOOD = Verdict("accept", 0.4, ())
COPIES = Finding(True, "frames 4 and 5 are copies of one exposure", (4, 5))
PHASE_MAJOR = [0, 3, 6, 1, 4, 7, 2, 5, 8]


def looks(contrasts, faults=None):
    return {t: PointLook(c, (faults or {}).get(t, ())) for t, c in enumerate(contrasts)}


def dark_like(frames, seed=0):
    noise = np.random.default_rng(seed).normal(100, 2, frames.shape)
    return noise.round().astype(frames.dtype)


def test_a_good_series_is_accepted_as_before():
    assert odd_points(looks([10, 9, 8, 7, 6, 5, 4, 3, 2])) == {}  # it bleaches
    assert odd_points(looks([1, 1, 4, 4, 4])) == {}  # it was activated
    assert over_times({0: GOOD, 4: GOOD}, {}, 5) == GOOD


def test_a_fault_of_one_time_point_warns_and_names_it():
    faults = odd_points(looks([1.0] * 20, {8: (COPIES,), 11: (COPIES,)}))
    verdict = over_times({0: GOOD, 19: GOOD}, faults, 20)
    assert verdict.decision == "warn"
    assert verdict.reasons == (f"time points 9, 12: {COPIES.reason}",)
    assert verdict.time_points == (9, 12)
    assert verdict.p_value == GOOD.p_value


def test_a_fault_of_most_time_points_refuses():
    faults = odd_points(looks([1.0] * 8, dict.fromkeys(range(4), (COPIES,))))
    assert over_times({7: GOOD}, faults, 8).decision == "refuse"
    del faults[0]
    assert over_times({7: GOOD}, faults, 8).decision == "warn"


def test_reasons_that_differ_by_numbers_only_are_one():
    cut = {t: (Finding(False, f"{t / 10 + 1}% of the values are saturated"),) for t in (2, 5)}
    verdict = over_times({0: GOOD}, odd_points(looks([1.0] * 9, cut)), 9)
    assert verdict.reasons == ("time points 3, 6: 1.2% of the values are saturated",)


def test_a_blank_time_point_is_named_and_has_no_other_fault():
    faults = odd_points(looks([5, 5, 0.1, 5, 5], {2: (COPIES,)}))
    assert faults == {2: [Finding(False, BLANK)]}
    bad = Verdict("refuse", 0.01, ("no fringes",))
    verdict = over_times({0: GOOD, 2: bad}, faults, 5)
    assert (verdict.decision, verdict.p_value) == ("warn", 0.4)
    assert verdict.reasons == (f"time point 3: {BLANK}",)
    assert blank_points({0: 0.1, 1: 0.1, 2: 5.0}) == {0, 1}


def test_a_flash_is_told_from_a_step():
    assert set(odd_points(looks([1, 1, 1, 40, 1, 1]))) == {3}
    assert "40 times" in odd_points(looks([1, 1, 1, 40, 1, 1]))[3][0].reason


def test_reasons_of_all_judged_time_points_have_no_place():
    old, new = "pixels of 30 nm", "the sample moved"
    first, last = Verdict("warn", None, (old,)), Verdict("refuse", None, (new, old))
    verdict = over_times({0: first, 9: last}, {9: [Finding(True, new)]}, 10)
    assert verdict.reasons == (f"time point 10: {new}", old)
    assert (verdict.decision, verdict.time_points) == ("refuse", (10,))


def test_good_time_points_without_a_gate_are_not_named():
    good = Verdict("not judged", None, (NOT_COMPARED,))
    bad = Verdict("refuse", None, (COPIES.reason,))
    assert over_times({0: good, 4: good}, {}, 5) == good
    verdict = over_times({0: good, 4: bad}, {}, 5)
    assert verdict.reasons == (f"time point 5: {COPIES.reason}",)
    assert verdict.time_points == (5,)


def test_a_long_list_of_reasons_is_cut_in_the_sentence():
    faults = {t: [Finding(False, "ab" * t)] for t in range(1, 9)}
    verdict = over_times({0: GOOD}, faults, 30)
    assert len(verdict.reasons) == 8
    assert verdict.sentence().endswith("; and 2 more, see prediction.json")


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda a: np.concatenate([a[:4], dark_like(a[4:5]), a[5:]]), "frame 5 is dark"),
        (lambda a: a[[0, 1, 2, 3, 3, 5, 6, 7, 8]], "frames 4 and 5 are copies"),
        (lambda a: np.minimum(a, np.quantile(a, 0.9)).astype(a.dtype), "are saturated"),
        (lambda a: np.concatenate([a[:3], np.roll(a[3:6], 6, 1), a[6:]]), "the sample moved"),
        (lambda a: a[PHASE_MAJOR], "the same fringes"),
        (lambda a: np.concatenate([a[:7], 3 * a[7:8], a[8:]]), "frame 8 is"),
    ],
)
def test_what_ruins_a_time_point_is_found(stack_of, cristae, damage, word):
    prepared = PreparedStack(stack_of(np.concatenate([cristae, damage(cristae)])))
    for t in range(2):
        prepared.patterns(t)
    assert look_at(prepared, 0).faults == ()
    assert any(word in fault.reason for fault in look_at(prepared, 1).faults)


def test_a_blank_time_point_does_not_refuse_the_others(stack_of, cristae):
    series = stack_of(np.concatenate([cristae, dark_like(cristae), cristae]))
    verdict = judge_frames(PreparedStack(series))
    assert verdict.decision != "refuse"
    assert f"time point 2: {BLANK}" in verdict.reasons
