"""How a reconstruction looks as a whole, and what that tells of its errors.

Some stacks are harder than others, and a tail that sees a neighbourhood cannot tell: of a dense,
bright field it promises too much, of single spots on darkness too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.errors import InputError

__all__ = ["Look", "LookScale", "fit_look_scale", "look_of"]

LARGEST_Z2 = 25.0  # a few pixels must not decide the fit
SMALL = 1e-6  # normalised intensity


class Look(NamedTuple):
    """`log(<sigma> / contrast)` and `log(contrast)` of an image; contrast: of its mean, rms."""

    doubt: float
    contrast: float


@dataclass(frozen=True)
class LookScale:
    """`c^2 = exp(w . (1, doubt, contrast))`; looks beyond those of the fit count as the nearest.

    Attributes:
        weights: w (3,).
        low, high: smallest and largest `Look` of the fit.
    """

    weights: tuple[float, ...]
    low: Look
    high: Look

    def factor(self, look: Look) -> float:
        """c: what the standard deviations of such an image are multiplied by."""
        held = np.clip(look, self.low, self.high)
        return float(np.exp(0.5 * (self.weights[0] + np.dot(self.weights[1:], held))))


def look_of(mean: ArrayLike, sigma: ArrayLike) -> Look:
    """The look of one image: posterior mean and total deviation as predicted, any shape."""
    mean, sigma = (torch.as_tensor(image).double() for image in (mean, sigma))
    contrast = max(float(mean.std(correction=0)), SMALL)
    return Look(float(np.log(max(float(sigma.mean()), SMALL) / contrast)), float(np.log(contrast)))


def fit_look_scale(stacks: Sequence[tuple[NDArray, Look]]) -> LookScale:
    """Least squares of `log <z^2>` of each stack on its look, centred: the mean of `log c` is zero.

    Args:
        stacks: standardised errors `z = error / sigma` of a stack's pixels, and its look.

    Raises:
        InputError: no stack.

    Source: this project's; with a constant look it is the sigma scaling of Laves et al. (2021).
    """
    if not stacks:
        raise InputError("expected at least one stack to fit on, found none")
    hard = np.log([np.minimum(z**2, LARGEST_Z2).mean() + SMALL for z, _ in stacks])
    looks = np.array([look for _, look in stacks])
    design = np.column_stack([np.ones(len(looks)), looks])
    weights = np.linalg.lstsq(design, hard, rcond=None)[0]
    weights[0] -= hard.mean()
    low, high = (Look(*extreme(looks, axis=0).tolist()) for extreme in (np.min, np.max))
    return LookScale(tuple(weights.tolist()), low, high)
