"""A series as a whole: every time point is looked at, and those at fault are named.

A few time points are judged in full. All others get the first look of `physics.checks.first_look`,
and the full checks of their raw frames where that finds something odd. A fault in single time
points warns and does not refuse: the others are as good as without it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from bayesdl_sim.inference.judging.findings import Finding, dark_frames, findings, frames_are
from bayesdl_sim.inference.judging.gate import NOT_COMPARED, SEVERITY, Verdict
from bayesdl_sim.inference.large.parts import parts_of
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.checks.first_look import FirstLook, first_look
from bayesdl_sim.physics.checks.stored_values import SATURATED
from bayesdl_sim.physics.patterns.estimation import FOUND, Estimate

__all__ = ["PointLook", "blank_points", "look_at", "odd_points", "over_times"]

# Of the brightness of a frame over the third brightest of the nine; 0.7 to 1.2 in good stacks. The
# full checks report a frame below a half.
SUSPECT = (0.6, 1.5)
BRIGHT = 2.0  # times the third brightest: reported
SAME_WAVE = 0.02  # cycles per raw pixel; estimates of one stand differ by a tenth of that
MOVED_PX = 1.0  # whole pixels, as it is rounded; the full checks then measure
EMPTY = 0.05  # of the contrast of a usual time point; bleaching seldom takes so much
USUAL = 0.75  # quantile over the time points: up to three quarters of them may be dark
OUTLIER = 3.0  # times the median contrast of the time points around it; a lamp varies
AROUND = 2  # time points before and after
REFUSED_SHARE = 0.5  # of the time points, from which on faults of single ones refuse the series
MOST_NAMED = 8  # time points in one reason; the verdict lists all of them
BLANK = "the frames are dark or nearly empty: nothing can be reconstructed there"


class PointLook(NamedTuple):
    """The first look at one time point.

    Attributes:
        contrast: see `FirstLook`, in counts.
        faults: what the full checks found where the look was odd, the gravest first.
    """

    contrast: float
    faults: tuple[Finding, ...]


def look_at(prepared: PreparedStack, t: int) -> PointLook:
    """Looks at the raw frames of one time point, and checks them in full where they are odd."""
    look = first_look(prepared.counts(t, prepared.squares(t)[0]))
    if not (_is_odd(look) or _other_fringes(prepared, t)):
        return PointLook(look.contrast, ())
    pixel_size_nm = prepared.stack.pixel_size_nm
    faults: list[Finding] = []
    for part in parts_of(prepared, t):
        checks = part.prepared.checks(part.t).by_name()
        faults += findings(checks, part.prepared.field, pixel_size_nm)
    known = any(
        name in fault.reason for fault in faults for name in ("dark or missing", "no fringes")
    )
    faults += [] if known else dark_frames(look.brightness)
    bright = tuple(f + 1 for f, light in enumerate(look.brightness) if light > BRIGHT)
    if bright:
        times = f"{max(look.brightness):.1f} times as bright as the others"
        faults.append(Finding(False, f"{frames_are(bright)} {times}", bright))
    faults = sorted(dict.fromkeys(faults), key=lambda fault: not fault.refuse)
    return PointLook(look.contrast, tuple(faults))


def _is_odd(look: FirstLook) -> bool:
    return (
        not SUSPECT[0] < min(look.brightness) <= max(look.brightness) < SUSPECT[1]
        or bool(look.copies)
        or look.saturated_share > SATURATED
        or look.moved_px >= MOVED_PX
    )


def _other_fringes(prepared: PreparedStack, t: int) -> bool:
    """Whether the patterns of a time point are fewer than those of another, or elsewhere.

    Phases that moved are no fault. Wave vectors belong to the stand, and stay.
    """
    if prepared.patterns_from(t) != t:
        return False
    found = {point: _waves(prepared.patterns(point)) for point in prepared.estimated}
    best = max(prepared.estimated, key=lambda point: len(found[point]))
    here, there = found[t], found[best]
    return len(here) < len(there) or any(
        min(math.dist(here[o], there[o]), math.dist(here[o], [-k for k in there[o]])) > SAME_WAVE
        for o in here.keys() & there.keys()
    )


def _waves(patterns: Estimate) -> dict[int, tuple[float, float]]:
    """Orientation -> its wave vector (ky, kx) in cycles per raw pixel, where one was found."""
    waves, probability = patterns.illumination.waves, patterns.probability
    return {o: waves[o] for o in range(len(waves)) if probability[o] > FOUND}


def blank_points(contrasts: Mapping[int, float]) -> set[int]:
    """The time points without light, by the contrast of all."""
    usual = float(np.quantile(list(contrasts.values()), USUAL, method="higher"))
    return {t for t, contrast in contrasts.items() if contrast < EMPTY * usual}


def odd_points(looks: Mapping[int, PointLook]) -> dict[int, list[Finding]]:
    """Time point -> its faults, where there are any: its own, and against the others.

    A blank time point has no other fault: the rest follows from it.
    """
    if len(looks) < 2:
        return {}
    contrasts = {t: look.contrast for t, look in looks.items()}
    blank, faults = blank_points(contrasts), {}
    for t, look in sorted(looks.items()):
        around = [contrasts[s] for s in range(t - AROUND, t + AROUND + 1) if s in contrasts]
        ratio = look.contrast / max(median(around), 1e-12)
        if t in blank:
            faults[t] = [Finding(False, BLANK)]
            continue
        found = list(look.faults)
        if len(around) > AROUND and not 1 / OUTLIER < ratio < OUTLIER:
            reason = f"the light is {ratio:.2g} times that of the time points around it"
            found.append(Finding(False, reason))
        if found:
            faults[t] = found
    return faults


def over_times(
    verdicts: Mapping[int, Verdict], faults: Mapping[int, Sequence[Finding]], times: int
) -> Verdict:
    """The verdict on a series: the gravest of its time points, with all reasons and their places.

    Args:
        verdicts: of the time points that were judged in full, one or more.
        faults: of all time points, see `odd_points`; a blank one is not judged.
        times: number of time points.
    """
    judged = {t: one for t, one in verdicts.items() if not _is_blank(faults.get(t, ()))}
    judged = judged or dict(verdicts)
    gravest = max(judged.values(), key=lambda one: SEVERITY.index(one.decision))
    shared = set.intersection(*(set(one.reasons) for one in judged.values()))
    places: dict[object, tuple[str, set[int]]] = {}
    for t in sorted(judged, key=lambda t: -SEVERITY.index(judged[t].decision)):
        for reason in (one for one in judged[t].reasons if one != NOT_COMPARED):
            points = places.setdefault(reason, (reason, set()))[1]
            points |= set() if reason in shared else {t}
    for t, found in faults.items():
        known = judged[t].reasons if t in judged else ()
        for fault in found:
            if fault.reason not in shared and fault.reason not in known:
                key = (re.sub(r"\d+(\.\d+)?", "#", fault.reason), fault.frames)
                places.setdefault(key, (fault.reason, set()))[1].add(t)
    reasons = tuple(_placed(reason, sorted(points)) for reason, points in places.values())
    refused = {t for t, found in faults.items() if any(fault.refuse for fault in found)}
    least = "refuse" if len(refused) >= REFUSED_SHARE * times else "warn" if faults else "accept"
    decision = max(gravest.decision, least, key=SEVERITY.index)
    reasons += (NOT_COMPARED,) if decision == "not judged" else ()
    named = sorted(set().union(*(points for _, points in places.values())))
    return Verdict(decision, gravest.p_value, reasons, tuple(t + 1 for t in named))


def _is_blank(found: Sequence[Finding]) -> bool:
    return any(fault.reason == BLANK for fault in found)


def _placed(reason: str, points: Sequence[int]) -> str:
    """A reason with the time points that it belongs to; without any where it is that of all."""
    if not points:
        return reason
    numbers = [str(t + 1) for t in points[:MOST_NAMED]]
    rest = f" and {len(points) - MOST_NAMED} more" if len(points) > MOST_NAMED else ""
    return f"time point{'s' if len(points) > 1 else ''} {', '.join(numbers)}{rest}: {reason}"
