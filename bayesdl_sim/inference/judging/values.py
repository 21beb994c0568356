"""Reasons to warn of what the values of the frames are: cut off, processed, or no raw counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bayesdl_sim.physics.checks.stored_values import SATURATED

__all__ = ["is_filtered", "value_reasons"]

OFFSET_TOLERANCE = 0.1  # of the light; a lamp that varies by 5 % over haze makes up to 0.1
CLIPPED_TOLERANCE = 0.02  # of the values
# Of a noise variance that grows as light^n: by how much n may fall short of 1 and exceed it, and by
# how many standard errors. The light of thin, dim lines is underestimated, so that their noise
# seems to grow faster than it does.
EXPONENT_SHORT, SHORT_ERRORS = 0.1, 4.0
EXPONENT_EXCESS = ((0.07, 5.0), (0.3, 4.0))  # any of them
VISIBLE_SNR, CLEAR_SNR = 2.0, 4.0  # of the lit pixels of a frame, for the one and the other
TIED = 2.0  # times as many equal neighbours as noise allows; up to 1.7 in good stacks of 8 bits
TIED_TO_MEDIAN = 1.2  # times; up to 1.08 in good stacks
LEVELLED = 0.7  # of the parts of a frame have its smallest value; up to 0.15 in good stacks
MOST_ROUNDING = 0.8  # of the noise at the highest frequencies; up to 0.6 in good stacks of 8 bits
LINE_NOISE = 3.0  # standard errors; up to 2 in good stacks
BANDED = 30.0  # times the power of waves beside the bands; up to 18 in good stacks
PLANE, SLOPE = 0.88, 0.5  # of the variance; of the light: more in 1 of 650 good stacks
# Of the light, and standard errors; up to 24 in good stacks where it is more than 0.06.
CHANGING, CHANGING_SIGMA = 0.06, 30.0
MIDDLE_EXCESS, MIDDLE_ERRORS = 0.3, 5.0  # of 1; up to 0.2 in good stacks
WHITE, COLOUR_ERRORS = (0.9, 1.15), 4.0  # power of the noise in the corners over that beside them


def value_reasons(checks: Mapping[str, Any]) -> list[str]:
    """Pixels without data, a clipped background, and values that are not raw counts.

    Args:
        checks: `physics.checks.raw_checks.RawChecks.by_name`.
    """
    reasons = []
    if checks["missing"]:
        reasons.append(checks["missing"])
    if checks["offset_share"] > OFFSET_TOLERANCE:
        reason = f"the background differs between the frames by {checks['offset_share']:.0%} of the"
        reasons.append(f"{reason} light: it was brought to one level")
    reasons += _stray_light(checks)
    share = checks["clipped_share"]
    if share > CLIPPED_TOLERANCE:
        reason = f"{share:.0%} of the values are clipped at the lowest one"
        advice = "do not subtract the background, and leave the camera's offset in"
        reasons.append(f"{reason}, where the uncertainties do not hold: {advice}")
    if checks["stretched"]:
        reason = "all frames have the same smallest and largest value: each was stretched by itself"
        reasons.append(f"{reason} (automatic contrast?), and brightness is lost")
    reasons += _striped(checks)
    processed = _processed(checks)
    if processed:
        reasons.append(processed)
    elif share <= CLIPPED_TOLERANCE and checks["saturated_share"] <= SATURATED:
        reasons += _stored_with_gamma(checks)
    return reasons


def _stray_light(checks: Mapping[str, Any]) -> list[str]:
    """Backgrounds that slope over the field."""
    reasons, stray = [], checks["stray"]
    if stray.plane > PLANE and stray.slope > SLOPE:
        reason = f"the background slopes by {stray.slope:.0%} of the light over the field: stray"
        reason = f"{reason} light? Some of it remains in the result, where the uncertainties do not"
        reasons.append(f"{reason} hold: shield it, or subtract the slope and leave an offset")
    if stray.changing_sigma > CHANGING_SIGMA and stray.changing > CHANGING:
        reason = (
            f"the slope of the background changes between the frames by {stray.changing:.0%} of"
        )
        reasons.append(f"{reason} the light: stray light, or a lamp that moved?")
    return reasons


def _striped(checks: Mapping[str, Any]) -> list[str]:
    """Offsets of single rows and columns, and bands of them."""
    reasons, kinds = [], ("rows", "columns")
    for kind, scatter, bands in zip(kinds, checks["line_noise"], checks["bands"], strict=True):
        if scatter > LINE_NOISE:
            reason = f"the {kind} of the camera have offsets of their own ({scatter:.0f} times the"
            reasons.append(f"{reason} noise of their means): stripes may remain")
        elif bands.clearness > BANDED:
            reason = (
                f"the {kind} carry bands of about {bands.period_px:.0f} pixels that change from"
            )
            reason = f"{reason} frame to frame ({bands.share:.1%} of the light)"
            reasons.append(
                f"{reason}: hum of the mains or of the camera? They remain in the result"
            )
    return reasons


def _processed(checks: Mapping[str, Any]) -> str:
    """What a program has done to the frames, by its surest trace in their noise; empty: none."""
    if checks["noise_rounding"] > MOST_ROUNDING:
        reason = "the frames hold no fine noise but that of rounding"
        return f"{reason}: were they smoothed, denoised, or stored in few grey levels?"
    if checks["ties"] > TIED:
        reason = "neighbouring pixels have the same value more often than noise allows"
        return f"{reason}: a median filter (despeckle)?"
    if is_filtered(checks):
        reason = "the noise of neighbouring pixels is not independent"
        return f"{reason}: were the frames filtered, denoised or interpolated?"
    if checks["median_ties"] > TIED_TO_MEDIAN:
        reason = "pixels have the median of their neighbours more often than noise allows"
        return f"{reason}: were outliers removed?"
    excess, error = checks["middle_noise"] - 1, checks["middle_noise_error"]
    if excess > max(MIDDLE_ERRORS * error, MIDDLE_EXCESS):
        reason = f"detail of middle size differs between the orientations {1 + excess:.1f} times as"
        reason = f"{reason} much as the noise of fine detail explains: were the frames deconvolved,"
        return f"{reason} sharpened or denoised, or did something move?"
    if checks["coarse_noise"] + COLOUR_ERRORS * checks["coarse_noise_error"] < WHITE[0]:
        reason = "coarse noise is weaker than fine noise"
        return f"{reason}: were the frames sharpened (unsharp mask)?"
    if checks["common_minimum"] > LEVELLED:
        reason = "the smallest value is the same everywhere in a frame"
        return f"{reason}: was a local background subtracted (top hat, rolling ball)?"
    return ""


def is_filtered(checks: Mapping[str, Any]) -> bool:
    """Whether the noise is certainly not white, as that of single pixels is."""
    colour, margin = checks["noise_colour"], COLOUR_ERRORS * checks["noise_colour_error"]
    return colour + margin < WHITE[0] or colour - margin > WHITE[1]


def _stored_with_gamma(checks: Mapping[str, Any]) -> list[str]:
    """A warning where the noise does not grow in proportion to the light."""
    excess, error, snr = checks["noise_exponent"] - 1, checks["noise_exponent_error"], checks["snr"]
    slower = -excess > max(SHORT_ERRORS * error, EXPONENT_SHORT) and snr > VISIBLE_SNR
    faster = any(excess > max(errors * error, least) for least, errors in EXPONENT_EXCESS)
    if not (slower or (faster and snr > CLEAR_SNR)):
        return []
    reason = "the noise does not grow with the light as a camera's does"
    gamma = checks["stored_gamma"]
    if math.isfinite(gamma):
        reason = f"the frames look stored with a gamma of about {gamma:g}: {reason}"
    else:
        reason = f"{reason}: were the frames filtered, or stored with a gamma?"
    return [reason]
