"""Stray light: a background that slopes over the field, in all frames or from frame to frame."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["NO_STRAY_LIGHT", "StrayLight", "stray_light"]

COARSE = 8  # raw pixels a side that are averaged first, over the fringes
PARTS = 6  # along a side, of whose darkest coarse pixels the floor is made
DARK = 0.1  # of the light of the lit pixels, below which all coarse pixels count alike


class StrayLight(NamedTuple):
    """Slopes of the background.

    Attributes:
        slope: of the floor of the mean frame, from one end of the field to the other, over the
            light of the lit pixels.
        plane: share of the variance of the floor that a plane explains; 0.85 at most in good
            stacks, whose haze follows the structure.
        changing: largest slope of a single frame against the mean, over the light, too.
        changing_sigma: the same in standard errors; up to 24 in good stacks.
    """

    slope: float
    plane: float
    changing: float
    changing_sigma: float


NO_STRAY_LIGHT = StrayLight(slope=0.0, plane=0.0, changing=0.0, changing_sigma=0.0)


def stray_light(frames: Tensor, signal: float) -> StrayLight:
    """Fits planes to the floor of the mean frame, and to the differences of the frames from it.

    The floor is the darkest coarse pixel of each part of the field. The difference of a frame is
    fitted by `(a + b x + c y) + (d + e x + f y) mean`, so that uneven illumination of the structure
    is no stray light.

    Args:
        frames: (9, H, W) without background.
        signal: counts of the lit pixels.
    """
    if not signal > 0:
        return NO_STRAY_LIGHT
    coarse = torch.nn.functional.avg_pool2d(frames[None], COARSE)[0].double()
    mean = coarse.mean(dim=0)
    sides = [max(2, n // PARTS) for n in mean.shape]
    floor = -torch.nn.functional.max_pool2d(-mean[None], sides)[0]
    plane, _, rest = _fit(_planes(floor), floor.flatten()[:, None])
    variance = max(float(floor.var(correction=0)), 1e-30)
    basis = _planes(mean)
    basis = torch.cat([basis, basis * mean.flatten()[:, None]], dim=1)
    # What is left of the fringes grows with the structure that carries them.
    weight = 1 / (mean.clamp(min=0) + DARK * signal).flatten()[:, None]
    slopes, covariance, rests = _fit(weight * basis, weight * (coarse - mean).flatten(1).T)
    slopes = slopes[1:3]
    inverse = torch.linalg.pinv(covariance[1:3, 1:3])
    variances = rests.square().sum(dim=0) / max(len(basis) - basis.shape[1], 1)
    sigmas = ((slopes * (inverse @ slopes)).sum(dim=0) / variances.clamp(min=1e-30)).sqrt()
    worst = int(sigmas.argmax())
    return StrayLight(
        slope=2 * float(plane[1:3, 0].abs().sum()) / signal,
        plane=1 - float(rest.square().mean()) / variance,
        changing=2 * float(slopes[:, worst].abs().sum()) / signal,
        changing_sigma=float(sigmas[worst]),
    )


def _planes(image: Tensor) -> Tensor:
    """A constant and slopes from -1 to 1 along both sides of an image: (pixels, 3)."""
    rows, columns = (
        torch.linspace(-1, 1, n, dtype=image.dtype, device=image.device) for n in image.shape
    )
    slopes = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([torch.ones_like(image), *slopes], dim=-1).flatten(0, 1)


def _fit(basis: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Least squares of values (pixels, n): coefficients (k, n), their covariance, and the rest."""
    covariance = torch.linalg.pinv(basis.T @ basis)
    coefficients = covariance @ (basis.T @ values)
    return coefficients, covariance, values - basis @ coefficients
