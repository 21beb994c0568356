"""Reasons that lie in single frames which do not agree with the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bayesdl_sim.physics.checks.agreement.displacement import Displacement

__all__ = ["TornFrames", "torn_frames"]

MOST_NAMED = 3  # torn frames in one sentence
CERTAIN = 1.5  # clearness; nine frames that have nothing in common reach 1.48


class TornFrames(NamedTuple):
    """The frames that are torn: whether that is certain, a sentence, and their numbers from 1."""

    is_certain: bool
    reason: str
    numbers: tuple[int, ...]


def torn_frames(checks: Mapping[str, Any]) -> TornFrames | None:
    """The torn frames of a stack; None without any.

    Args:
        checks: `physics.checks.raw_checks.RawChecks.by_name`.
    """
    displaced = checks["displaced"]
    if not displaced:
        return None
    parts = "; ".join(_described(one) for one in displaced[:MOST_NAMED])
    rest = len(displaced) - MOST_NAMED
    more = f"; and {rest} more frames" if rest > 0 else ""
    reason = f"{parts}{more}: lost rows or a readout fault? Take the stack again"
    is_certain = any(one.clearness > CERTAIN for one in displaced)
    return TornFrames(is_certain, reason, tuple(sorted(one.frame for one in displaced)))


def _described(one: Displacement) -> str:
    ways = [
        f"{abs(pixels)} pixels {words[pixels > 0]}"
        for pixels, words in zip(
            one.moved, (("to the left", "to the right"), ("upwards", "downwards")), strict=True
        )
        if pixels
    ]
    moved, verb = " and ".join(ways), "is" if one.clearness > CERTAIN else "seems"
    rows = f"its rows from about {one.row} on lie {moved} of their place"
    return f"frame {one.frame} {verb} torn: {rows}"
