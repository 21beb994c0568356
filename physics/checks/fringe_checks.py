"""Measures of the fringes of a stack: patterns, order of the frames, phase steps and strength."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import fast_shape, half_plane_radius, power, taper
from bayesdl_sim.physics.patterns.estimation import Estimate
from bayesdl_sim.physics.patterns.frames.fringe_search import (
    DOUBTFUL_ORDER,
    FringeSearch,
    frame_differences,
)
from bayesdl_sim.physics.patterns.frames.geometry import geometry_of
from bayesdl_sim.physics.patterns.noise import BEYOND_ANY_LENS

__all__ = ["FringeChecks", "fringe_checks"]


@dataclass(frozen=True, kw_only=True)
class FringeChecks:
    """Measures of the fringes of a stack. Frames are counted from 1, as people do.

    Attributes:
        confidence: per orientation, height of the peak of pattern estimation; above 6 is clear.
        frequency: per orientation, cycles per raw pixel, where the confidence is clear.
        modulation: per orientation, 0..1.
        angle_error_deg: largest deviation from 60 degrees between the fringes of the orientations,
            each found without the others; NaN where not all of them are clear.
        groups: frames that clearly show the same fringes, found whatever their order.
        order_doubtful: whether these groups are likely, but not proved.
        phase_step_deg: per complete orientation, largest deviation of its steps from 120 degrees.
        phase_step_error_deg: their standard error.
        fringe_share: upper limit (three standard errors) of the power of the differences between
            frames over that of the wide field, both without noise; m^2 / 2 times what the lens
            passes of the fringes, near zero for nine wide-field images.
        fringe_sigma: excess of that power over the noise, in standard errors; about zero for wide
            field.
        pattern_probability: per orientation, that its fringes are real, 0..1.
        pattern_evidence: log of the Bayes factor of the three patterns against none.
        cutoff: of the lens, given or found, cycles per raw pixel.
    """

    confidence: tuple[float, ...]
    frequency: tuple[float, ...]
    modulation: tuple[float, ...]
    angle_error_deg: float
    groups: tuple[tuple[int, ...], ...]
    order_doubtful: bool
    phase_step_deg: tuple[float, ...]
    phase_step_error_deg: tuple[float, ...]
    fringe_share: float
    fringe_sigma: float
    pattern_probability: tuple[float, ...]
    pattern_evidence: float
    cutoff: float


def fringe_checks(
    frames: Tensor, search: FringeSearch | None, patterns: Estimate, optics: Optics
) -> FringeChecks:
    """Measures the fringes.

    Args:
        frames: (9, H, W) without background and bright spots.
        search: for the frames that show the same fringes; None: there is no noise to search in.
        patterns: of the stack.
        optics: of the detection, as far as they are known.
    """
    groups = search.groups(DOUBTFUL_ORDER) if search else []
    light, geometry = patterns.illumination, geometry_of(groups)
    fringe_share, fringe_sigma = _fringe_power(frames, optics)
    return FringeChecks(
        confidence=patterns.confidence,
        frequency=light.frequency,
        modulation=light.modulation,
        angle_error_deg=geometry.angle_error_deg,
        groups=tuple(tuple(frame + 1 for frame in group.frames) for group in groups),
        order_doubtful=search is not None and search.is_order_doubtful,
        phase_step_deg=geometry.phase_step_deg,
        phase_step_error_deg=geometry.phase_step_error_deg,
        fringe_share=fringe_share,
        fringe_sigma=fringe_sigma,
        pattern_probability=patterns.probability,
        pattern_evidence=patterns.evidence,
        cutoff=patterns.optics.cutoff,
    )


def _fringe_power(frames: Tensor, optics: Optics) -> tuple[float, float]:
    """`fringe_share` and `fringe_sigma`: the differences between the frames, within the cut-off."""
    size = tuple(frames.shape[1:])
    shape = fast_shape(size)
    window, radius = taper(size, frames.device).to(frames), half_plane_radius(shape, frames.device)
    passed, empty = (radius > 0.03) & (radius < 0.9 * optics.cutoff), radius > BEYOND_ANY_LENS
    mean = frames.mean(dim=0)
    mean = (mean - (mean * window).sum() / window.sum()) * window
    strength = power(torch.fft.rfft2(frame_differences(frames, window) * window, s=shape))
    rest, noise = strength[:, passed].mean(), strength[:, empty].mean()
    wide = power(torch.fft.rfft2(mean, s=shape))[passed].mean() - noise / len(frames)
    # Taper and padding tie neighbouring frequencies; eight differences.
    modes = (len(frames) - 1) * float(passed.sum()) / 1.3 * math.prod(size) / math.prod(shape)
    error = float(noise) / math.sqrt(modes)
    excess = float(rest - noise)
    share = (max(excess, 0.0) + 3 * error) / max(float(wide), 3 * error, 1e-30)
    return share, excess / max(error, 1e-30)
