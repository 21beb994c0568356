"""Measures of the sensor that took a stack: faulty pixels, gaps, gain and lines."""

from __future__ import annotations

from dataclasses import dataclass

from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.sensor.lines import line_noise
from bayesdl_sim.physics.sensor.missing import describe_missing

__all__ = ["SensorChecks", "sensor_checks"]

UNLIKE = "other values than a lens allows beside their neighbours, and were left out"


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
    gaps = (describe_missing(missing & ~stack.odd), describe_missing(stack.odd, UNLIKE))
    return SensorChecks(
        hot_share=float(stack.hot.float().mean()),
        dead_share=float((stack.dead & ~stack.hot).float().mean()),
        gain=stack.noise_line[1],
        line_noise=line_noise(stack.frames),
        missing_share=float(missing.float().mean()),
        missing="; ".join(part for part in gaps if part),
    )
