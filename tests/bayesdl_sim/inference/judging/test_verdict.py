"""Frames first, then the result; the worst time point decides."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.inference.judging.gate import SCORES, Gate
from bayesdl_sim.inference.judging.verdict import judge_frames, judge_result, judged_times
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


def test_the_worst_time_point_decides(stack_of, cristae):
    series = stack_of(np.concatenate([cristae, cristae[PHASE_MAJOR], cristae]))
    assert judge_frames(PreparedStack(series)).decision == "refuse"
    assert judge_frames(PreparedStack(stack_of(cristae))).decision != "refuse"


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
