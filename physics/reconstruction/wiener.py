"""Classical SIM reconstruction: a generalised Wiener filter, the baseline of every result."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.optics import Optics, frequency_grid, target_otf
from bayesdl_sim.physics.patterns.bands import exposures
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.patterns.measured import Counts, MeasuredFrames, measured
from bayesdl_sim.physics.reconstruction.band_model import BandModel
from bayesdl_sim.physics.reconstruction.doubled_grid import MARGIN, fade
from bayesdl_sim.physics.reconstruction.power_law import (
    PowerLaw,
    noise_level,
    power_law,
    power_of,
)
from bayesdl_sim.physics.reconstruction.within_field import fitted_within
from bayesdl_sim.physics.spots import dimmed_weight
from bayesdl_sim.utils.errors import InputError

__all__ = ["FilterSettings", "filter_settings", "wide_field_upsampled", "wiener_sim"]

LOWEST_WIENER = 1e-9  # of the largest filter power; keeps 0 / 0 out where nothing was measured


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """Measurements of the filter on a stack; blocks of one field share those of a part.

    Attributes:
        background: counts.
        exposures: (9, 1, 1), see `bands.exposures`.
        noise: variance of a pixel of a frame.
        law: law of the sample; None: it is measured where it is needed.
    """

    background: float
    exposures: Tensor
    noise: float
    law: PowerLaw | None = None


def wide_field_upsampled(raw: Tensor) -> Tensor:
    """Wide field on the super-resolution grid: bicubic (9, H, W) -> (2H, 2W) of the mean frame."""
    mean = raw.float().mean(dim=0)[None, None]
    return torch.nn.functional.interpolate(
        mean, scale_factor=2, mode="bicubic", align_corners=False
    )[0, 0]


def wiener_sim(
    raw: Counts,
    optics: Optics,
    illumination: Illumination | None = None,
    wiener: float | None = None,
    apodisation: bool = True,
    borders: bool = True,
    settings: FilterSettings | None = None,
    missing: Tensor | None = None,
    dimming: Tensor | None = None,
) -> Tensor:
    """Reconstructs a stack with a generalised Wiener filter.

    With the bands `D_j` of the orientations shifted back to their places `k_j`,

        S(f) = A(f) sum_j w_j O(f + k_j) D_j(f + k_j) / (sum_j w_j^2 O(f + k_j)^2 + w(f)),

    where `w_j` is the brightness times 1 (wide-field band) or m/2 (shifted bands), which weighs by
    signal over noise. `w(f)` is the noise power over the power of the sample. By default both are
    measured: the noise beyond the cut-off, the sample as a power law of frequency that fits the
    shifted and added bands best. Over simulated stacks of 2-400 electrons that was as good as the
    best constant that a search with the target found, image by image.

    Nothing is clamped: noise, and fringes that were estimated wrongly, show as negative values.

    Args:
        raw: (9, H, W) counts, measured or not, orientation-major.
        optics: optics of the detection; the better its damping, the better the result.
        illumination: as in `illumination`, phases at the centre of the field's first raw pixel;
            estimated from the stack where None.
        wiener: constant `w` as a share of the largest filter power, usually 0.001-0.1, instead of
            the measured one.
        apodisation: A is `optics.target_otf`, so that the result aims at the same image as the
            targets; else A is 1 within the extended support.
        borders: only what lies within the field counts as data, see `fitted_within`; else also its
            mirror image around it, and what gaps were filled with, as in the plain filter.
        settings: from `filter_settings`, where the stack is a block of a field; None: its own.
        missing: (H, W), the pixels without data, where they are known.
        dimming: (H, W), the factor by which bright spots of the stack were dimmed
            (`spots.dimming`); None: they were not.

    Returns:
        (2H, 2W) float32, counts above background.

    Raises:
        InputError: for a stack that cannot be one (`MeasuredFrames`) or settings out of range.

    Source: Gustafsson et al., Biophys. J. 94, 4957 (2008), equation 5.
    """
    if wiener is not None and not wiener > 0:
        raise InputError(f"expected wiener above 0, found {wiener}")
    spots, stack = None, measured(raw)
    if missing is not None:
        stack = MeasuredFrames(stack.counts, missing)
    if settings is None:
        frames, spots, settings = _exposed(stack, optics, dimming)
    else:
        frames = (stack.usable - settings.background) / settings.exposures
    if illumination is None:
        illumination = estimate(stack, optics).illumination
    model = BandModel(tuple(frames.shape[1:]), optics, illumination, frames)
    bands, gain = model.separated(frames), model.gain
    signal = model.added(model.mirrored(bands))
    strength = LOWEST_WIENER * gain.max() + 1e-300
    if wiener is not None:
        strength = strength + wiener * gain.max()
    elif settings.noise > 0:
        area, law = _area(frames), settings.law
        if law is None:
            typical = signal if spots is None else _signal(model, frames * spots)
            law = power_law(typical, gain, settings.noise, area)
        strength = strength + noise_level(settings.noise, area) / power_of(law, area, gain)
    strength = strength.expand_as(gain).to(frames)
    estimated = signal / (gain.to(frames) + strength)
    if borders:
        estimated = fitted_within(model, estimated, bands, stack.missing, strength)
    extended = illumination.mean_frequency
    if apodisation:
        aim = target_otf(optics, extended, model.shape, gain.device)
    else:
        aim = frequency_grid(model.shape, gain.device) < optics.cutoff + extended
    image = torch.fft.irfft2(estimated * aim.to(frames), s=model.shape)
    height, width = model.size
    field = image[2 * MARGIN : 2 * (MARGIN + height), 2 * MARGIN : 2 * (MARGIN + width)]
    return field.float()


def _signal(model: BandModel, frames: Tensor) -> Tensor:
    """Numerator of the Wiener filter: half plane of the padded 2x grid, single precision."""
    return model.added(model.mirrored(model.separated(frames)))


def filter_settings(
    raw: Tensor, optics: Optics, illumination: Illumination, dimming: Tensor | None = None
) -> FilterSettings:
    """Measurements of `wiener_sim` on a stack, or on the part of a field that stands for all of it.

    Args:
        raw, optics, illumination, dimming: as in `wiener_sim`.

    Raises:
        InputError: for a stack that cannot be one (`MeasuredFrames`).
    """
    frames, spots, settings = _exposed(measured(raw), optics, dimming)
    if not settings.noise > 0:
        return settings
    typical = frames if spots is None else frames * spots
    model = BandModel(tuple(raw.shape[1:]), optics, illumination, frames)
    law = power_law(_signal(model, typical), model.gain, settings.noise, _area(frames))
    return replace(settings, law=law)


def _exposed(
    stack: MeasuredFrames, optics: Optics, dimming: Tensor | None
) -> tuple[Tensor, Tensor | None, FilterSettings]:
    """Frames without background at one exposure, the weight of spots, and what was measured.

    A spot many times as bright as the structure would make a filter of its own. So would one that
    was dimmed to it: a few bright points have as much power at fine as at coarse frequencies.
    """
    spots, noise = stack.spots if dimming is None else dimmed_weight(dimming), stack.noise(optics)
    light = exposures(stack.frames, optics, noise, spots)
    settings = FilterSettings(background=stack.background, exposures=light, noise=noise)
    return stack.frames / light, spots, settings


def _area(frames: Tensor) -> float:
    """Raw pixels of the mirrored field, weighed by the squared fade of its edges."""
    height, width = (fade(n, frames.device).square().sum() for n in frames.shape[1:])
    return float(height * width)
