"""Given quantities that are impossible, or that the movie contradicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bayesdl_sim.dlbi.moments.noise import darkest
from bayesdl_sim.dlbi.moments.spot_width import SIGMA_RANGE
from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.dlbi.simulation.spots import FWHM_PER_SIGMA
from bayesdl_sim.utils.errors import InputError

if TYPE_CHECKING:
    from bayesdl_sim.dlbi.moments.calibration import Calibration

__all__ = ["contradictions", "gain_is_measured", "require_possible"]

# Factors between a given value and that of the movie. The estimate of the width is 3 % off (rms)
# and 16 % at worst, that of the gain up to 30 %.
OTHER_WIDTH, OTHER_GAIN = 1.25, 1.5
# Of the gain without the offset. Where the offset is right, it changes the gain by a few per cent.
LESS_GAIN = 0.9
# Full width in camera pixels from which the noise tells the gain. Narrower spots pass the filter
# that should stop them: of 60 simulated movies the gain was up to 1.4 times too large above this
# width, and up to 14 times below it.
NARROWEST = 2.0
WIDEST_SHARE = 0.95  # of the largest width that is fitted; above it, the fit has met its limit
MOST_READ_NOISE_E = 10.0  # of a scientific camera
ABOVE_DARKEST = 4.0  # standard errors of the mean of a dark pixel


def require_possible(moments: Moments, given: Mapping[str, float | None], path: str) -> None:
    """Refuses given values that no microscope has.

    Args:
        given: `fwhm_px`, `gain` and `offset`; None where they are to be estimated.

    Raises:
        InputError: not finite, not positive, a width that no stage knows, an offset above the
            brightest pixel.
    """
    for name, value in given.items():
        if value is not None and not math.isfinite(value):
            raise InputError(f"{name}: expected a finite number, found {value}")
        if value is not None and name != "offset" and not value > 0:
            raise InputError(f"{name}: expected a positive number, found {value}")
    width, offset = given["fwhm_px"], given["offset"]
    low, high = (FWHM_PER_SIGMA * sigma for sigma in SIGMA_RANGE)
    if width is not None and not low <= width <= high:
        raise InputError(
            f"{path}: the given width of the spots is {width:.3g} camera pixels, {low:.1f} to "
            f"{high:.1f} expected: check fwhm_nm and pixel_size_nm"
        )
    brightest = float(moments.mean.max())
    if offset is not None and offset >= brightest:
        raise InputError(
            f"{path}: offset: expected the counts of a pixel without light, found {offset:g}, but "
            f"no pixel of the mean image has more than {brightest:.4g} counts"
        )


def contradictions(
    moments: Moments, calibration: Calibration, found: Mapping[str, float]
) -> tuple[str, ...]:
    """Sentences on given quantities that the movie contradicts.

    Args:
        found: `fwhm_px`, `gain` and `shift` of the movie, whatever is given.
    """
    texts, estimated = [], calibration.estimated
    known_gain = gain_is_measured(found["fwhm_px"])
    if "fwhm_px" not in estimated and _differ(calibration.fwhm_px, found["fwhm_px"], OTHER_WIDTH):
        texts.append(
            f"spots {calibration.fwhm_px:.2f} px wide are given, but those of the movie seem "
            f"{found['fwhm_px']:.2f} px wide"
        )
    other_gain = _differ(calibration.gain, found["gain"], OTHER_GAIN)
    if "gain" not in estimated and known_gain and other_gain:
        texts.append(
            f"a gain of {calibration.gain:.3g} counts per electron is given, but the noise of the "
            f"movie suggests {found['gain']:.3g}"
        )
    return (*texts, *_of_offset(moments, calibration, found, known_gain))


def gain_is_measured(fwhm_px: float) -> bool:
    """True where the noise of a movie with spots of this width tells the gain.

    A width at the end of the range of the fit is none: too few emissions to see a spot.
    """
    return NARROWEST <= fwhm_px < WIDEST_SHARE * FWHM_PER_SIGMA * SIGMA_RANGE[1]


def _differ(given: float, found: float, factor: float) -> bool:
    return not 1 / factor <= given / found <= factor


def _of_offset(
    moments: Moments, calibration: Calibration, found: Mapping[str, float], known_gain: bool
) -> tuple[str, ...]:
    """Contradictions of the offset: at most one sentence."""
    offset = calibration.offset
    if offset is None:
        return ()
    given = f"an offset of {offset:g} counts is given, but "
    low, error = darkest(moments)
    if offset > low + ABOVE_DARKEST * error:
        return (f"{given}the darkest pixels have {low:.1f} on average",)
    less_gain = calibration.gain < LESS_GAIN * found["gain"]
    if "gain" in calibration.estimated and known_gain and less_gain:
        return (
            f"{given}the noise vanishes near {found['shift']:.0f} counts: it makes the gain "
            f"{calibration.gain:.3g} instead of {found['gain']:.3g} counts per electron",
        )
    if calibration.read_noise_e > MOST_READ_NOISE_E:
        return (f"{given}it would mean a read noise of {calibration.read_noise_e:.0f} electrons",)
    return ()
