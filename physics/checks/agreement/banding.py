"""Rows or columns whose offsets change from frame to frame: hum of the mains, noise of the readout.

A camera that is read row by row writes everything that changes meanwhile into the rows: an offset
that wanders, a lamp on alternating current, radiation of a motor. Unlike the noise of
`sensor.lines`, slow bands may have any period.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.checks.agreement.orientations import orientation_rests
from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.bands import power, taper

__all__ = ["NO_BANDING", "Banding", "banding"]

FIRST = 3  # periods per field, of the slowest bands; haze that drifts may show two
# Waves across the field per side with which the bands are compared; nearer ones hold what the taper
# spreads of the bands.
BESIDE = range(3, 13)
AROUND = 9  # neighbouring frequencies over which these are averaged
TAPERED = 0.5  # of a side: the whole of it, as a Hann window


class Banding(NamedTuple):
    """The strongest bands along one axis.

    Attributes:
        clearness: their power over that of waves oblique to them; up to 18 in good stacks.
        period_px: their period in raw pixels.
        share: their usual amplitude in a frame, over the light of the lit pixels.
    """

    clearness: float
    period_px: float
    share: float


NO_BANDING = Banding(0.0, math.inf, 0.0)


def banding(frames: Tensor, signal: float) -> tuple[Banding, Banding]:
    """The bands of rows and of columns, in what differs between the orientations.

    The wide fields of the orientations differ by noise, and a little by drift, haze and wrong phase
    steps. Only bands are constant along whole rows. Their power is compared, frequency by frequency
    across the rows, with that of what makes three to twelve waves along a row.

    Args:
        frames: (9, H, W) without background, orientation-major.
        signal: counts of the lit pixels.

    Returns:
        Those of the rows and those of the columns.
    """
    rests = orientation_rests(frames)
    rests = rests * taper(tuple(rests.shape[1:]), rests.device, TAPERED).to(rests)
    return _bands_of(rests, signal), _bands_of(rests.transpose(1, 2), signal)


def _bands_of(rests: Tensor, signal: float) -> Banding:
    """The bands of the rows of three tapered fields (3, n, length)."""
    count, length = rests.shape[1:]
    place = torch.arange(length, dtype=torch.float64, device=rests.device) / length
    waves = torch.tensor([0, *BESIDE], dtype=torch.float64, device=rests.device)
    phase = 2 * math.pi * place[:, None] * waves
    parts = torch.cat([phase.cos(), phase.sin()], dim=1).to(rests)
    across = torch.fft.rfft(rests @ parts, dim=1)  # (3, f, 2 waves), cosines first
    cosine, sine = across.tensor_split(2, dim=2)
    bands = power(cosine[..., 0]).sum(dim=0)
    # The mean power of a complex wave, by that of its cosine and sine.
    beside = (power(cosine[..., 1:]) + power(sine[..., 1:])).mean(dim=2).sum(dim=0)
    usual = torch.nn.functional.avg_pool1d(beside[None], AROUND, 1, AROUND // 2, False, False)[0]
    ratio = (bands / usual.clamp(min=1e-30))[FIRST:]
    best = int(ratio.argmax())
    window = float(taper((count, length), "cpu", TAPERED).sum()) / 2
    # The mean over the phases hides a part of the bands that differ between them.
    amplitude = math.sqrt(PHASES * float(bands[best + FIRST]) / (ORIENTATIONS - 1)) / window
    return Banding(float(ratio[best]), count / (best + FIRST), amplitude / max(signal, 1e-12))
