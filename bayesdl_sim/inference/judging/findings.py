"""Findings: faults of a raw stack that its physics proves, whatever the posterior.

Frames of one exposure stored twice, fringes in the wrong frames, saturation: each is reported
only where the evidence suffices, with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bayesdl_sim.inference.judging.odd_frames import torn_frames
from bayesdl_sim.inference.judging.values import is_filtered, value_reasons
from bayesdl_sim.physics.checks.stored_values import SATURATED
from bayesdl_sim.physics.patterns.estimation import FOUND

if TYPE_CHECKING:
    from bayesdl_sim.physics.optics import Optics

__all__ = [
    "SMALLEST_FIELD",
    "Finding",
    "contradicted_optics",
    "dark_frames",
    "findings",
    "frames_are",
]

SMALLEST_FIELD = 64  # raw pixels; smaller fields hold too little to measure
PHASE_TOLERANCE_DEG, PHASE_LIMIT_DEG = 5.0, 20.0
ANGLE_TOLERANCE_DEG, ANGLE_LIMIT_DEG = 6.0, 10.0
SATURATED_LIMIT = 0.01
DRIFT_TOLERANCE_PX, DRIFT_LIMIT_PX = 0.5, 1.5
MOVED_TOLERANCE_PX = 0.3  # of one frame; up to 0.2 in good stacks
DARK = 0.5  # of the usual frame
FEW_COPIES = 3  # pairs among three frames
NO_FRINGES = 2e-4  # largest power of fringes over that of wide field: modulation of 2 %, or less
NO_FRINGES_SIGMA = 2.0  # above the noise
LEAST_GROUP = 3  # frames with the same fringes that prove a wrong order
FAULTY_TOLERANCE = 1e-3  # of the pixels
PATTERN_RANGE = (0.17, 0.40)  # cycles per raw pixel, of the training sets
PIXEL_RANGE_NM = (55.0, 100.0)  # of the training sets
CLEAR = 6.0  # confidence of a pattern
LOST = (
    "frames {} to {} show no fringes, though those of other orientations are clear: out of focus, "
    "or no fringes there; along this orientation the resolution is that of wide field"
)


class Finding(NamedTuple):
    """A fault of the raw stack.

    Attributes:
        refuse: whether the stack is refused, not only warned of.
        reason: a sentence for the user.
        frames: frames at fault, counted from 1; none where all are.
    """

    refuse: bool
    reason: str
    frames: tuple[int, ...] = ()


def findings(
    checks: Mapping[str, Any], field: tuple[int, int], pixel_size_nm: float | None = None
) -> list[Finding]:
    """Faults that the raw checks prove; none where the evidence does not suffice.

    Limits in physical units: phase steps 120 +- 5 degrees (refused beyond 20), orientations
    60 +- 6 (10), saturation 0.1 % (1 %), drift 0.5 pixels (1.5), single frames 0.3 pixels
    from their place (1.5), each after three standard errors of the measurement; copies, dark or
    torn frames and fringes in the wrong frames are refused.

    Args:
        checks: `physics.checks.raw_checks.RawChecks.by_name`.
        field: (H, W) that was checked.
    """
    if min(field) < SMALLEST_FIELD:
        return []
    faults = [*_frame_faults(checks), *_pattern_faults(checks), *_camera_faults(checks)]
    faults += [Finding(False, reason) for reason in value_reasons(checks)]
    faults += _unused_fringes(checks, pixel_size_nm)
    if pixel_size_nm is not None and not PIXEL_RANGE_NM[0] <= pixel_size_nm <= PIXEL_RANGE_NM[1]:
        faults.append(Finding(False, f"pixels of {pixel_size_nm:g} nm, training had 55 to 100 nm"))
    return faults


def contradicted_optics(given: Optics | None, used: Optics) -> list[Finding]:
    """A warning where the fringes contradict the optics that user or file gave.

    Args:
        given: optics that were given; None without any.
        used: optics that the patterns were found with, see `estimation.Estimate`.
    """
    if given is None or used.is_of_lens(given):
        return []
    reason = (
        f"aperture ({given.na:g}), emission ({given.emission_nm:g} nm) and pixel size "
        f"({given.pixel_size_nm:g} nm) give a cut-off of {given.cutoff:.3f} cycles per pixel, but "
        f"the fringes show one of {used.cutoff:.3f}, which was used: check the three"
    )
    return [Finding(False, reason)]


def _frame_faults(checks: Mapping[str, Any]) -> list[Finding]:
    """Copies, dark and torn frames, and fringes that contradict the order of the frames."""
    faults = []
    # A filter leaves too little noise to compare, and most pairs look alike.
    if checks["copies"] and not (len(checks["copies"]) > FEW_COPIES and is_filtered(checks)):
        pairs = ", ".join(f"{a} and {b}" for a, b in checks["copies"][:3])
        rest = " and others" if len(checks["copies"]) > 3 else ""
        copied_frames = tuple(sorted({frame for pair in checks["copies"] for frame in pair}))
        faults.append(
            Finding(True, f"frames {pairs}{rest} are copies of one exposure", copied_frames)
        )
    faults += dark_frames(checks["brightness"])
    if torn := torn_frames(checks):
        faults.append(Finding(torn.is_certain, torn.reason, torn.numbers))
    groups = [g for g in checks["groups"] if len(g) >= LEAST_GROUP]
    mixed = [g for g in groups if len({(frame - 1) // 3 for frame in g}) > 1]
    if mixed:
        names = " and ".join("(" + ", ".join(map(str, group)) + ")" for group in mixed)
        order = " (the order of phases first, then orientations?)" if _phase_major(mixed) else ""
        # Where no fringes are used anyway, weak ones in another order are no reason to refuse.
        unused = checks["order_doubtful"] and max(checks["pattern_probability"]) <= FOUND
        verb = "seem to show" if unused else "show"
        faults.append(
            Finding(
                not unused,
                f"frames {names} {verb} the same fringes, but belong to different orientations: "
                f"wrong order, or an orientation is missing{order}",
                tuple(sorted(frame for group in mixed for frame in group)),
            )
        )
    return faults


def dark_frames(brightness: Sequence[float]) -> list[Finding]:
    """The frames with less than half of the usual brightness, which is 1."""
    dark = tuple(f + 1 for f, light in enumerate(brightness) if light < DARK)
    return [Finding(True, f"{frames_are(dark)} dark or missing", dark)] if dark else []


def frames_are(numbers: Sequence[int]) -> str:
    """The beginning of a sentence on frames."""
    names = " and ".join(map(str, numbers))
    return f"frame {names} is" if len(numbers) == 1 else f"frames {names} are"


def _phase_major(groups: Sequence[Sequence[int]]) -> bool:
    return all(len({(frame - 1) % 3 for frame in group}) == 1 for group in groups)


def _pattern_faults(checks: Mapping[str, Any]) -> list[Finding]:
    faults = []
    for step, error in zip(checks["phase_step_deg"], checks["phase_step_error_deg"], strict=True):
        reason = f"phase steps deviate by {step:.0f} +- {error:.0f} degrees from 120"
        faults += _beyond(step, error, PHASE_TOLERANCE_DEG, PHASE_LIMIT_DEG, reason)
    angle = checks["angle_error_deg"]
    if math.isfinite(angle):
        reason = f"the angle between orientations deviates by {angle:.0f} degrees from 60"
        faults += _beyond(angle, 0.5, ANGLE_TOLERANCE_DEG, ANGLE_LIMIT_DEG, reason)
    no_excess = checks["fringe_sigma"] < NO_FRINGES_SIGMA
    if not checks["groups"] and no_excess and checks["fringe_share"] < NO_FRINGES:
        faults.append(
            Finding(True, "the nine frames differ by noise only: no fringes (wide field?)")
        )
    if min(checks["confidence"]) > CLEAR:
        low, high = min(checks["frequency"]), max(checks["frequency"])
        if low < 0.98 * PATTERN_RANGE[0] or high > 1.02 * PATTERN_RANGE[1]:
            faults.append(
                Finding(
                    False,
                    f"pattern frequency {low:.2f}-{high:.2f} cycles per pixel, training had "
                    f"{PATTERN_RANGE[0]:g}-{PATTERN_RANGE[1]:g}",
                )
            )
    return faults


def _camera_faults(checks: Mapping[str, Any]) -> list[Finding]:
    faults = []
    share = checks["saturated_share"]
    faults += _beyond(
        share, 0.0, SATURATED, SATURATED_LIMIT, f"{share:.1%} of the values are saturated"
    )
    drift, error = checks["drift_px"], max(checks["drift_error_px"], 0.1)
    reason = f"the sample moved by {drift:.1f} +- {error:.1f} pixels between the orientations"
    moved = _beyond(drift, error, DRIFT_TOLERANCE_PX, DRIFT_LIMIT_PX, reason)
    faults += moved or _part_moved(checks)
    frame, pixels, error = checks["moved"]
    reason = (
        f"frame {frame} lies {pixels:.1f} +- {error:.1f} pixels from its place among the others"
    )
    faults += _beyond(pixels, error, MOVED_TOLERANCE_PX, DRIFT_LIMIT_PX, f"{reason}: vibration?")
    for kind in ("hot", "dead"):
        share = checks[f"{kind}_share"]
        if share > FAULTY_TOLERANCE:
            reason = f"{share:.2%} of the pixels are {kind}: filled from their neighbours"
            faults.append(Finding(False, reason))
    return faults


def _part_moved(checks: Mapping[str, Any]) -> list[Finding]:
    """A warning where two corners moved, although the field as a whole did not."""
    drift, error = checks["local_drift_px"], checks["local_drift_error_px"]
    reason = f"parts of the sample moved by {drift:.1f} +- {error:.1f} pixels between the"
    return _beyond(drift, error, DRIFT_TOLERANCE_PX, math.inf, f"{reason} orientations")


def _unused_fringes(checks: Mapping[str, Any], pixel_size_nm: float | None) -> list[Finding]:
    """A warning where no fringes are used, or in two orientations only, although they are clear."""
    found = [probability > FOUND for probability in checks["pattern_probability"]]
    if any(found):
        strengths = zip(found, checks["confidence"], strict=True)
        clear = min(strength for there, strength in strengths if there) > CLEAR
        if sum(found) != len(found) - 1 or not clear:  # all, or the stack is dim
            return []
        lost = tuple(range(3 * found.index(False) + 1, 3 * found.index(False) + 4))
        return [Finding(False, LOST.format(lost[0], lost[-1]), lost)]
    resolution = 1 / checks["cutoff"]  # raw pixels
    size = f"{resolution * pixel_size_nm:.0f} nm" if pixel_size_nm else f"{resolution:.1f} pixels"
    reason = "no fringes were used: this is a denoised, deconvolved wide-field image, resolution"
    return [Finding(False, f"{reason} about {size}")]


def _beyond(
    value: float, error: float, tolerance: float, limit: float, reason: str
) -> list[Finding]:
    if value - 3 * error > limit:
        return [Finding(True, reason)]
    return [Finding(False, reason)] if value - 3 * error > tolerance else []
