"""Time points that are not judged in full: their faults are found, named, and weighed."""

import math

import numpy as np
import pytest

from bayesdl_sim.inference.judging.findings import Finding
from bayesdl_sim.inference.judging.gate import NOT_COMPARED, Verdict
from bayesdl_sim.inference.judging.look import NO_COUNTS, PointLook, look_at
from bayesdl_sim.inference.judging.series import (
    BLANK,
    FADED,
    TWICE,
    blank_points,
    is_refused,
    left_out_points,
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


@pytest.mark.parametrize("place", [0, 2, 7, 13, 19])
def test_a_fault_is_weighed_alike_wherever_it_is(place):
    """Time points 1, 7, 14 and 20 are judged in full, the others are looked at."""
    judged = {0: GOOD, 6: GOOD, 13: GOOD, 19: GOOD}
    if place in judged:
        judged[place] = Verdict("refuse", None, (COPIES.reason,))
    faults = odd_points(looks([1.0] * 20, {place: (COPIES,)}))
    verdict = over_times(judged, faults, 20)
    assert (verdict.decision, verdict.p_value) == ("warn", GOOD.p_value)
    assert verdict.reasons == (f"time point {place + 1}: {COPIES.reason}",)
    assert left_out_points(faults, judged, 20, force=False) == {place}
    assert left_out_points(faults, judged, 20, force=True) == set()


def test_frames_that_are_no_counts_are_left_out_even_if_forced():
    empty = {3: (Finding(True, f"{NO_COUNTS}it is empty"),)}
    faults = odd_points(looks([5, 5, 5, math.nan, 5], empty))
    assert faults == {3: [*empty[3]]}
    for force in (False, True):
        assert left_out_points(faults, (0, 1, 3, 4), 5, force) == {3}
    assert over_times({0: GOOD, 1: GOOD, 4: GOOD}, faults, 5).decision == "warn"


def test_all_time_points_judged_in_full_refuse_a_series():
    faults = {t: [COPIES] for t in (0, 33, 66, 99)}
    assert is_refused(faults, faults, 100)
    del faults[33]
    assert not is_refused(faults, (0, 33, 66, 99), 100)
    assert left_out_points(faults, (0, 33, 66, 99), 100, force=False) == {0, 66, 99}


def test_bleaching_is_no_darkness():
    fading = {t: math.exp(-0.3 * t) for t in range(20)}
    assert blank_points(fading) == set()
    faults = odd_points(looks(list(fading.values())))
    assert max(faults) == 19
    assert all(found == [Finding(False, FADED)] for found in faults.values())
    assert blank_points(fading | {7: 0.001}) == {7}
    assert blank_points(fading | dict.fromkeys(range(3), 0.001)) == {0, 1, 2}


def test_a_time_point_stored_twice_is_named():
    one, other = (PointLook(3.0 + x, (), total=100.0 + x) for x in (0, 0.5))
    faults = odd_points({0: one, 1: one, 2: other, 3: one})
    assert faults == {1: [Finding(False, TWICE)]}


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
    assert faults == {2: [Finding(True, BLANK)]}
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
    assert (verdict.decision, verdict.time_points) == ("warn", (10,))
    both = over_times({0: last, 9: last}, {t: [Finding(True, new)] for t in (0, 9)}, 10)
    assert (both.decision, both.reasons, both.time_points) == ("refuse", (new, old), ())


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
    assert look_at(prepared, 0).faults == look_at(prepared, 0, in_full=True).faults == ()
    assert any(word in fault.reason for fault in look_at(prepared, 1).faults)


def test_a_blank_time_point_does_not_refuse_the_others(stack_of, cristae):
    series = stack_of(np.concatenate([cristae, dark_like(cristae), cristae]))
    verdict = judge_frames(PreparedStack(series))
    assert verdict.decision != "refuse"
    assert f"time point 2: {BLANK}" in verdict.reasons
