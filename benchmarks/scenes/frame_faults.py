"""Faults of single frames and of what other programs did to all: torn, banded, lit, deconvolved."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bayesdl_sim.benchmarks.scenes.local_faults import Fault, FaultyStack
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.physics.patterns.measured import MeasuredFrames

__all__ = ["FRAME_FAULTS"]

PSF_SIGMA = 1.2  # raw pixels, of the spot that a deconvolution assumes


def _everywhere(raw: Tensor) -> FaultyStack:
    """Counts as stored, scored over the whole field."""
    return FaultyStack(raw.round().clamp(min=0), np.ones(tuple(raw.shape[1:]), bool))


def _torn(frames: tuple[int, ...], place: float, pixels: int) -> Fault:
    """Rows from a place in the field on (0..1), moved to the right."""

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        changed, row = raw.clone(), round(place * raw.shape[1])
        for frame in frames:
            changed[frame, row:] = raw[frame, row:].roll(pixels, dims=1)
        return _everywhere(changed)

    return change


def _rows_lost(frame: int, place: float, count: int) -> Fault:
    """Rows of one frame that are missing; those below move up, and the last one is repeated."""

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        changed, rows = raw.clone(), torch.arange(raw.shape[1])
        moved = torch.where(rows >= place * len(rows), rows + count, rows)
        changed[frame] = raw[frame, moved.clamp(max=len(rows) - 1)]
        return _everywhere(changed)

    return change


def _hum(period: float, share: float) -> Fault:
    """A wave over the rows, of another phase in every frame.

    Args:
        period: raw pixels.
        share: of the light of the lit pixels, its amplitude.
    """

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        place = torch.arange(raw.shape[1]) / period
        wave = (2 * math.pi * (place + torch.rand(9, 1, generator=generator))).sin()
        return _everywhere(raw + share * MeasuredFrames(raw).signal * wave[..., None])

    return change


def _slopes(share: float, alike: bool) -> Fault:
    """A background that slopes along the columns.

    Args:
        share: of the light of the lit pixels, from one end to the other.
        alike: whether it is the same in all frames; else each has one of its own, up to this.
    """

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        gain = max(MeasuredFrames(raw).noise_line[1], 0.1)  # counts per electron
        slope = torch.linspace(0, 1, raw.shape[2]).expand(raw.shape)
        own = torch.rand(9, 1, 1, generator=generator)
        light = share * MeasuredFrames(raw).signal * slope * (1.0 if alike else own)
        return _everywhere(raw + gain * torch.poisson(light / gain, generator=generator))

    return change


def _deconvolved(rounds: int) -> Fault:
    """Richardson-Lucy with a Gaussian, above the darkest values."""

    def change(scene: Scene, raw: Tensor, generator: torch.Generator) -> FaultyStack:
        frames, sigma = raw.numpy().astype(float), (0, PSF_SIGMA, PSF_SIGMA)
        counts = (frames - np.percentile(frames, 0.5)).clip(min=0.01)
        result = counts.copy()
        for _ in range(rounds):
            ratio = counts / gaussian_filter(result, sigma).clip(min=1e-3)
            result = result * gaussian_filter(ratio, sigma)
        return _everywhere(torch.from_numpy(result + 100).float())

    return change


FRAME_FAULTS: dict[str, Fault] = {
    "one frame torn by 6 px": _torn((4,), 0.6, 6),
    "one frame torn by 2 px": _torn((4,), 0.6, 2),
    "three frames torn by 6 px": _torn((1, 4, 7), 0.4, 6),
    "3 rows of one frame lost": _rows_lost(4, 0.5, 3),
    "hum of 40 rows, 3 %": _hum(40.0, 0.03),
    "hum of 12 rows, 3 %": _hum(12.0, 0.03),
    "hum of 5 rows, 1 %": _hum(5.0, 0.01),
    "a background that slopes by the light": _slopes(1.0, alike=True),
    "slopes up to 0.2 of the light, frame by frame": _slopes(0.2, alike=False),
    "Richardson-Lucy, 5 rounds": _deconvolved(5),
    "Richardson-Lucy, 20 rounds": _deconvolved(20),
}
