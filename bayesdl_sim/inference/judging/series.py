"""A series as a whole: every time point is looked at, and those at fault are named.

A few time points are judged in full. All others get the first look of `physics.checks.first_look`,
and the full checks of their raw frames where that finds something odd. A time point that would be
refused alone, or holds no light, is left out: the others are as good as without it. The series is
refused where that is so at half of the time points with light, or at all that are judged in full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from statistics import median

import numpy as np

from bayesdl_sim.inference.judging.findings import Finding
from bayesdl_sim.inference.judging.gate import NOT_COMPARED, SEVERITY, Verdict
from bayesdl_sim.inference.judging.look import NO_COUNTS, PointLook

__all__ = [
    "blank_points",
    "is_refused",
    "left_out_points",
    "odd_points",
    "over_times",
]

EMPTY = 0.05  # of the contrast of a usual time point; bleaching seldom takes so much
USUAL = 0.75  # quantile over the time points: up to three quarters of them may be dark
OUTLIER = 3.0  # times the median contrast of the time points around it; a lamp varies
AROUND = 2  # time points before and after
FADING = 3.0  # times the contrast of a neighbour: light that was switched, and did not fade
REFUSED_SHARE = 0.5  # of the time points, from which on faults of single ones refuse the series
LEAST_JUDGED = 2  # time points, all of which have to be at fault to refuse a series by them alone
MOST_NAMED = 8  # time points in one reason; the verdict lists all of them
BLANK = "the frames are dark or nearly empty: nothing can be reconstructed there"
FADED = "less than a twentieth of the light of other time points is left"
TWICE = "the same frames as those of the time point before: stored twice?"


def blank_points(contrasts: Mapping[int, float]) -> set[int]:
    """The time points without light, by the contrast of all.

    Bleaching is slow, and leaves what can be reconstructed. Where light was switched off or on, it
    falls or rises at once.
    """
    times, dim = sorted(contrasts), _dim_points(contrasts)
    switched = {
        dark
        for pair in pairwise(times)
        for dark, lit in (pair, pair[::-1])
        if dark in dim and lit not in dim and contrasts[lit] > FADING * contrasts[dark]
    }
    runs = [set(run) for is_dim, run in groupby(times, dim.__contains__) if is_dim]
    return set().union(*(run for run in runs if run & switched))


def _dim_points(contrasts: Mapping[int, float]) -> set[int]:
    usual = float(np.quantile(list(contrasts.values()), USUAL, method="higher"))
    return {t for t, contrast in contrasts.items() if contrast < EMPTY * usual}


def odd_points(looks: Mapping[int, PointLook]) -> dict[int, list[Finding]]:
    """Time point -> its faults, where there are any: its own, and against the others.

    A blank time point has no other fault: the rest follows from it.
    """
    contrasts = {t: look.contrast for t, look in looks.items() if not _has_no_counts(look.faults)}
    dim, blank = (_dim_points(contrasts), blank_points(contrasts)) if contrasts else ((), ())
    faults: dict[int, list[Finding]] = {}
    for t, look in sorted(looks.items()):
        found = list(look.faults)
        if t in blank:
            found = [Finding(True, BLANK)]
        elif t in contrasts:
            same = t - 1 in looks and _is_same(looks[t - 1], look)
            found += [Finding(False, TWICE)] if same else []
            found += [Finding(False, FADED)] if t in dim else []
            found += _outlier(contrasts, t)
        if found:
            faults[t] = found
    return faults


def _is_same(before: PointLook, look: PointLook) -> bool:
    return before.total == look.total and before.contrast == look.contrast > 0


def _outlier(contrasts: Mapping[int, float], t: int) -> list[Finding]:
    around = [contrasts[s] for s in range(t - AROUND, t + AROUND + 1) if s in contrasts]
    ratio = contrasts[t] / max(median(around), 1e-12)
    if len(around) <= AROUND or 1 / OUTLIER < ratio < OUTLIER:
        return []
    return [Finding(False, f"the light is {ratio:.2g} times that of the time points around it")]


def is_refused(faults: Mapping[int, Sequence[Finding]], judged: Iterable[int], times: int) -> bool:
    """Whether a series is refused: half of the time points with light are, or all judged in full.

    Args:
        faults: see `odd_points`.
        judged: time points that are judged in full.
        times: number of time points.
    """
    unlit = {t for t, found in faults.items() if _is_unlit(found)}
    refused, seen = _refused(faults) - unlit, set(judged) - unlit
    most = len(refused) >= REFUSED_SHARE * (times - len(unlit))
    return bool(refused) and (most or (len(seen) >= LEAST_JUDGED and seen <= refused))


def left_out_points(
    faults: Mapping[int, Sequence[Finding]], judged: Iterable[int], times: int, force: bool
) -> frozenset[int]:
    """The time points without a result: those that would be refused alone, or hold no light.

    Where that cannot be the result of single faults, since the series is refused, and where a
    result is forced, only those are left out that hold no counts.

    Args:
        faults, judged, times: see `is_refused`.
        force: keep what is refused.
    """
    if not (force or is_refused(faults, judged, times)):
        return frozenset(_refused(faults))
    return frozenset(t for t, found in faults.items() if _has_no_counts(found))


def over_times(
    verdicts: Mapping[int, Verdict], faults: Mapping[int, Sequence[Finding]], times: int
) -> Verdict:
    """The verdict on a series: the gravest of its time points, with all reasons and their places.

    Args:
        verdicts: of the time points that were judged in full; those that are left out count by
            their faults alone, unless the series is refused.
        faults: of all time points, see `odd_points`; a blank one is not judged.
        times: number of time points.
    """
    for t, one in verdicts.items():
        if one.decision == "refuse" and t not in _refused(faults):
            faults = {**faults, t: [Finding(True, reason) for reason in one.reasons]}
    refuses = is_refused(faults, verdicts, times)
    unlit = {t for t, found in faults.items() if _is_unlit(found)}
    left_out = unlit if refuses else _refused(faults)
    judged = {t: one for t, one in verdicts.items() if t not in left_out}
    places = _places(judged, faults)
    reasons = tuple(_placed(reason, sorted(points)) for reason, points in places.values())
    gravest = max(judged.values(), key=_severity, default=Verdict("not judged", None, ()))
    least = "refuse" if refuses else "warn" if faults else "accept"
    decision = max(gravest.decision, least, key=SEVERITY.index)
    reasons += (NOT_COMPARED,) if decision == "not judged" else ()
    named = sorted(set().union(*(points for _, points in places.values())))
    return Verdict(decision, gravest.p_value, reasons, tuple(t + 1 for t in named))


def _places(
    judged: Mapping[int, Verdict], faults: Mapping[int, Sequence[Finding]]
) -> dict[object, tuple[str, set[int]]]:
    """Reasons with their time points, the gravest first; none at a reason of all that are judged.

    Reasons of the first look that differ by numbers only are one.
    """
    shared = set.intersection(*(set(one.reasons) for one in judged.values())) if judged else set()
    places: dict[object, tuple[str, set[int]]] = {}
    keys: dict[str, object] = {}

    def add(refuse: bool) -> None:
        for t, found in faults.items():
            known = {*shared, *(judged[t].reasons if t in judged else ())}
            for fault in found:
                if fault.refuse == refuse and fault.reason not in known:
                    alike = (re.sub(r"\d+(\.\d+)?", "#", fault.reason), fault.frames)
                    key = keys.setdefault(fault.reason, alike)
                    places.setdefault(key, (fault.reason, set()))[1].add(t)

    add(refuse=True)
    for t in sorted(judged, key=lambda t: -_severity(judged[t])):
        for reason in (one for one in judged[t].reasons if one != NOT_COMPARED):
            key = keys.setdefault(reason, reason)
            points = places.setdefault(key, (reason, set()))[1]
            points |= set() if reason in shared else {t}
    add(refuse=False)
    return places


def _severity(verdict: Verdict) -> int:
    return SEVERITY.index(verdict.decision)


def _refused(faults: Mapping[int, Sequence[Finding]]) -> set[int]:
    return {t for t, found in faults.items() if any(fault.refuse for fault in found)}


def _is_unlit(found: Sequence[Finding]) -> bool:
    return any(fault.reason == BLANK for fault in found) or _has_no_counts(found)


def _has_no_counts(found: Sequence[Finding]) -> bool:
    return any(fault.reason.startswith(NO_COUNTS) for fault in found)


def _placed(reason: str, points: Sequence[int]) -> str:
    """A reason with the time points that it belongs to; without any where it is that of all."""
    if not points:
        return reason
    numbers = [str(t + 1) for t in points[:MOST_NAMED]]
    rest = f" and {len(points) - MOST_NAMED} more" if len(points) > MOST_NAMED else ""
    return f"time point{'s' if len(points) > 1 else ''} {', '.join(numbers)}{rest}: {reason}"
