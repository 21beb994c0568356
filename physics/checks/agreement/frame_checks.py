"""Measures of each frame against the others."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bayesdl_sim.physics.checks.agreement.banding import Banding, banding
from bayesdl_sim.physics.checks.agreement.displacement import Displacement, displaced_rows
from bayesdl_sim.physics.checks.agreement.stray_light import StrayLight, stray_light

__all__ = ["FrameChecks", "frame_checks"]


@dataclass(frozen=True, kw_only=True)
class FrameChecks:
    """Measures of each frame against the others.

    Attributes:
        displaced: parts of frames that lie elsewhere than in the others, the clearest first.
        bands: the strongest bands of rows and of columns that change from frame to frame.
        stray: slopes of the background, of all frames and of single ones.
    """

    displaced: tuple[Displacement, ...]
    bands: tuple[Banding, Banding]
    stray: StrayLight


def frame_checks(frames: Tensor, signal: float) -> FrameChecks:
    """Compares each frame with the others.

    Args:
        frames: (9, H, W) without background and bright spots, orientation-major.
        signal: counts of the lit pixels.
    """
    return FrameChecks(
        displaced=displaced_rows(frames),
        bands=banding(frames, signal),
        stray=stray_light(frames, signal),
    )
