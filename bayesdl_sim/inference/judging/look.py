"""The look at one time point of a series: a first one, and a full one where that is odd."""

from __future__ import annotations

import math
from typing import NamedTuple

from bayesdl_sim.data.counts import counts_or_fault
from bayesdl_sim.data.frames import FramesOnDisk
from bayesdl_sim.inference.judging.findings import Finding, dark_frames, findings, frames_are
from bayesdl_sim.inference.large.parts import parts_of
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.checks.first_look import FirstLook, first_look
from bayesdl_sim.physics.checks.stored_values import SATURATED
from bayesdl_sim.physics.patterns.estimation import FOUND, Estimate

__all__ = ["NO_COUNTS", "PointLook", "look_at", "why_no_counts"]

# Of the brightness of a frame over the third brightest of the nine; 0.7 to 1.2 in good stacks. The
# full checks report a frame below a half.
SUSPECT = (0.6, 1.5)
BRIGHT = 2.0  # times the third brightest: reported
SAME_WAVE = 0.02  # cycles per raw pixel; estimates of one stand differ by a tenth of that
MOVED_PX = 1.0  # whole pixels, as it is rounded; the full checks then measure
NO_COUNTS = "no camera counts: "


class PointLook(NamedTuple):
    """The first look at one time point.

    Attributes:
        contrast: see `FirstLook`, in counts; NaN where the frames cannot be counts.
        faults: what the full checks found where the look was odd, the gravest first.
        is_deep: they would refuse it alone, although the first look found nothing odd.
        total: sum of its counts; NaN where that is not known.
    """

    contrast: float
    faults: tuple[Finding, ...]
    is_deep: bool = False
    total: float = math.nan


def look_at(prepared: PreparedStack, t: int, in_full: bool = False) -> PointLook:
    """Looks at the raw frames of one time point, and checks them in full where they are odd.

    Args:
        in_full: they are checked in full in any case, for what refuses them.
    """
    reason = why_no_counts(prepared, t)
    if reason is not None:
        return PointLook(math.nan, (Finding(True, NO_COUNTS + reason),))
    look = first_look(prepared.counts(t, prepared.squares(t)[0]))
    odd = _is_odd(look) or _other_fringes(prepared, t)
    if not (odd or in_full):
        return PointLook(look.contrast, (), total=look.total)
    pixel_size_nm = prepared.stack.pixel_size_nm
    faults: list[Finding] = []
    for part in parts_of(prepared, t):
        checks = part.prepared.checks(part.t).by_name()
        faults += findings(checks, part.prepared.field, pixel_size_nm)
    if not odd:
        faults = [fault for fault in faults if fault.refuse]
        return PointLook(look.contrast, tuple(dict.fromkeys(faults)), bool(faults), look.total)
    known = any(
        name in fault.reason for fault in faults for name in ("dark or missing", "no fringes")
    )
    faults += [] if known else dark_frames(look.brightness)
    bright = tuple(f + 1 for f, light in enumerate(look.brightness) if light > BRIGHT)
    if bright:
        times = f"{max(look.brightness):.1f} times as bright as the others"
        faults.append(Finding(False, f"{frames_are(bright)} {times}", bright))
    faults = sorted(dict.fromkeys(faults), key=lambda fault: not fault.refuse)
    return PointLook(look.contrast, tuple(faults), total=look.total)


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


def why_no_counts(prepared: PreparedStack, t: int) -> str | None:
    """Why the frames of a time point of a series cannot be camera counts; None: they can."""
    stack = prepared.stack
    if len(prepared) == 1 or not isinstance(stack.raw, FramesOnDisk):
        return stack.without_counts.get(t)

    def fault() -> str | None:
        checked = counts_or_fault(stack.raw.stored(t))
        return checked if isinstance(checked, str) else None

    return prepared.once("why_no_counts", t, fault)
