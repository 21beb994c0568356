"""Measures a raw stack as a careful microscopist looks at it before reconstructing.

Everything that SIMcheck asks for (order and number of frames, phase steps, orientations, frequency
and modulation of the pattern, saturation, drift, bleaching, signal), as plain numbers, from the
frames alone: nominal optics are good enough for all of it. What is a fault is not decided here.

Source: Ball et al., Sci. Rep. 5, 15915 (2015) for what to look at; the measures are this project's.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.physics.checks.camera_checks import (
    are_stretched,
    clipped_share,
    copies,
    grey_step,
    neighbour_ties,
    noise_colour,
    saturated_share,
)
from bayesdl_sim.physics.checks.drift import drift
from bayesdl_sim.physics.checks.photon_statistics import noise_growth, stored_gamma
from bayesdl_sim.physics.image_formation import lit_median
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.physics.patterns.bands import fast_shape, frequencies, power, taper
from bayesdl_sim.physics.patterns.estimation import Estimate, estimate
from bayesdl_sim.physics.patterns.frames.fringe_search import (
    DOUBTFUL_ORDER,
    FringeSearch,
    frame_differences,
    search_fringes,
)
from bayesdl_sim.physics.patterns.frames.geometry import geometry_of
from bayesdl_sim.physics.patterns.measured import Counts, MeasuredFrames, measured
from bayesdl_sim.physics.patterns.noise import BEYOND_ANY_LENS
from bayesdl_sim.physics.sensor.lines import line_noise
from bayesdl_sim.physics.sensor.missing import describe_missing
from bayesdl_sim.physics.spots import spot_brightness
from bayesdl_sim.utils.pieces.brightest import brightest_square

__all__ = ["RawChecks", "raw_checks"]

UNLIKE = "other values than a lens allows beside their neighbours, and were left out"
GAMMA_SIDE = 512  # raw pixels, of the square that is asked for the gamma of its values


class RawChecks(NamedTuple):
    """What a stack (9, H, W) shows; frames are counted from 1, as people do.

    Attributes:
        confidence: per orientation, height of the peak of pattern estimation; above 6 is clear.
        frequency: per orientation, cycles per raw pixel, where the confidence is clear.
        modulation: per orientation, 0..1.
        angle_error_deg: largest deviation from 60 degrees between the fringes of the orientations,
            each found without the others; NaN where not all of them are clear.
        groups: frames that clearly show the same fringes, found whatever their order.
        phase_step_deg: per complete orientation, largest deviation of its steps from 120 degrees.
        phase_step_error_deg: their standard error.
        fringe_share: upper limit (three standard errors) of the power of the differences between
            frames over that of the wide field, both without noise; m^2 / 2 times what the lens
            passes of the fringes, near zero for nine wide-field images.
        fringe_sigma: excess of that power over the noise, in standard errors; about zero for wide
            field.
        saturated_share: of all values, at the largest one, if they stand out as a spike.
        copies: pairs of frames with the same noise, hence one exposure stored twice.
        brightness: of each frame over the median of the nine.
        bleaching: brightness lost from the first to the last frame, share; negative: gained.
        drift_px: largest shift between the sums of the orientations, raw pixels.
        drift_error_px: by how much the three shifts fail to add up to zero.
        hot_share: of the pixels, brighter than a lens allows beside their neighbours.
        dead_share: of the pixels, the same in all frames and unlike their neighbours.
        gain: counts per electron, from noise against brightness; NaN where the noise does not rise.
        signal_e: median electrons of the lit pixels; NaN where the gain is.
        snr: the same median over the standard deviation of the noise of a frame.
        fine_share: of the wide field's power above noise, beyond half the cut-off: focus.
        clipped_share: of all values, at the smallest one, if they stand out as a spike.
        noise_exponent: n of a noise variance that grows as `light^n`: 1 for counts of a camera,
            less for values stored with a gamma; NaN where the noise does not tell.
        noise_exponent_error: its standard error.
        stored_gamma: that would explain the exponent, see `photon_statistics`; NaN where the values
            may be counts.
        noise_colour, noise_colour_error: see `camera_checks.noise_colour`; 1 for a camera's noise.
        noise_rounding: share of the noise at the highest frequencies that rounding alone makes.
        stretched: whether each frame was stretched to the same range of values.
        ties: see `camera_checks.neighbour_ties`; about 1 for a camera's noise.
        line_noise: of rows and of columns, see `sensor.lines.line_noise`; 1 for that of pixels.
        missing_share: of the pixels, without data or in lines unlike their neighbours.
        missing: which ones, as a sentence; empty for none.
        spot: brightness of the brightest point over the 99.5th percentile of the light; 1 to 4 in a
            structure, more beside a bead or dirt.
        pattern_probability: per orientation, that its fringes are real, 0..1.
        pattern_evidence: log of the Bayes factor of the three patterns against none.
        cutoff: of the lens, given or found, cycles per raw pixel.
    """

    confidence: tuple[float, ...]
    frequency: tuple[float, ...]
    modulation: tuple[float, ...]
    angle_error_deg: float
    groups: tuple[tuple[int, ...], ...]
    phase_step_deg: tuple[float, ...]
    phase_step_error_deg: tuple[float, ...]
    fringe_share: float
    fringe_sigma: float
    saturated_share: float
    copies: tuple[tuple[int, int], ...]
    brightness: tuple[float, ...]
    bleaching: float
    drift_px: float
    drift_error_px: float
    hot_share: float
    dead_share: float
    gain: float
    signal_e: float
    snr: float
    fine_share: float
    clipped_share: float
    noise_exponent: float
    noise_exponent_error: float
    stored_gamma: float
    noise_colour: float
    noise_colour_error: float
    noise_rounding: float
    stretched: bool
    ties: float
    line_noise: tuple[float, float]
    missing_share: float
    missing: str
    spot: float
    pattern_probability: tuple[float, ...]
    pattern_evidence: float
    cutoff: float


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
    noise = stack.noise(optics)
    frames, missing = stack.frames, stack.missing
    search = search_fringes(stack, optics, search) if noise > 0 else None
    groups = search.groups(DOUBTFUL_ORDER) if search else []
    # What follows asks about the structure: one bead must not answer for it.
    steady = frames if stack.spots is None else frames * stack.spots
    light, brightness = patterns.illumination, _brightness(steady)
    gain = stack.noise_line[1]
    kept = torch.ones_like(frames[0])
    for part in (stack.validity, stack.spots):
        kept = kept if part is None else kept * part
    growth = noise_growth(frames, kept)
    data = stack.counts[:, ~(missing | stack.faulty)]
    gaps = (describe_missing(missing & ~stack.odd), describe_missing(stack.odd, UNLIKE))
    signal = float(lit_median(steady.mean(dim=0)))
    drifted = drift(steady)
    fringe_share, fringe_sigma = _fringe_power(steady, optics)
    return RawChecks(
        confidence=patterns.confidence,
        frequency=light.frequency,
        modulation=light.modulation,
        groups=tuple(tuple(f + 1 for f in group.frames) for group in groups),
        **geometry_of(groups)._asdict(),
        fringe_share=fringe_share,
        fringe_sigma=fringe_sigma,
        **_storage(data, stack, patterns.optics.cutoff),
        brightness=brightness,
        bleaching=_bleaching(brightness),
        drift_px=drifted.largest_px,
        drift_error_px=drifted.error_px,
        hot_share=float(stack.hot.float().mean()),
        dead_share=float((stack.dead & ~stack.hot).float().mean()),
        gain=gain,
        signal_e=signal / gain if gain > 0 else math.nan,
        snr=signal / math.sqrt(noise) if noise > 0 else math.inf,
        fine_share=_fine_share(steady, optics, noise),
        noise_exponent=growth.exponent,
        noise_exponent_error=growth.error,
        stored_gamma=_gamma_of(stack, kept) if growth.is_doubtful else math.nan,
        missing_share=float(missing.float().mean()),
        missing="; ".join(part for part in gaps if part),
        line_noise=line_noise(frames),
        spot=spot_brightness(frames),
        pattern_probability=patterns.probability,
        pattern_evidence=patterns.evidence,
        cutoff=patterns.optics.cutoff,
    )


def _storage(values: Tensor, stack: MeasuredFrames, cutoff: float) -> dict[str, Any]:
    """What became of the values after the camera: fields of `RawChecks`.

    Args:
        values: (9, N) counts of the pixels that hold data and are not faulty.
        stack: the frames.
        cutoff: of the lens, cycles per raw pixel.
    """
    step = grey_step(values)
    colour = noise_colour(stack.frames, cutoff, step)
    return {
        "saturated_share": saturated_share(values),
        "clipped_share": clipped_share(values),
        "copies": copies(stack.beyond_any_lens, stack.frames),
        "noise_colour": colour.ratio,
        "noise_colour_error": colour.error,
        "noise_rounding": colour.rounding,
        "stretched": are_stretched(values),
        "ties": neighbour_ties(stack.usable, stack.frames.mean(dim=0), step),
    }


def _gamma_of(stack: MeasuredFrames, weight: Tensor) -> float:
    """The gamma that values were stored with; asked of the brightest square of them."""
    square = brightest_square(stack.frames, GAMMA_SIDE)
    return stored_gamma(stack.frames[:, *square], stack.background, weight[*square])


def _fringe_power(frames: Tensor, optics: Optics) -> tuple[float, float]:
    """`fringe_share` and `fringe_sigma`: the differences between the frames, within the cut-off."""
    size = tuple(frames.shape[1:])
    shape = fast_shape(size)
    window, radius = taper(size, frames.device).to(frames), _half_radius(shape, frames.device)
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


def _brightness(frames: Tensor) -> tuple[float, ...]:
    sums = frames.mean(dim=(1, 2))
    return tuple((sums / sums.median().clamp(min=1e-12)).tolist())


def _bleaching(brightness: tuple[float, ...]) -> float:
    slope, start = np.polyfit(np.arange(len(brightness)), brightness, 1)
    return float(-slope * (len(brightness) - 1) / max(start, 1e-12))


def _fine_share(frames: Tensor, optics: Optics, noise: float) -> float:
    """Share of the wide field's power, without noise, between 0.5 and 0.9 of the cut-off."""
    size = tuple(frames.shape[1:])
    shape = fast_shape(size)
    window = taper(size, frames.device).to(frames)
    relative = _half_radius(shape, frames.device) / optics.cutoff
    mean = frames.mean(dim=0)
    mean = (mean - (mean * window).sum() / window.sum()) * window
    level = noise / len(frames) * float((window**2).sum())
    strength = power(torch.fft.rfft2(mean, s=shape)) - level
    fine = float(strength[(relative > 0.5) & (relative < 0.9)].sum())
    return fine / max(float(strength[(relative > 0.03) & (relative < 0.9)].sum()), 1e-30)


def _half_radius(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Frequencies of `rfft2`, cycles per raw pixel: (h, w / 2 + 1)."""
    return torch.hypot(*frequencies(shape, device))[:, : shape[1] // 2 + 1]
