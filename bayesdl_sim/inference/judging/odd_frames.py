"""Reasons that lie in single frames which do not agree with the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesdl_sim.physics.checks.agreement.displacement import Displacement

__all__ = ["torn_frames"]

MOST_NAMED = 3  # torn frames in one sentence


def torn_frames(checks: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    """The sentence on torn frames, and their numbers; empty without any.

    Args:
        checks: `physics.checks.raw_checks.RawChecks.by_name`.
    """
    displaced = checks["displaced"]
    if not displaced:
        return "", ()
    parts = "; ".join(_described(one) for one in displaced[:MOST_NAMED])
    rest = len(displaced) - MOST_NAMED
    more = f"; and {rest} more frames" if rest > 0 else ""
    reason = f"{parts}{more}: lost rows or a readout fault? Take the stack again"
    return reason, tuple(sorted(one.frame for one in displaced))


def _described(one: Displacement) -> str:
    ways = [
        f"{abs(pixels)} pixels {words[pixels > 0]}"
        for pixels, words in (
            (one.right, ("to the left", "to the right")),
            (one.down, ("upwards", "downwards")),
        )
        if pixels
    ]
    moved = " and ".join(ways)
    return f"frame {one.frame} is torn: its rows from about {one.row} on lie {moved} of their place"
