"""Movies that no method can use (constant, saturated), and those too short to rely on."""

from __future__ import annotations

from torch import Tensor

from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.dlbi.movies.survey import MOST_SATURATED, Survey
from bayesdl_sim.utils.errors import InputError

__all__ = ["FULL_SCALES", "MOST_SATURATED", "check_moments"]

FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 11, 12, 14, 15, 16))
# Of the squared mean, in the variance of values that are all equal (6e-13 at most was found); one
# count in 60,000 from frame to frame is 7e-11.
ROUNDING = 1e-11
# Counts of the brightest pixel of the mean image from which all arithmetic is right to float32. A
# demo movie divided by 1e6 has 2e-4 and the same structure, one divided by 1e8 another one.
LEAST_COUNTS = 1e-5
USUAL_COUNTS = 1e7  # expected at most in the message on movies whose squares float32 does not hold
FEWEST_LEARNED = 20  # frames; the shipped members were trained on 20 to 400
MOST_NAMED = 4  # faulty pixels that are named by row and column


def check_moments(moments: Moments, seen: Survey, name: str = "movie") -> list[str]:
    """Refuses a movie that is constant or saturated; returns warnings on borderline values.

    Args:
        moments: of the frames, corrected for drift.
        seen: of the frames as recorded; a correction changes the values at the camera's limit.

    Raises:
        InputError: values whose squares float32 does not hold, nothing changes in the movie, or
            too many values are at the camera's limit.
    """
    _require_usual_counts(moments, seen, name)
    if not float(moments.variance.max()) > ROUNDING * float(moments.mean.max()) ** 2:
        what = "all its pixels are equal" if moments.mean.std() == 0 else "all frames are equal"
        raise InputError(
            f"{name}: {what}, but a movie of a blinking sample was expected: check what was saved"
        )
    share, top = seen.saturated, seen.brightest
    if top in FULL_SCALES and share > MOST_SATURATED:
        raise InputError(
            f"{name}: more than {100 * MOST_SATURATED:g} % of the values are saturated "
            f"({100 * share:.3g} %, at {top:.0f} counts): lower the exposure or the gain"
        )
    if share > MOST_SATURATED and seen.piles_up:
        raise InputError(
            f"{name}: {100 * share:.3g} % of the values pile up at the largest one, {top:g} "
            "counts, as where a camera is saturated, or bright values were cut off: lower the "
            "exposure or the gain, or store the counts as they are"
        )
    warnings = []
    if top in FULL_SCALES and share > 0 and moments.frames * moments.mean.numel() * share > 1:
        warnings.append(f"{100 * share:.2g} % of the values are saturated (at {top:.0f} counts)")
    faulty = seen.faulty
    if bool(faulty.stuck.any()):
        text = _named(faulty.stuck, "holds", "hold")
        warnings.append(f"{text} the same value in all frames: filled from the neighbours")
    elif seen.constant > 0:
        warnings.append(
            f"{100 * seen.constant:.2g} % of the pixels hold the same value in all frames: no "
            "structure can be seen there"
        )
    if bool(faulty.hot.any()):
        text = _named(faulty.hot, "is", "are")
        warnings.append(
            f"{text} brighter or less steady than any spot beside its neighbours: filled from them"
        )
    if moments.frames < FEWEST_LEARNED:
        warnings.append(
            f"{moments.frames} frames are too few to tell blinking from other changes (at least "
            f"{FEWEST_LEARNED}, better 100 or more); nine frames of structured illumination are "
            "for test.py"
        )
    return warnings


def _require_usual_counts(moments: Moments, seen: Survey, name: str) -> None:
    """Refuses values so large or so small that their powers leave the range of float32."""
    images = [value for value in vars(moments).values() if isinstance(value, Tensor)]
    if not all(bool(image.isfinite().all()) for image in images):
        raise InputError(
            f"{name}: expected counts of at most about {USUAL_COUNTS:g}, found {seen.brightest:g}: "
            "divide the movie by a constant"
        )
    brightest = float(moments.mean.abs().max())
    if 0 < brightest < LEAST_COUNTS:
        raise InputError(
            f"{name}: expected counts, found a mean image of at most {brightest:.2g}: multiply the "
            "movie by a constant"
        )


def _named(pixels: Tensor, singular: str, plural: str) -> str:
    """Subject and verb of a sentence on the faulty pixels; rows and columns count from 1."""
    places = (pixels.nonzero() + 1).tolist()
    named = "; ".join(f"row {row}, column {column}" for row, column in places[:MOST_NAMED])
    more = " and more" if len(places) > MOST_NAMED else ""
    if len(places) == 1:
        return f"1 pixel ({named}) {singular}"
    return f"{len(places)} pixels ({named}{more}) {plural}"
