"""The first pass over a long series: every raw frame is checked, nothing is predicted.

It fixes what all time points share before the first one is written: the intensity scale, and which
of them have fringe patterns of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bayesdl_sim.data.counts import (
    CountFacts,
    count_warnings,
    counts_or_fault,
    is_too_many,
)
from bayesdl_sim.data.frames import FramesOnDisk
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.judging.findings import Finding
from bayesdl_sim.inference.judging.gate import Verdict, judge
from bayesdl_sim.inference.judging.look import NO_COUNTS, PointLook, look_at
from bayesdl_sim.inference.judging.series import left_out_points, odd_points
from bayesdl_sim.inference.judging.verdict import judged_times, verdict_on_series
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.estimation import Estimate
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.folders.journal import Journal, journal_entries

__all__ = ["Survey", "survey_series"]

SURVEY = "survey.jsonl"
# The scale of the maps reaches beyond the frames' robust range: a super-resolved image is brighter
# at its peaks, 1.2 to 1.8 times on measured stacks, and noise goes below the darkest of them.
BELOW, ABOVE = 0.5, 2.5  # of the range


class Survey:
    """The results of the first pass.

    Attributes:
        prepared: the stack, with the warnings about its counts, and with the scale and the
            patterns of every time point; its `left_out` is that of the series.
        scale: counts at 0 and 1 of all maps.
        judged: time points that are judged in full.
        looks: time point -> the look at its frames; where the field is too small, of those alone
            that hold no counts.
        norms: time point -> scale of its networks; None where it holds no counts.
    """

    def __init__(
        self,
        prepared: PreparedStack,
        facts: Sequence[CountFacts | None],
        looks: dict[int, PointLook],
        force: bool,
    ) -> None:
        stack = prepared.stack
        known = [one for one in facts if one is not None]
        prepared.stack = replace(stack, warnings=(*stack.warnings, *count_warnings(known)))
        self.prepared, self.looks = prepared, looks
        self.judged, self.faults = judged_times(prepared), odd_points(looks)
        prepared.left_out = left_out_points(self.faults, self.judged, len(prepared), force)
        self.norms = [None if one is None else prepared.norm(t) for t, one in enumerate(facts)]
        kept = [norm for t, norm in enumerate(self.norms) if t not in prepared.left_out]
        low, high = min(norm.low for norm in kept), max(norm.high for norm in kept)
        self.scale = Normalisation(low - BELOW * (high - low), high + ABOVE * (high - low))

    def verdict(self, verdicts: Mapping[int, Verdict]) -> Verdict:
        """The verdict on the series, of those of time points that were judged in full."""
        return verdict_on_series(self.prepared, verdicts, self.looks)

    def verdict_of_frames(self) -> Verdict:
        """The verdict on the series without a result, by the faults that would refuse it."""
        faults = {t: self.looks[t].faults for t in self.judged if self.norms[t] is not None}
        return self.verdict({t: judge(found) for t, found in faults.items()})

    def one(self, t: int) -> PreparedStack:
        """The stack of one time point alone, with its measurements."""
        whole = self.prepared
        raw = whole.stack.raw
        large = whole.is_large and isinstance(raw, FramesOnDisk)
        alone = raw.only(t) if large else raw[t][None]
        stack = replace(whole.stack, raw=alone, without_counts={})
        one = PreparedStack(stack, whole.min_max, whole.optics, device=whole.device)
        patterns = None if whole.patterns_from(t) is None else whole.patterns(t)
        one.restore(0, whole.norm(t), patterns, 0)
        return one


def survey_series(
    prepared: PreparedStack,
    folder: Path,
    progress: Callable[[int, int, str], None],
    all_patterns: bool,
    force: bool = False,
) -> Survey:
    """Surveys a series, from where an earlier survey in the same folder ended.

    Args:
        prepared: the series.
        folder: folder of its journal.
        all_patterns: the patterns of every time point are needed, not only of those that are
            judged.
        force: keep the time points that would be refused alone.

    Raises:
        InputError: half of the time points, or a single stack, cannot be camera counts.
    """
    judged, times = judged_times(prepared), len(prepared)
    facts: dict[int, CountFacts | None] = {}
    looks: dict[int, PointLook] = {}

    def take(entry: dict[str, Any]) -> None:
        counts = entry["counts"]
        facts[entry["t"]] = None if counts is None else CountFacts(**counts)
        if "look" in entry:
            looks[entry["t"]] = _look(entry["look"])

    for entry in journal_entries(folder, SURVEY):
        take(entry)
        _restore(prepared, entry)
    # Those that are judged first, as everywhere: patterns depend on what was estimated before.
    order = [*judged, *(t for t in range(times) if t not in judged)]
    missing = [t for t in order if t not in facts]
    with Journal(folder / SURVEY) if missing else nullcontext() as journal:
        for t in missing:
            deep = t in judged or any(looks[one].is_deep for one in judged)
            entry = _point(prepared, t, all_patterns or t in judged, bool(judged), deep)
            take(entry)
            faulty = sum(one is None for one in facts.values())
            if is_too_many(faulty, times):
                where = f"{prepared.stack.source} at time point {t + 1}"
                raise InputError(f"{where} {entry['why'].removeprefix('it ')}")
            journal.add(entry)
            progress(len(facts), times, "first look")
    return Survey(prepared, [facts[t] for t in range(times)], looks, force)


def _point(
    prepared: PreparedStack, t: int, with_patterns: bool, with_look: bool, in_full: bool
) -> dict[str, Any]:
    """The record of one time point."""
    stack: RawStack = prepared.stack
    frames = stack.raw.stored(t) if isinstance(stack.raw, FramesOnDisk) else stack.raw[t]
    counts = counts_or_fault(frames)
    if isinstance(counts, str):
        look = PointLook(math.nan, (Finding(True, NO_COUNTS + counts),))
        return {"t": t, "counts": None, "why": counts, "look": _stored(look)}
    entry = {"t": t, "counts": counts._asdict(), "norm": prepared.norm(t)._asdict()}
    if with_patterns:
        prepared.patterns(t)
    if with_look:  # which may need the patterns of any time point
        entry["look"] = _stored(look_at(prepared, t, in_full))
    origin = prepared.patterns_from(t)
    if origin is not None:
        entry["patterns_from"] = origin
        if origin == t:
            entry["patterns"] = asdict(prepared.patterns(t))
    prepared.forget(t)
    return entry


def _stored(look: PointLook) -> dict[str, Any]:
    return look._asdict() | {"faults": [[*one] for one in look.faults]}


def _look(stored: dict[str, Any]) -> PointLook:
    """A look as `_stored` gave it, after its way through a file."""
    faults = (Finding(refuse, reason, tuple(at)) for refuse, reason, at in stored["faults"])
    return PointLook(**stored | {"faults": tuple(faults)})


def _restore(prepared: PreparedStack, entry: dict[str, Any]) -> None:
    if entry["counts"] is None:
        return
    origin = entry.get("patterns_from", -1)
    patterns = _estimate(entry["patterns"]) if "patterns" in entry else None
    if patterns is None and origin >= 0:
        patterns = prepared.patterns(origin)
    prepared.restore(entry["t"], Normalisation(**entry["norm"]), patterns, origin)


def _estimate(stored: dict[str, Any]) -> Estimate:
    """An estimate as `dataclasses.asdict` gave it, after its way through a file."""
    parts = {"illumination": Illumination, "optics": Optics}
    values = {name: _tuples(value) for name, value in stored.items() if name not in parts}
    for name, kind in parts.items():
        values[name] = kind(**{key: _tuples(value) for key, value in stored[name].items()})
    return Estimate(**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
