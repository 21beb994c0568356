"""Measures of each frame against the others."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bayesdl_sim.physics.checks.agreement.displacement import Displacement, displaced_rows

__all__ = ["FrameChecks", "frame_checks"]


@dataclass(frozen=True, kw_only=True)
class FrameChecks:
    """Measures of each frame against the others.

    Attributes:
        displaced: parts of frames that lie elsewhere than in the others, the clearest first.
    """

    displaced: tuple[Displacement, ...]


def frame_checks(frames: Tensor) -> FrameChecks:
    """Compares each frame with the others.

    Args:
        frames: (9, H, W) without background and bright spots, orientation-major.
    """
    return FrameChecks(displaced=displaced_rows(frames))
