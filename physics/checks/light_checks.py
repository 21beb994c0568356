"""Measures of the light of a stack: brightness, bleaching, drift, signal and sharpness."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.physics.checks.drift import drift, local_drift
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import fast_shape, half_plane_radius, power, taper
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.spots import spot_brightness

__all__ = ["LightChecks", "light_checks"]


@dataclass(frozen=True, kw_only=True)
class LightChecks:
    """Measures of the light of a stack.

    Attributes:
        brightness: of each frame over the median of the nine.
        bleaching: brightness lost from the first to the last frame, share; negative: gained.
        offset_share: largest difference of a frame's background from that of the mean frame, which
            was taken off (`sensor.offsets`), over the light of the lit pixels.
        drift_px: largest shift between the sums of the orientations, raw pixels.
        drift_error_px: by how much the three shifts fail to add up to zero.
        local_drift_px, local_drift_error_px: the same of two corners of the field, see
            `drift.local_drift`.
        signal_e: median electrons of the lit pixels; NaN where the gain of the camera is unknown.
        snr: the same median over the standard deviation of the noise of a frame.
        fine_share: of the wide field's power above noise, beyond half the cut-off: focus.
        spot: brightness of the brightest point over the 99.5th percentile of the light; 1 to 4 in a
            structure, more beside a bead or dirt.
    """

    brightness: tuple[float, ...]
    bleaching: float
    offset_share: float
    drift_px: float
    drift_error_px: float
    local_drift_px: float
    local_drift_error_px: float
    signal_e: float
    snr: float
    fine_share: float
    spot: float


def light_checks(stack: MeasuredFrames, steady: Tensor, optics: Optics) -> LightChecks:
    """Measures the light.

    Args:
        stack: the frames.
        steady: the same without bright spots, (9, H, W).
        optics: of the detection, as far as they are known.
    """
    noise, signal = stack.noise(optics), stack.signal
    brightness, shift, local = _brightness(steady), drift(steady), local_drift(steady)
    return LightChecks(
        brightness=brightness,
        bleaching=_bleaching(brightness),
        offset_share=float(stack.offsets.abs().max()) / max(signal, 1e-12),
        drift_px=shift.largest_px,
        drift_error_px=shift.error_px,
        local_drift_px=local.largest_px,
        local_drift_error_px=local.error_px,
        signal_e=stack.signal_e,
        snr=signal / math.sqrt(noise) if noise > 0 else math.inf,
        fine_share=_fine_share(steady, optics, noise),
        spot=spot_brightness(stack.light),
    )


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
    relative = half_plane_radius(shape, frames.device) / optics.cutoff
    mean = frames.mean(dim=0)
    mean = (mean - (mean * window).sum() / window.sum()) * window
    level = noise / len(frames) * float((window**2).sum())
    strength = power(torch.fft.rfft2(mean, s=shape)) - level
    fine = float(strength[(relative > 0.5) & (relative < 0.9)].sum())
    return fine / max(float(strength[(relative > 0.03) & (relative < 0.9)].sum()), 1e-30)
