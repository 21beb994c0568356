"""Background that varies slowly over the field: non-negative weights of wide, smooth bumps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor

__all__ = ["FINER", "SPACING", "SmoothBackground", "smooth_background"]

SPACING = 10.0  # camera pixels between bumps; a bump is 17 pixels wide, a spot at most 7
# The same where the movie holds light that does not blink. On even backgrounds it costs 0.002 to
# 0.008 NCC, beside a hill of a sigma of 6 pixels it gains 0.06 to 0.1.
FINER = 5.0
DEGREE = 3


class SmoothBackground(NamedTuple):
    """Cubic B-splines along both axes, `image = rows @ weights @ columns.T`.

    The bumps of an axis add up to 1 everywhere: equal weights are a flat background. `rows` is
    (H, K), `columns` (W, L).
    """

    rows: Tensor
    columns: Tensor

    def image(self, weights: Tensor) -> Tensor:
        """Weights (K, L) to background (H, W)."""
        return self.rows @ weights @ self.columns.T

    def average(self, image: Tensor) -> Tensor:
        """Mean of an image (H, W) under each bump, (K, L); a flat image gives equal weights."""
        norm = self.rows.sum(0)[:, None] * self.columns.sum(0)[None]
        return self.rows.T @ image @ self.columns / norm


def smooth_background(shape: tuple[int, int], spacing: float = SPACING) -> SmoothBackground:
    """The bumps of a field of (H, W) camera pixels, about `spacing` camera pixels apart."""
    return SmoothBackground(*(_bumps(pixels, spacing) for pixels in shape))


def _bumps(pixels: int, spacing: float) -> Tensor:
    """Values (pixels, K) of the B-splines at the centres of the pixels of one axis."""
    intervals = max(round(pixels / spacing), 1)
    step = pixels / intervals
    knots = (np.arange(-DEGREE, intervals + DEGREE + 1)) * step - 0.5
    basis = BSpline.design_matrix(np.arange(pixels, dtype=float), knots, DEGREE)
    return torch.from_numpy(basis.toarray()).float()
