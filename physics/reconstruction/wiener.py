"""Classical SIM reconstruction: a generalised Wiener filter, the baseline of every result."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES, Illumination
from bayesdl_sim.physics.missing import validity
from bayesdl_sim.physics.optics import Optics, target_otf
from bayesdl_sim.physics.patterns.bands import (
    camera_otf,
    equalise,
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
from bayesdl_sim.physics.spots import spot_weight
from bayesdl_sim.utils.errors import InputError

__all__ = ["wide_field_upsampled", "wiener_sim"]

MARGIN = 24  # raw pixels of mirrored field around the field, fading to zero
LOWEST_WIENER = 1e-9  # of the largest filter power; keeps 0 / 0 out where nothing was measured


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
    frames = prepare(raw)
    spots = spot_weight(frames)
    noise = noise_variance(frames, optics, validity(raw.float()))
    frames = equalise(frames, optics, noise, spots)
    if illumination is None:
        illumination = estimate(raw, optics).illumination
    signal, gain = _assemble(frames, optics, illumination, haze_suppression)
    height, width = frames.shape[1:]
    shape, device = tuple(gain.shape), gain.device
    # 16: the spectrum of the interpolated field has four times the values of the camera's.
    mirrored = float((_fade(height, device) ** 2).sum() * (_fade(width, device) ** 2).sum())
    level = 16 * noise / PHASES * mirrored
    strength = LOWEST_WIENER * gain.max() + 1e-300
    if wiener is not None:
        strength = strength + wiener * gain.max()
    elif level > 0:
        # A spot many times as bright as the structure would make a filter of its own.
        typical = signal
        if spots is not None:
            typical, _ = _assemble(frames * spots, optics, illumination, haze_suppression)
        strength = strength + level / _sample_power(typical, gain, level)
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
    wide = torch.fft.fft2(_mirror(torch.tensordot(bright, zero, 1), small)) * transfer * kept
    signal = _interpolate(wide).real
    gain = float((bright**2).sum()) * _enlarge(transfer**2 * kept)
    spread = torch.fft.ifft2(_enlarge(transfer**2)).real  # compact around the first pixel
    for o in range(ORIENTATIONS):
        depth, light = illumination.modulation[o], illumination.brightness[o]
        wave = (
            illumination.frequency[o] * math.sin(illumination.angle[o]),
            illumination.frequency[o] * math.cos(illumination.angle[o]),
        )
        # Mirroring would turn the fringes round, so they are taken off and put on again.
        inside, outside = _carrier(wave, size, 0, device), _carrier(wave, small, MARGIN, device)
        side = torch.fft.fft2(_mirror(first[o] * inside.conj(), small) * outside) * transfer
        # The moved band and its conjugate at -k add up to twice the real part.
        moved = _interpolate(side) * _carrier(wave, shape, MARGIN, device, 0.5).conj()
        signal = signal + light * depth * moved.real
        fy, fx = frequencies(shape, device)
        rows, columns = (
            torch.exp(2j * math.pi * k * n * f)
            for k, n, f in zip(wave, small, (fy, fx), strict=True)
        )
        shifted = torch.fft.fft2(spread * (rows * columns).real).real.clamp(min=0.0)
        gain += 0.5 * (light * depth) ** 2 * shifted
    return torch.fft.fft2(signal), gain


def _sample_power(signal: Tensor, gain: Tensor, level: float) -> Tensor:
    """Power of the sample `a f^-b` at every frequency, by maximum likelihood (Whittle).

    The numerator's expected power is `sample gain^2 + level gain`, `gain` the power of the filter:
    the power law is fitted to its ring means, which follow a gamma law.
    """
    shape = tuple(gain.shape)
    index = ring_index(shape, 1.0 / min(shape), gain.device)
    count = torch.bincount(index.flatten())
    seen = ring_mean(power(signal), index)
    squared, noise = ring_mean(gain**2, index), level * ring_mean(gain, index)
    radius = torch.arange(len(seen), device=gain.device).double().clamp(min=0.5) / min(shape)
    used = (squared > 1e-6 * squared.max()) & (radius * min(shape) >= 2)
    n, s, g, e = (v[used].double().cpu().numpy() for v in (count, seen, squared, noise))
    log_radius = torch.log(radius / 0.05)
    x = log_radius[used].cpu().numpy()

    def misfit(p: np.ndarray) -> float:
        model = g * np.exp(np.clip(p[0] - p[1] * x, -300, 300)) + e
        return float((n * (np.log(model) + s / model)).sum() / n.sum())

    start = np.log(max((s - e).sum(), 1e-3 * e.sum()) / (g * np.exp(-2 * x)).sum())
    height, slope = minimize(misfit, [start, 2.0], method="Nelder-Mead").x
    return torch.exp((height - slope * log_radius).clamp(-300, 300))[index]


def _fade(n: int, device: torch.device | str) -> Tensor:
    """1 over n pixels, falling to zero over the margins left and right: (padded n,)."""
    total = fast_shape((n, n), MARGIN)[0]
    place = torch.arange(total, dtype=torch.float64, device=device) - MARGIN
    left = (-place / MARGIN).clamp(min=0.0)
    right = ((place - n + 1) / (total - MARGIN - n + 1)).clamp(min=0.0)
    return torch.cos(0.5 * math.pi * torch.maximum(left, right)) ** 2


def _mirror(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Pads (H, W) to `shape` with its mirror image, fading to zero, against border artefacts."""
    for axis, total in enumerate(shape):
        n = image.shape[axis]
        place = torch.remainder(torch.arange(total, device=image.device) - MARGIN, 2 * n)
        image = image.index_select(axis, torch.minimum(place, 2 * n - 1 - place))
        fade = _fade(n, image.device)
        image = image * (fade[:, None] if axis == 0 else fade)
    return image


def _carrier(
    wave: tuple[float, float],
    shape: tuple[int, int],
    margin: int,
    device: torch.device | str,
    spacing: float = 1.0,
) -> Tensor:
    """`exp(2 pi i k.r)`, r = 0 at the first raw pixel of the field; spacing 0.5: the 2x grid."""
    sides = []
    for n, k in zip(shape, wave, strict=True):
        place = (torch.arange(n, dtype=torch.float64, device=device) + 0.5) * spacing - 0.5
        sides.append(torch.exp(2j * math.pi * k * (place - margin)))
    return sides[0][:, None] * sides[1][None]


def _enlarge(spectrum: Tensor) -> Tensor:
    """The spectrum (h, w) within that of the 2x grid (2h, 2w), zero elsewhere."""
    height, width = spectrum.shape
    fy, fx = frequencies((height, width), spectrum.device)
    rows, columns = (fy * height).round().long(), (fx * width).round().long()
    large = spectrum.new_zeros(2 * height, 2 * width)
    large[rows % (2 * height), columns % (2 * width)] = spectrum
    return large


def _interpolate(spectrum: Tensor) -> Tensor:
    """Image (2h, 2w) of a spectrum (h, w), at the centres of the 2x pixels.

    They lie a quarter of a raw pixel beside the raw pixels' centres (align_corners=False).
    """
    fy, fx = frequencies(tuple(spectrum.shape), spectrum.device)
    return 4 * torch.fft.ifft2(_enlarge(spectrum * torch.exp(-0.5j * math.pi * (fy + fx))))
