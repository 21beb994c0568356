"""Measures of the sensor that took a stack: faulty pixels, gaps, gain and lines."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.sensor.lines import line_noise
from bayesdl_sim.physics.sensor.missing import describe_missing
from bayesdl_sim.physics.sensor.patches import SMALLEST

__all__ = ["SensorChecks", "sensor_checks"]

UNLIKE = "other values than a lens allows beside their neighbours, and were left out"
BURNT_IN = "(text or a scale bar?)"


@dataclass(frozen=True, kw_only=True)
class SensorChecks:
    """Measures of the sensor.

    Attributes:
        hot_share: of the pixels, brighter than a lens allows beside their neighbours.
        dead_share: of the pixels, the same in all frames and unlike their neighbours.
        gain: counts per electron, from noise against brightness; NaN where the noise does not rise.
        line_noise: of rows and of columns, see `sensor.lines.line_noise`; 1 for that of pixels.
        missing_share: of the pixels, without data or in lines unlike their neighbours.
        missing: which ones, as a sentence; empty for none.
    """

    hot_share: float
    dead_share: float
    gain: float
    line_noise: tuple[float, float]
    missing_share: float
    missing: str


def sensor_checks(stack: MeasuredFrames) -> SensorChecks:
    """Measures the sensor by the frames that it took."""
    missing = stack.missing
    without_data = describe_missing(missing & ~stack.odd)
    if without_data and _is_burnt_in(stack):
        without_data = f"{without_data} {BURNT_IN}"
    gaps = (without_data, describe_missing(stack.odd, UNLIKE))
    return SensorChecks(
        hot_share=float(stack.hot.float().mean()),
        dead_share=float((stack.dead & ~stack.hot).float().mean()),
        gain=stack.noise_line[1],
        line_noise=line_noise(stack.frames),
        missing_share=float(missing.float().mean()),
        missing="; ".join(part for part in gaps if part),
    )


def _is_burnt_in(stack: MeasuredFrames) -> bool:
    """Whether pixels without data have the largest value of a frame, but are no whole lines."""
    missing = stack.missing & ~stack.odd
    parts = missing & ~missing.all(dim=0) & ~missing.all(dim=1)[:, None]
    counts = torch.where(stack.counts.isfinite(), stack.counts, -torch.inf)
    brightest = (counts == counts.amax(dim=(1, 2), keepdim=True)).any(dim=0)
    return int((parts & brightest).sum()) >= SMALLEST
