"""Movies that no method can use (constant, saturated), and those too short to rely on."""

from __future__ import annotations

from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.utils.errors import InputError

__all__ = ["check_moments"]

FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 11, 12, 14, 15, 16))
# Of the squared mean, in the variance of values that are all equal (6e-13 at most was found); one
# count in 60,000 from frame to frame is 7e-11.
ROUNDING = 1e-11
MOST_SATURATED = 1e-3  # share of values at the end of the camera's range
FEWEST_LEARNED = 20  # frames; the shipped members were trained on 20 to 400


def check_moments(moments: Moments, name: str = "movie") -> list[str]:
    """Refuses a movie that is constant or saturated; returns warnings on borderline values.

    Raises:
        InputError: nothing changes in the movie, or too many values are at the camera's limit.
    """
    if not float(moments.variance.max()) > ROUNDING * float(moments.mean.max()) ** 2:
        what = "all its pixels are equal" if moments.mean.std() == 0 else "all frames are equal"
        raise InputError(
            f"{name}: {what}, but a movie of a blinking sample was expected: check what was saved"
        )
    share, top = moments.saturated, moments.brightest
    if top in FULL_SCALES and share > MOST_SATURATED:
        raise InputError(
            f"{name}: {100 * share:.1f} % of the values are saturated (at {top:.0f} counts), at "
            f"most {100 * MOST_SATURATED:g} % expected: lower the exposure or the gain"
        )
    warnings = []
    if top in FULL_SCALES and share > 0 and moments.frames * moments.mean.numel() * share > 1:
        warnings.append(f"{100 * share:.3f} % of the values are saturated (at {top:.0f} counts)")
    if moments.frames < FEWEST_LEARNED:
        warnings.append(
            f"{moments.frames} frames are too few to tell blinking from other changes (at least "
            f"{FEWEST_LEARNED}, better 100 or more); nine frames of structured illumination are "
            "for test.py"
        )
    return warnings
