"""Measures of the stored values: clipping, copies, filters, and the gamma that they have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.physics.checks.hidden_saturation import hidden_saturation
from bayesdl_sim.physics.checks.noise_spectrum import coarse_noise, noise_colour
from bayesdl_sim.physics.checks.photon_statistics import noise_growth, stored_gamma
from bayesdl_sim.physics.checks.stored_values import (
    MEDIAN_SIDE,
    are_stretched,
    clipped_share,
    common_minimum,
    copies,
    grey_step,
    median_ties,
    neighbour_ties,
    saturated_share,
)
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.utils.pieces.brightest import brightest_square

__all__ = ["StorageChecks", "storage_checks"]

GAMMA_SIDE = 512  # raw pixels, of the square whose gamma is measured


@dataclass(frozen=True, kw_only=True)
class StorageChecks:
    """Measures of what became of the values after the camera. Frames are counted from 1.

    Attributes:
        saturated_share: of all values, at the largest one, if they stand out as a spike; or at the
            largest one of their pixel, see `hidden_saturation`.
        clipped_share: of all values, at the smallest one, if they stand out as a spike.
        copies: pairs of frames with the same noise, hence one exposure stored twice.
        noise_exponent: n of a noise variance that grows as `light^n`: 1 for counts of a camera,
            less for values stored with a gamma; NaN where the noise does not determine it.
        noise_exponent_error: its standard error.
        stored_gamma: that would explain the exponent, see `photon_statistics`; NaN where the values
            may be counts.
        noise_colour, noise_colour_error: see `noise_spectrum.noise_colour`; 1 for a camera's noise.
        coarse_noise, coarse_noise_error: see `noise_spectrum.coarse_noise`; less after sharpening.
        middle_noise, middle_noise_error: the same of middle detail; more after a deconvolution.
        noise_rounding: share of the noise at the highest frequencies that rounding alone makes.
        stretched: whether each frame was stretched to the same range of values.
        common_minimum: see `stored_values.common_minimum`; near 0 for a camera.
        ties, median_ties: see `stored_values`; about 1 for a camera's noise.
    """

    saturated_share: float
    clipped_share: float
    copies: tuple[tuple[int, int], ...]
    noise_exponent: float
    noise_exponent_error: float
    stored_gamma: float
    noise_colour: float
    noise_colour_error: float
    coarse_noise: float
    coarse_noise_error: float
    middle_noise: float
    middle_noise_error: float
    noise_rounding: float
    stretched: bool
    common_minimum: float
    ties: float
    median_ties: float


def storage_checks(stack: MeasuredFrames, cutoff: float) -> StorageChecks:
    """Measures the stored values.

    Args:
        stack: the frames.
        cutoff: of the lens, cycles per raw pixel.
    """
    left_out = stack.missing | stack.faulty
    values = stack.counts[:, ~left_out]
    step, weight = grey_step(values), torch.ones_like(stack.frames[0])
    for part in (stack.validity, stack.spots):
        weight = weight if part is None else weight * part
    colour = noise_colour(stack.frames, cutoff, step, stack.validity)
    coarse = coarse_noise(stack.frames, stack.beyond_any_lens, cutoff, stack.validity)
    bright = brightest_square(stack.frames, MEDIAN_SIDE)
    growth = noise_growth(stack.frames, weight)
    return StorageChecks(
        saturated_share=saturated_share(values) or hidden_saturation(values),
        clipped_share=clipped_share(values),
        copies=copies(stack.beyond_any_lens, stack.frames),
        noise_exponent=growth.exponent,
        noise_exponent_error=growth.error,
        stored_gamma=_gamma_of(stack, weight) if growth.is_doubtful else math.nan,
        noise_colour=colour.ratio,
        noise_colour_error=colour.error,
        coarse_noise=coarse.ratio,
        coarse_noise_error=coarse.error,
        middle_noise=coarse.middle,
        middle_noise_error=coarse.middle_error,
        noise_rounding=colour.rounding,
        stretched=are_stretched(values),
        common_minimum=common_minimum(stack.usable, step),
        ties=neighbour_ties(stack.usable, stack.frames.mean(dim=0), step, left_out),
        median_ties=median_ties(stack.counts[:, *bright].nan_to_num(), left_out[bright]),
    )


def _gamma_of(stack: MeasuredFrames, weight: Tensor) -> float:
    """The gamma that values were stored with, measured in the brightest square of them."""
    square = brightest_square(stack.frames, GAMMA_SIDE)
    return stored_gamma(stack.frames[:, *square], stack.background, weight[*square])
