"""Classical SIM reconstruction: a generalised Wiener filter, the baseline of every result."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES, Illumination
from bayesdl_sim.physics.missing import missing_pixels, validity
from bayesdl_sim.physics.optics import Optics, target_otf
from bayesdl_sim.physics.patterns.bands import (
    background_of,
    camera_otf,
    exposures,
    fast_shape,
    frequencies,
    power,
    prepare,
    ring_index,
    ring_mean,
    separate,
)
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.patterns.noise import noise_variance
from bayesdl_sim.physics.reconstruction.doubled_grid import (
    MARGIN,
    carrier,
    enlarge,
    fade,
    interpolate,
    mirror,
)
from bayesdl_sim.physics.spots import spot_weight
from bayesdl_sim.utils.errors import InputError

__all__ = ["FilterSettings", "filter_settings", "wide_field_upsampled", "wiener_sim"]

REFERENCE = 0.05  # cycles per pixel of the 2x grid, where power laws are compared
LOWEST_WIENER = 1e-9  # of the largest filter power; keeps 0 / 0 out where nothing was measured


class PowerLaw(NamedTuple):
    """Power of a sample `exp(height) (f / 0.05)^-slope`, as measured on so much of a field."""

    height: float
    slope: float
    area: float  # raw pixels, weighed by the squared fade of the edges


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """What the filter measures of a stack; blocks of one field share what a part of it has shown.

    Attributes:
        background: counts.
        exposures: (9, 1, 1), see `bands.exposures`.
        noise: variance of a pixel of a frame.
        law: of the sample; None: it is measured where it is needed.
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
    raw: Tensor,
    optics: Optics,
    illumination: Illumination | None = None,
    wiener: float | None = None,
    apodisation: bool = True,
    haze_suppression: float = 0.0,
    settings: FilterSettings | None = None,
    missing: Tensor | None = None,
) -> Tensor:
    """Reconstructs a stack with a generalised Wiener filter.

    With the bands `D_j` of the orientations moved back to their places `k_j`,

        S(f) = A(f) sum_j w_j O(f + k_j) D_j(f + k_j) / (sum_j w_j^2 O(f + k_j)^2 + w(f)),

    where `w_j` is the brightness times 1 (wide-field band) or m/2 (moved bands), which weighs by
    signal over noise. `w(f)` is the noise power over the power of the sample. By default both are
    measured: the noise beyond the cut-off, the sample as a power law of frequency that fits the
    moved and added bands best. Over simulated stacks of 2-400 electrons that was as good as the
    best constant found with the target at hand, image by image.

    Nothing is clamped: noise, and fringes that were estimated wrongly, show as negative values.

    Args:
        raw: (9, H, W) counts, orientation-major.
        optics: of the detection; the better its damping, the better the result.
        illumination: as in `illumination`, phases at the centre of the field's first raw pixel;
            estimated from the stack where None.
        wiener: constant `w` as a share of the largest filter power, usually 0.001-0.1, instead of
            the measured one.
        apodisation: A is `optics.target_otf`, so that the result aims at the same image as the
            targets; else A is 1 within the extended support.
        haze_suppression: 0..1, share of the wide-field band's low frequencies that is left out;
            the moved bands, which are free of out-of-focus light, fill them.
        settings: of `filter_settings`, where the stack is a block of a field; None: its own.
        missing: (H, W), the pixels without data, where they are known.

    Returns:
        (2H, 2W) float32, counts above background.

    Raises:
        InputError: for a stack that cannot be one (`bands.prepare`) or settings out of range.

    Source: Gustafsson et al., Biophys. J. 94, 4957 (2008), equation 5.
    """
    if (wiener is not None and not wiener > 0) or not 0 <= haze_suppression <= 1:
        raise InputError(
            f"expected wiener above 0 and haze_suppression from 0 to 1, found {wiener} and "
            f"{haze_suppression}"
        )
    spots = None
    if settings is None:
        frames, spots, settings = _exposed(raw, optics)
    else:
        frames = prepare(raw, settings.background, missing) / settings.exposures
    if illumination is None:
        illumination = estimate(raw, optics).illumination
    signal, gain = _assemble(frames, optics, illumination, haze_suppression)
    height, width = frames.shape[1:]
    shape, device = tuple(gain.shape), gain.device
    strength = LOWEST_WIENER * gain.max() + 1e-300
    if wiener is not None:
        strength = strength + wiener * gain.max()
    elif settings.noise > 0:
        typical = signal
        if spots is not None:
            typical, _ = _assemble(frames * spots, optics, illumination, haze_suppression)
        area = _area(frames)
        law = settings.law or _power_law(typical, gain, settings.noise, area)
        strength = strength + _level(settings.noise, area) / _power_of(law, area, gain)
    extended = illumination.mean_frequency
    if apodisation:
        columns = (frequencies(shape, device)[1] * shape[1]).round().abs().long()[0]
        aim = target_otf(optics, extended, shape, device).double()[:, columns]
    else:
        aim = torch.hypot(*frequencies(shape, device, 0.5)) < optics.cutoff + extended
    # The image is real: the half plane of `rfft2` tells it.
    filtered = (signal * (aim / (gain + strength)))[:, : shape[1] // 2 + 1]
    image = torch.fft.irfft2(filtered, s=shape)
    field = image[2 * MARGIN : 2 * (MARGIN + height), 2 * MARGIN : 2 * (MARGIN + width)]
    return field.float()


def _assemble(
    frames: Tensor, optics: Optics, illumination: Illumination, haze_suppression: float
) -> tuple[Tensor, Tensor]:
    """Numerator and filter power of the Wiener filter, full planes of the padded 2x grid."""
    size, device = tuple(frames.shape[1:]), frames.device
    small = fast_shape(size, MARGIN)
    shape = (2 * small[0], 2 * small[1])
    transfer = camera_otf(optics, small, device)
    kept = 1.0
    if haze_suppression > 0:
        sigma = 0.3 * illumination.mean_frequency
        frequency = torch.hypot(*frequencies(small, device))
        kept = 1 - haze_suppression * torch.exp(-0.5 * (frequency / sigma) ** 2)
    zero, first = separate(frames, illumination.phase)
    bright = torch.tensor(illumination.brightness, dtype=frames.dtype, device=device)
    # All orientations have the same wide-field transfer: their bands are added before.
    wide = torch.fft.fft2(mirror(torch.tensordot(bright, zero, 1), small)) * transfer * kept
    signal = interpolate(wide).real
    gain = float((bright**2).sum()) * enlarge(transfer**2 * kept)
    spread = torch.fft.ifft2(enlarge(transfer**2)).real  # compact around the first pixel
    for o in range(ORIENTATIONS):
        depth, light = illumination.modulation[o], illumination.brightness[o]
        wave = (
            illumination.frequency[o] * math.sin(illumination.angle[o]),
            illumination.frequency[o] * math.cos(illumination.angle[o]),
        )
        # Mirroring would turn the fringes round, so they are taken off and put on again.
        inside, outside = carrier(wave, size, 0, device), carrier(wave, small, MARGIN, device)
        side = torch.fft.fft2(mirror(first[o] * inside.conj(), small) * outside) * transfer
        # The moved band and its conjugate at -k add up to twice the real part.
        moved = interpolate(side) * carrier(wave, shape, MARGIN, device, 0.5).conj()
        signal = signal + light * depth * moved.real
        fy, fx = frequencies(shape, device)
        rows, columns = (
            torch.exp(2j * math.pi * k * n * f)
            for k, n, f in zip(wave, small, (fy, fx), strict=True)
        )
        shifted = torch.fft.fft2(spread * (rows * columns).real).real.clamp(min=0.0)
        gain += 0.5 * (light * depth) ** 2 * shifted
    return torch.fft.fft2(signal), gain


def filter_settings(raw: Tensor, optics: Optics, illumination: Illumination) -> FilterSettings:
    """What `wiener_sim` measures of a stack, or of the part of a field that speaks for all of it.

    Raises:
        InputError: for a stack that cannot be one (`bands.prepare`).
    """
    frames, spots, settings = _exposed(raw, optics)
    if not settings.noise > 0:
        return settings
    typical = frames if spots is None else frames * spots
    signal, gain = _assemble(typical, optics, illumination, 0.0)
    return replace(settings, law=_power_law(signal, gain, settings.noise, _area(frames)))


def _exposed(raw: Tensor, optics: Optics) -> tuple[Tensor, Tensor | None, FilterSettings]:
    """Frames without background at one exposure, the weight of spots, and what was measured.

    A spot many times as bright as the structure would make a filter of its own.
    """
    missing = missing_pixels(raw.float())
    frames = prepare(raw, 0.0, missing)
    background = background_of(frames.mean(dim=0)[~missing])
    frames = frames - background
    spots = spot_weight(frames)
    noise = noise_variance(frames, optics, validity(raw.float()))
    light = exposures(frames, optics, noise, spots)
    settings = FilterSettings(background=background, exposures=light, noise=noise)
    return frames / light, spots, settings


def _area(frames: Tensor) -> float:
    """Raw pixels of the mirrored field, weighed by the squared fade of its edges."""
    height, width = (fade(n, frames.device).square().sum() for n in frames.shape[1:])
    return float(height * width)


def _level(noise: float, area: float) -> float:
    """Power of the noise before the filter, at each frequency.

    16: the spectrum of the interpolated field has four times the values of the camera's.
    """
    return 16 * noise / PHASES * area


def _power_law(signal: Tensor, gain: Tensor, noise: float, area: float) -> PowerLaw:
    """Power of the sample `a f^-b` at every frequency, by maximum likelihood (Whittle).

    The numerator's expected power is `sample gain^2 + level gain`, `gain` the power of the filter:
    the power law is fitted to its ring means, which follow a gamma law.
    """
    shape, level = tuple(gain.shape), _level(noise, area)
    index = ring_index(shape, 1.0 / min(shape), gain.device)
    count = torch.bincount(index.flatten())
    seen = ring_mean(power(signal), index)
    squared, noisy = ring_mean(gain**2, index), level * ring_mean(gain, index)
    used = (squared > 1e-6 * squared.max()) & (_ring_radius(shape, seen) * min(shape) >= 2)
    n, s, g, e = (v[used].double().cpu().numpy() for v in (count, seen, squared, noisy))
    x = torch.log(_ring_radius(shape, seen) / REFERENCE)[used].cpu().numpy()

    def misfit(p: np.ndarray) -> float:
        model = g * np.exp(np.clip(p[0] - p[1] * x, -300, 300)) + e
        return float((n * (np.log(model) + s / model)).sum() / n.sum())

    start = np.log(max((s - e).sum(), 1e-3 * e.sum()) / (g * np.exp(-2 * x)).sum())
    height, slope = minimize(misfit, [start, 2.0], method="Nelder-Mead").x
    return PowerLaw(float(height), float(slope), area)


def _power_of(law: PowerLaw, area: float, gain: Tensor) -> Tensor:
    """The power law at the frequencies of a filter, for a field of another area."""
    shape = tuple(gain.shape)
    index = ring_index(shape, 1.0 / min(shape), gain.device)
    rings = torch.arange(int(index.max()) + 1, device=gain.device)
    height = law.height + math.log(area / law.area)
    log_radius = torch.log(_ring_radius(shape, rings) / REFERENCE)
    return torch.exp((height - law.slope * log_radius).clamp(-300, 300))[index]


def _ring_radius(shape: tuple[int, int], rings: Tensor) -> Tensor:
    """Frequencies of the rings, cycles per pixel of the 2x grid; never zero."""
    return torch.arange(len(rings), device=rings.device).double().clamp(min=0.5) / min(shape)
