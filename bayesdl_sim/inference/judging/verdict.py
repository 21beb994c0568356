"""The verdict on a stack, over a few of its time points: of the frames, then of the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.inference.judging.findings import (
    SMALLEST_FIELD,
    Finding,
    contradicted_optics,
    findings,
)
from bayesdl_sim.inference.judging.gate import SEVERITY, Gate, Verdict, judge, stack_scores
from bayesdl_sim.inference.judging.look import PointLook, look_at, why_no_counts
from bayesdl_sim.inference.judging.series import left_out_points, odd_points, over_times
from bayesdl_sim.inference.large.parts import Part, parts_of
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction

__all__ = [
    "findings_in",
    "judge_frames",
    "judge_part",
    "judge_result",
    "judged_times",
    "left_out_of",
    "scores_at",
    "verdict_on_series",
    "worst",
]

JUDGED_TIMES = 4  # time points of a series that are judged in full, evenly spread


def judged_times(prepared: PreparedStack) -> list[int]:
    """The time points that are judged in full; none where the field is too small."""
    if min(prepared.stack.raw.shape[-2:]) < SMALLEST_FIELD:
        return []
    times = np.linspace(0, len(prepared) - 1, JUDGED_TIMES).round().astype(int)
    return np.unique(times).tolist()


def judge_frames(prepared: PreparedStack) -> Verdict:
    """The verdict of the raw frames alone, without a network, over the time points judged in full.

    One among them that is at fault is named, and does not refuse the others.
    """
    times = judged_times(prepared)
    verdicts = {
        t: worst([judge(findings_in(part)) for part in parts_of(prepared, t)])
        for t in times
        if why_no_counts(prepared, t) is None
    }
    return verdict_on_series(prepared, verdicts, _looks(prepared, times, times))


def judge_result(
    prepared: PreparedStack, result: Reconstruction, gate: Gate | None, together: int | None = None
) -> Verdict:
    """The verdict of the raw frames and of the result that was made from them.

    Args:
        together: time points that are judged together, where these are only some of them.
    """
    verdicts, times = {}, judged_times(prepared)
    for t in (t for t in times if why_no_counts(prepared, t) is None):
        parts = []
        for part in parts_of(prepared, t):
            epistemic = result.judged_epistemic.get(t)
            epistemic = None if epistemic is None else epistemic[part.fine_square]
            images = (result.sr[t][part.fine_square], epistemic)
            parts.append(judge_part(part, *images, gate, together or len(times)))
        verdicts[t] = worst(parts)
    return verdict_on_series(prepared, verdicts, _all_looks(prepared))


def left_out_of(prepared: PreparedStack, force: bool) -> frozenset[int]:
    """The time points of a series without a result, see `series.left_out_points`."""
    faults = odd_points(_all_looks(prepared))
    return left_out_points(faults, judged_times(prepared), len(prepared), force)


def verdict_on_series(
    prepared: PreparedStack, verdicts: Mapping[int, Verdict], looks: Mapping[int, PointLook]
) -> Verdict:
    """The verdict over time points that were judged in full, and others that were looked at.

    Args:
        prepared: the series, or a single stack.
        verdicts: time point -> its verdict; none where the field is too small.
        looks: time point -> the first look at its frames; not needed of a single one.
    """
    if not looks:
        return worst(list(verdicts.values()))
    if not judged_times(prepared):
        verdicts = {-1: worst([])}  # of no time point, and so of all
    return over_times(verdicts, odd_points(looks), len(prepared))


def _all_looks(prepared: PreparedStack) -> dict[int, PointLook]:
    """The looks at all time points, in full where one that is judged would be refused alone.

    What refuses it may be wrong at others, too, and not be seen at first look.
    """
    times, every = judged_times(prepared), range(len(prepared))
    if not times:  # the field is too small
        return _looks(prepared, [t for t in every if why_no_counts(prepared, t)], ())
    judged = _looks(prepared, times, times)
    in_full = every if any(look.is_deep for look in judged.values()) else times
    return _looks(prepared, every, in_full)


def _looks(
    prepared: PreparedStack, points: Iterable[int], in_full: Sequence[int]
) -> dict[int, PointLook]:
    """The looks at some time points of a series; none at a single stack."""
    if len(prepared) == 1:
        return {}
    return {
        t: prepared.once("look", t, partial(look_at, prepared, t, t in in_full)) for t in points
    }


def judge_part(
    part: Part, sr: NDArray, epistemic: NDArray | None, gate: Gate | None, times: int
) -> Verdict:
    """The verdict on one part of a field.

    Args:
        sr, epistemic: maps of the part, see `scores_at`.
        times: time points that are judged together.
    """
    scores = scores_at(part.prepared, part.t, sr, epistemic)
    comparable = gate if gate is not None and set(gate.scores) == set(scores) else None
    together = times * part.together
    return judge(findings_in(part), scores, comparable, together)


def scores_at(
    prepared: PreparedStack, t: int, sr: NDArray, epistemic: NDArray | None
) -> dict[str, float]:
    """The scores of one time point that the gate compares.

    Args:
        sr: posterior mean (2H, 2W), any linear units.
        epistemic: prediction of the members, without calibration, (2H, 2W), in the same units;
            None for a single member.
    """
    examined = prepared.examine(t, torch.from_numpy(sr))
    wide_field, sr = prepared.shown(t).mean(dim=0).cpu().numpy(), _dimmed(prepared, t, sr)
    return stack_scores(examined.checks.by_name(), examined.misfit(), wide_field, sr, epistemic)


def _dimmed(prepared: PreparedStack, t: int, image: NDArray) -> NDArray:
    """An image (2H, 2W) of one time point with its spots dimmed as in the network input."""
    factor = prepared.fine_dimming(t)
    if factor is None:
        return image
    low = float(image.min())
    return low + factor[0, 0].cpu().numpy() * (image - low)


def findings_in(part: Part) -> list[Finding]:
    """Faults that the raw frames of one part of a field show."""
    stack = part.prepared.stack
    checks = part.prepared.checks(part.t).by_name()
    file_faults = [Finding(False, warning) for warning in stack.warnings]
    given_optics, estimated_optics = part.prepared.optics, part.prepared.patterns(part.t).optics
    file_faults += contradicted_optics(given_optics, estimated_optics)
    return file_faults + findings(checks, part.prepared.field, stack.pixel_size_nm)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The gravest of the verdicts on time points; those of no time point are not judged."""
    if not verdicts:
        return Verdict("not judged", None, (f"the field has less than {SMALLEST_FIELD} pixels",))
    return max(verdicts, key=lambda verdict: SEVERITY.index(verdict.decision))
