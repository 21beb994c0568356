"""Correlation of each row of a frame with the same row of the other frames, moved along and across.

Tears of a frame, lost rows and frames that moved as a whole show in it.
"""

from __future__ import annotations

from typing import NamedTuple

import scipy.fft
import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES

__all__ = ["RowCorrelation", "row_correlations"]

SIDEWAYS, UPWARDS = 24, 6  # raw pixels, of the largest displacement that is looked for
COLUMNS = 256  # of a wide field, which suffice


class RowCorrelation(NamedTuple):
    """Agreement of the rows of each frame with the others, for shifts in one direction.

    Attributes:
        products: (9, s, rows), sums over the gradients along the row; the middle s is in place.
        norms: (9, 3, rows), powers of the rows, of frames and others, and numbers of their pixels.
        first: number of the first row, counted from 0.
    """

    products: Tensor
    norms: Tensor
    first: int


def row_correlations(frames: Tensor) -> tuple[RowCorrelation, RowCorrelation]:
    """Correlates each frame with the mean of the six of the other orientations.

    In that mean, the fringes cancel. The gradient is the one along the shift.

    Args:
        frames: (9, H, W) without background, orientation-major, 64 pixels or more a side.

    Returns:
        For shifts to the right, and downwards.
    """
    frames = _brightest_columns(frames)
    frames = frames / frames.abs().mean().clamp(min=1e-30)  # so that no product overflows
    sideways, upwards = _sideways(frames), _upwards(frames)
    return RowCorrelation(*sideways, 0), RowCorrelation(*upwards, UPWARDS + 1)


def _brightest_columns(frames: Tensor) -> Tensor:
    """The columns of a wide field that hold most of the light: (9, H, `COLUMNS`)."""
    light = frames.sum(dim=(0, 1)).cumsum(dim=0)
    if len(light) <= COLUMNS:
        return frames
    start = int((light[COLUMNS:] - light[:-COLUMNS]).argmax()) + 1
    return frames[:, :, start : start + COLUMNS]


def _others(images: Tensor) -> Tensor:
    """The mean of the six images of the other orientations, for each of nine: (9, ...)."""
    sums = images.unflatten(0, (ORIENTATIONS, PHASES)).sum(dim=1)
    others = (sums.sum(dim=0) - sums) / ((ORIENTATIONS - 1) * PHASES)
    return others.repeat_interleave(PHASES, dim=0)


def _sideways(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation of each row with the other frames, for shifts along it, and norms of the rows.

    Returns:
        (9, s, rows), and `_norms` (9, 3, rows).
    """
    ours = frames[:, :, 2:] - frames[:, :, :-2]
    size = scipy.fft.next_fast_len(ours.shape[2] + SIDEWAYS, real=True)  # no shift wraps around
    spectrum = torch.fft.rfft(ours, n=size)
    products = torch.fft.irfft(_others(spectrum).conj() * spectrum, n=size)
    shifts = torch.arange(-SIDEWAYS, SIDEWAYS + 1, device=frames.device) % size
    return products[..., shifts].transpose(1, 2), _norms(ours, _others(ours))


def _upwards(frames: Tensor) -> tuple[Tensor, Tensor]:
    """The same for shifts across the rows, without the rows whose partners lie outside.

    Half the power of the partner is taken off, so that no row agrees with a brighter one.
    """
    ours = frames[:, 2:] - frames[:, :-2]
    theirs, count = _others(ours), ours.shape[1] - 2 * UPWARDS
    inner, window = ours[:, UPWARDS : UPWARDS + count], 2 * UPWARDS + 1
    # Views of the rows around each one: (9, rows, columns, s) and (9, rows, s).
    partners, powers = theirs.unfold(1, window, 1), theirs.square().sum(dim=2).unfold(1, window, 1)
    products = torch.matmul(inner[:, :, None], partners)[:, :, 0] - powers / 2
    norms = _norms(inner, theirs[:, UPWARDS : UPWARDS + count])
    return products.transpose(1, 2).flip(1), norms


def _norms(ours: Tensor, theirs: Tensor) -> Tensor:
    """Powers of the rows of frames and others, and their numbers of pixels: (9, 3, rows)."""
    powers = (part.square().sum(dim=2) for part in (ours, theirs))
    return torch.stack([*powers, torch.full_like(ours[..., 0], ours.shape[2])], dim=1)
