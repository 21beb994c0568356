"""Measures of each frame against the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from bayesdl_sim.physics.checks.agreement.banding import NO_BANDING, Banding, banding
from bayesdl_sim.physics.checks.agreement.correlations import row_correlations
from bayesdl_sim.physics.checks.agreement.displacement import Displacement, displaced_rows
from bayesdl_sim.physics.checks.agreement.stray_light import NO_STRAY_LIGHT, StrayLight, stray_light
from bayesdl_sim.physics.checks.agreement.whole_frames import MovedFrame, moved_frame

__all__ = ["FrameChecks", "frame_checks"]

SMALLEST = 64  # raw pixels a side, below which nothing is measured


@dataclass(frozen=True, kw_only=True)
class FrameChecks:
    """Measures of each frame against the others.

    Attributes:
        displaced: parts of frames that lie elsewhere than in the others, the clearest first.
        moved: the frame that moved most against those of its orientation.
        bands: the strongest bands of rows and of columns that change from frame to frame.
        stray: slopes of the background, of all frames and of single ones.
    """

    displaced: tuple[Displacement, ...]
    moved: MovedFrame
    bands: tuple[Banding, Banding]
    stray: StrayLight


def frame_checks(frames: Tensor, signal: float) -> FrameChecks:
    """Compares each frame with the others.

    Args:
        frames: (9, H, W) without background and bright spots, orientation-major.
        signal: counts of the lit pixels.
    """
    if min(frames.shape[1:]) < SMALLEST:
        still = MovedFrame(1, 0.0, math.inf)
        bands = (NO_BANDING, NO_BANDING)
        return FrameChecks(displaced=(), moved=still, bands=bands, stray=NO_STRAY_LIGHT)
    correlations = row_correlations(frames)
    return FrameChecks(
        displaced=displaced_rows(*correlations),
        moved=moved_frame(*correlations),
        bands=banding(frames, signal),
        stray=stray_light(frames, signal),
    )
