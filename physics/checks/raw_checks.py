"""Measures a raw stack as a careful microscopist looks at it before reconstructing.

Everything that SIMcheck asks for (order and number of frames, phase steps, orientations, frequency
and modulation of the pattern, saturation, drift, bleaching, signal), as plain numbers, from the
frames alone: nominal optics are good enough for all of it. What is a fault is not decided here.

Source: Ball et al., Sci. Rep. 5, 15915 (2015) for what to look at; the measures are this project's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bayesdl_sim.physics.checks.agreement.frame_checks import FrameChecks, frame_checks
from bayesdl_sim.physics.checks.fringe_checks import FringeChecks, fringe_checks
from bayesdl_sim.physics.checks.light_checks import LightChecks, light_checks
from bayesdl_sim.physics.checks.sensor_checks import SensorChecks, sensor_checks
from bayesdl_sim.physics.checks.storage_checks import StorageChecks, storage_checks
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.patterns.frames.fringe_search import FringeSearch, search_fringes
from bayesdl_sim.physics.patterns.measured import Counts, measured

__all__ = ["RawChecks", "raw_checks"]


@dataclass(frozen=True, kw_only=True)
class RawChecks:
    """Measures of a stack (9, H, W), by theme."""

    frames: FrameChecks
    fringes: FringeChecks
    light: LightChecks
    sensor: SensorChecks
    storage: StorageChecks

    def by_name(self) -> dict[str, Any]:
        """The measures of all themes, as findings and gate take them: name -> value."""
        return {name: value for part in vars(self).values() for name, value in vars(part).items()}


def raw_checks(
    raw: Counts,
    optics: Optics | None = None,
    patterns: Estimate | None = None,
    search: FringeSearch | None = None,
) -> RawChecks:
    """Measures one stack.

    Args:
        raw: (9, H, W) counts, measured or not, in the order in which they are to be reconstructed.
        optics: of the detection, as far as they are known.
        patterns: of this stack, from `estimation.estimate`, where they are known already.
        search: for fringes, of `search_fringes`; of other frames it is not used.

    Raises:
        InputError: for a stack that cannot be one (`MeasuredFrames`).
    """
    patterns = patterns or estimate(raw, optics)
    optics = optics or TYPICAL_OPTICS
    stack = measured(raw)
    search = search_fringes(stack, optics, search) if stack.noise(optics) > 0 else None
    # Fringes and light are those of the structure, which a single bead must not outweigh.
    steady = stack.frames if stack.spots is None else stack.frames * stack.spots
    return RawChecks(
        frames=frame_checks(steady, stack.signal),
        fringes=fringe_checks(steady, search, patterns, optics),
        light=light_checks(stack, steady, optics),
        sensor=sensor_checks(stack),
        storage=storage_checks(stack, patterns.optics.cutoff),
    )
