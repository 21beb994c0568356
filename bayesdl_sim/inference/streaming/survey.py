"""The first pass over a long series: every raw frame is checked, nothing is predicted.

It fixes what all time points share before the first one is written: the intensity scale, and which
of them have fringe patterns of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bayesdl_sim.data.counts import CountFacts, count_facts, count_warnings
from bayesdl_sim.data.frames import FramesOnDisk
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.judging.findings import Finding
from bayesdl_sim.inference.judging.gate import Verdict
from bayesdl_sim.inference.judging.series import PointLook, look_at
from bayesdl_sim.inference.judging.verdict import judged_times, verdict_on_series
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.estimation import Estimate
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
            patterns of every time point.
        scale: counts at 0 and 1 of all maps.
        judged: time points that are judged in full.
        looks: time point -> the first look at its frames; none where the field is too small.
    """

    def __init__(
        self, prepared: PreparedStack, facts: list[CountFacts], looks: dict[int, PointLook]
    ) -> None:
        stack = prepared.stack
        prepared.stack = replace(stack, warnings=(*stack.warnings, *count_warnings(facts)))
        self.prepared, self.looks = prepared, looks
        self.judged = judged_times(prepared)
        norms = [prepared.norm(t) for t in range(len(prepared))]
        low, high = min(norm.low for norm in norms), max(norm.high for norm in norms)
        self.scale = Normalisation(low - BELOW * (high - low), high + ABOVE * (high - low))

    def verdict(self, verdicts: Mapping[int, Verdict]) -> Verdict:
        """The verdict on the series, of those of time points that were judged in full."""
        return verdict_on_series(verdicts, self.looks, len(self.prepared))

    def one(self, t: int) -> PreparedStack:
        """The stack of one time point alone, with its measurements."""
        whole = self.prepared
        raw = whole.stack.raw
        large = whole.is_large and isinstance(raw, FramesOnDisk)
        stack = replace(whole.stack, raw=raw.only(t) if large else raw[t][None])
        one = PreparedStack(stack, whole.min_max, whole.optics, device=whole.device)
        patterns = None if whole.patterns_from(t) is None else whole.patterns(t)
        one.restore(0, whole.norm(t), patterns, 0)
        return one


def survey_series(
    prepared: PreparedStack,
    folder: Path,
    progress: Callable[[int, int, str], None],
    all_patterns: bool,
) -> Survey:
    """Surveys a series, from where an earlier survey in the same folder ended.

    Args:
        prepared: the series.
        folder: folder of its journal.
        all_patterns: the patterns of every time point are needed, not only of those that are
            judged.

    Raises:
        InputError: a time point that cannot be camera counts, or is constant.
    """
    judged, times = judged_times(prepared), len(prepared)
    facts: dict[int, CountFacts] = {}
    looks: dict[int, PointLook] = {}

    def take(entry: dict[str, Any]) -> None:
        facts[entry["t"]] = CountFacts(**entry["counts"])
        if judged:
            looks[entry["t"]] = _look(entry["look"])

    for entry in journal_entries(folder, SURVEY):
        take(entry)
        _restore(prepared, entry)
    # Those that are judged first, as everywhere: patterns depend on what was estimated before.
    order = [*judged, *(t for t in range(times) if t not in judged)]
    missing = [t for t in order if t not in facts]
    with Journal(folder / SURVEY) if missing else nullcontext() as journal:
        for t in missing:
            entry = _point(prepared, t, all_patterns or t in judged, bool(judged))
            take(entry)
            journal.add(entry)
            progress(len(facts), times, "first look")
    return Survey(prepared, [facts[t] for t in range(times)], looks)


def _point(prepared: PreparedStack, t: int, with_patterns: bool, with_look: bool) -> dict[str, Any]:
    """The record of one time point."""
    stack: RawStack = prepared.stack
    frames = stack.raw.stored(t) if isinstance(stack.raw, FramesOnDisk) else stack.raw[t]
    counts = count_facts(frames, f"{stack.source} at time point {t + 1}")
    entry = {"t": t, "counts": counts._asdict(), "norm": prepared.norm(t)._asdict()}
    if with_patterns:
        prepared.patterns(t)
    if with_look:  # which may need the patterns of any time point
        look = look_at(prepared, t)
        entry["look"] = {"contrast": look.contrast, "faults": [[*one] for one in look.faults]}
    origin = prepared.patterns_from(t)
    if origin is not None:
        entry["patterns_from"] = origin
        if origin == t:
            entry["patterns"] = asdict(prepared.patterns(t))
    prepared.forget(t)
    return entry


def _look(stored: dict[str, Any]) -> PointLook:
    """A first look as `_point` stored it, after its way through a file."""
    faults = (Finding(refuse, reason, tuple(at)) for refuse, reason, at in stored["faults"])
    return PointLook(stored["contrast"], tuple(faults))


def _restore(prepared: PreparedStack, entry: dict[str, Any]) -> None:
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
