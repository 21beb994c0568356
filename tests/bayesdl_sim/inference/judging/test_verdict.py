"""Frames first, then the result; the worst time point decides."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.inference.judging.gate import SCORES, Gate
from bayesdl_sim.inference.judging.verdict import (
    judge_frames,
    judge_result,
    judged_times,
    left_out_of,
)
from bayesdl_sim.inference.prepared.stack import PreparedStack

PHASE_MAJOR = [0, 3, 6, 1, 4, 7, 2, 5, 8]


@pytest.mark.parametrize(("times", "expected"), [(1, [0]), (3, [0, 1, 2]), (100, [0, 33, 66, 99])])
def test_judged_times_are_spread_evenly(stack, times, expected):
    long = replace(stack, raw=np.broadcast_to(stack.raw, (times, *stack.raw.shape[1:])))
    assert judged_times(PreparedStack(long)) == expected


def test_a_small_field_is_not_judged(stack_of, cristae):
    small = PreparedStack(stack_of(cristae[:, :40, :80]))
    assert judged_times(small) == []
    assert judge_frames(small).decision == "not judged"


def test_a_fault_of_one_time_point_is_named_and_that_of_half_of_them_refuses(stack_of, cristae):
    wrong = cristae[PHASE_MAJOR]
    verdict = judge_frames(PreparedStack(stack_of(np.concatenate([cristae, wrong, cristae]))))
    assert (verdict.decision, verdict.time_points[0]) == ("warn", 2)
    assert verdict.reasons[0].startswith("time point 2: frames ")
    assert "show the same fringes" in verdict.reasons[0]
    most = PreparedStack(stack_of(np.concatenate([wrong, wrong, cristae])))
    assert judge_frames(most).decision == "refuse"
    assert judge_frames(PreparedStack(stack_of(wrong))).decision == "refuse"
    assert judge_frames(PreparedStack(stack_of(cristae))).decision != "refuse"


def test_what_the_first_look_misses_is_looked_for_in_all_time_points(stack_of, cristae):
    """Of eight time points 1, 3, 6 and 8 are judged; the frames of 3 and 5 are in a wrong order."""
    wrong = cristae[PHASE_MAJOR]
    series = [wrong if t in (2, 4) else cristae for t in range(8)]
    prepared = PreparedStack(stack_of(np.concatenate(series)))
    assert left_out_of(prepared, force=False) == {2, 4}
    assert left_out_of(prepared, force=True) == set()


@pytest.mark.parametrize("gamma", [1.0, 0.8])
def test_a_file_stored_with_a_gamma_is_warned_of(tmp_path, cristae, gamma):
    counts = cristae.astype(np.float64)
    stored = np.rint(60000 * (counts / counts.max()) ** gamma).astype(np.uint16)
    tifffile.imwrite(tmp_path / "raw.tif", stored)
    verdict = judge_frames(PreparedStack(read_stack(tmp_path / "raw.tif")))
    warned = [reason for reason in verdict.reasons if "a gamma of about 0.8" in reason]
    assert len(warned) == (gamma != 1.0)


def test_scores_are_compared_with_validation_cells(posterior, stack):
    result, prepared = posterior.reconstruct(stack), posterior.prepare(stack)
    rng = np.random.default_rng(0)
    low = Gate({name: -1e6 + rng.normal(size=40) for name in SCORES}, {})
    high = Gate({name: 1e6 + rng.normal(size=40) for name in SCORES}, {})
    assert judge_result(prepared, result, low).p_value == pytest.approx(1 / 41)
    assert judge_result(prepared, result, low).decision == "warn"
    assert judge_result(prepared, result, high).p_value == pytest.approx(1.0)
