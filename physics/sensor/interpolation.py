"""Gaps of a few pixels, such as dead columns, filled by interpolation that the lens allows.

A lens transmits no detail finer than its cut-off, so the pixels on both sides of a narrow gap
determine its content, fringes included. A smooth filling would blur structure and fringes there,
and the edges of such a notch distort spectra.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from bayesdl_sim.physics.optics import TYPICAL_OPTICS, otf

__all__ = ["WIDEST", "interpolated", "narrow_gaps"]

WIDEST = 3  # pixels, of a gap that its two sides determine
REACH = 4  # pixels around a gap that are used
NOISE = 0.1  # variance over that of the light: what dim and bright stacks lose least by
# The usual power of a frame: flat below so many cycles per pixel, then f^-2, and a share that
# fringes shift up to the cut-off.
SLOPE_START, SHIFTED = 0.04, 0.03
GRID = 64  # pixels, of the transform that makes the covariance
AT_ONCE = 256  # systems of equations that are solved together


def narrow_gaps(missing: Tensor) -> Tensor:
    """Mask of the pixels without data that have data near on two sides: (H, W).

    They belong to a run of at most `WIDEST` missing pixels along a row or a column, with data at
    both of its ends.

    Args:
        missing: (H, W).
    """
    return missing & (_short_runs(missing) | _short_runs(missing.T).T)


def interpolated(frames: Tensor, missing: Tensor, places: Tensor) -> Tensor:
    """Frames with other values at some places without data: the mean of light given its neighbours.

    Kriging: the linear combination of the data within `REACH` pixels whose expected squared error
    is least, for light of unknown mean and of the covariance that a usual sample has behind a usual
    lens. The weights do not depend on the counts.

    Args:
        frames: (n, H, W), finite.
        missing: (H, W), the pixels without data.
        places: (H, W), those of them to fill.

    Source: ordinary kriging (Matheron, 1963); the covariance is this project's.
    """
    where = places.nonzero()
    if where.shape[0] == 0:
        return frames
    side = 2 * REACH + 1
    known = torch.nn.functional.pad((~missing)[None, None].float(), (REACH,) * 4)[0, 0]
    light = torch.nn.functional.pad(torch.where(missing, 0.0, frames), (REACH,) * 4)
    steps = torch.arange(side, device=frames.device)
    rows = where[:, 0, None, None] + steps[:, None]
    columns = where[:, 1, None, None] + steps
    patterns, which = torch.unique(known[rows, columns].flatten(1) > 0, dim=0, return_inverse=True)
    weights = torch.cat([_weights(part) for part in patterns.split(AT_ONCE)]).to(frames)
    result = frames.clone()
    for number, frame in enumerate(light):
        values = (frame[rows, columns].flatten(1) * weights[which]).sum(dim=1)
        result[number, where[:, 0], where[:, 1]] = values
    return result


def _weights(known: Tensor) -> Tensor:
    """Weights (n, side^2) of the neighbours of a pixel, zero where they are not known."""
    covariance, with_middle = (part.to(known.device) for part in _covariances())
    pairs = known[:, :, None] & known[:, None]
    identity = torch.eye(known.shape[1], dtype=torch.float64, device=known.device)
    matrix = (
        torch.where(pairs, covariance, 0.0) + torch.where(known, NOISE, 1.0)[..., None] * identity
    )
    right = torch.stack([torch.where(known, with_middle, 0.0), known.double()], dim=-1)
    simple, ones = torch.linalg.solve(matrix, right).unbind(dim=-1)
    rest = 1 - simple.sum(dim=1, keepdim=True)
    return simple + ones * rest / ones.sum(dim=1, keepdim=True).clamp(min=1e-12)


@lru_cache(maxsize=1)
def _covariances() -> tuple[Tensor, Tensor]:
    """Covariance of the light between the pixels of a square, and of each with its middle."""
    frequency = torch.fft.fftfreq(GRID, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency[None])
    place = (frequency * GRID).abs().round().long()
    transfer = otf(TYPICAL_OPTICS, (2 * GRID, 2 * GRID), "cpu").double()[place][:, place]
    power = transfer.square() * (1 / (1 + (radius / SLOPE_START).square()) + SHIFTED)
    covariance = torch.fft.ifft2(power).real
    covariance = covariance / covariance[0, 0]
    steps = torch.arange(-REACH, REACH + 1)
    places = torch.cartesian_prod(steps, steps)
    distance = places[:, None] - places
    return covariance[distance[..., 0], distance[..., 1]], covariance[places[:, 0], places[:, 1]]


def _short_runs(missing: Tensor) -> Tensor:
    """Pixels in a run along the row of at most `WIDEST` missing ones, with data at both ends."""
    width = missing.shape[1]
    place = torch.arange(width, device=missing.device).expand(missing.shape)
    before = torch.where(missing, -1, place).cummax(dim=1).values
    after = torch.where(missing, width, place).flip(1).cummin(dim=1).values.flip(1)
    return missing & (before >= 0) & (after < width) & (after - before - 1 <= WIDEST)
