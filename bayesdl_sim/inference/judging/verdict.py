"""The verdict on a stack, over a few of its time points: of the frames, then of the result."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.inference.judging.findings import (
    SMALLEST_FIELD,
    Finding,
    contradicted_optics,
    findings,
)
from bayesdl_sim.inference.judging.gate import Gate, Verdict, judge, stack_scores
from bayesdl_sim.inference.prepared import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction

__all__ = ["findings_at", "judge_frames", "judge_result", "judged_times", "scores_at", "worst"]

JUDGED_TIMES = 4  # time points of a series that the verdict looks at, evenly spread
SEVERITY = ("accept", "not judged", "warn", "refuse")


def judged_times(prepared: PreparedStack) -> list[int]:
    """The time points that a verdict looks at; none where the field is too small."""
    if min(prepared.stack.raw.shape[-2:]) < SMALLEST_FIELD:
        return []
    times = np.linspace(0, len(prepared) - 1, JUDGED_TIMES).round().astype(int)
    return np.unique(times).tolist()


def judge_frames(prepared: PreparedStack) -> Verdict:
    """The verdict of the raw frames alone: no network is asked."""
    verdicts = []
    for t in judged_times(prepared):
        verdicts.append(judge(findings_at(prepared, t)))
    return worst(verdicts)


def judge_result(
    prepared: PreparedStack, result: Reconstruction, gate: Gate | None, together: int | None = None
) -> Verdict:
    """The verdict of the raw frames and of the result that was made from them.

    Args:
        together: time points that are judged together, where these are only some of them.
    """
    verdicts, times = [], judged_times(prepared)
    for t in times:
        scores = scores_at(prepared, t, result.sr[t], result.judged_epistemic.get(t))
        comparable = gate if gate is not None and set(gate.scores) == set(scores) else None
        verdicts.append(judge(findings_at(prepared, t), scores, comparable, together or len(times)))
    return worst(verdicts)


def scores_at(
    prepared: PreparedStack, t: int, sr: NDArray, epistemic: NDArray | None
) -> dict[str, float]:
    """What the gate compares of one time point, over the square that is judged.

    Args:
        sr: posterior mean (2H, 2W) of the whole field, any linear units.
        epistemic: as the members predict it, without calibration, over the judged square of the
            doubled grid, in the same units; None for a single member.
    """
    examined = prepared.examine(t, torch.from_numpy(sr))
    checks, square = examined.checks._asdict(), prepared.fine_square(t)
    wide_field = prepared.shown(t).mean(dim=0).numpy()[examined.square]
    sr = prepared.dimmed(t, sr)[square]
    return stack_scores(checks, examined.misfit(), wide_field, sr, epistemic)


def findings_at(prepared: PreparedStack, t: int) -> list[Finding]:
    """Faults that the raw frames of one time point show."""
    checks = prepared.checks(t)._asdict()
    stack = prepared.stack
    of_the_file = [Finding(False, warning) for warning in stack.warnings]
    of_the_file += contradicted_optics(prepared.optics, prepared.patterns(t).optics)
    return of_the_file + findings(checks, prepared.judged_field(t), stack.pixel_size_nm)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The gravest of the verdicts on time points; those of no time point are not judged."""
    if not verdicts:
        return Verdict("not judged", None, (f"the field has less than {SMALLEST_FIELD} pixels",))
    return max(verdicts, key=lambda verdict: SEVERITY.index(verdict.decision))
