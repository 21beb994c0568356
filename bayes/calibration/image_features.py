"""Two features of a whole image, and what they tell about the size of its errors.

Some stacks are harder than others, and a tail that sees a neighbourhood cannot know: for a dense,
bright field its deviations are too small, for single spots on darkness too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.errors import InputError

__all__ = ["FeatureScale", "ImageFeatures", "features_of", "fit_feature_scale"]

LARGEST_Z2 = 25.0  # a few pixels must not decide the fit
SMALL = 1e-6  # normalised intensity


class ImageFeatures(NamedTuple):
    """`log(<sigma> / contrast)` and `log(contrast)` of an image; contrast: of its mean, rms."""

    doubt: float
    contrast: float


@dataclass(frozen=True)
class FeatureScale:
    """`c^2 = exp(w . (1, doubt, contrast))`; features are held within those of the fit.

    Attributes:
        weights: w (3,).
        low, high: smallest and largest `ImageFeatures` of the fit.
    """

    weights: tuple[float, ...]
    low: ImageFeatures
    high: ImageFeatures

    def factor(self, features: ImageFeatures) -> float:
        """c: what the standard deviations of such an image are multiplied by."""
        held = np.clip(features, self.low, self.high)
        return float(np.exp(0.5 * (self.weights[0] + np.dot(self.weights[1:], held))))


def features_of(mean: ArrayLike, sigma: ArrayLike) -> ImageFeatures:
    """The features of one image: posterior mean and total deviation as predicted, any shape."""
    mean, sigma = (torch.as_tensor(image).double() for image in (mean, sigma))
    contrast = max(float(mean.std(correction=0)), SMALL)
    doubt = np.log(max(float(sigma.mean()), SMALL) / contrast)
    return ImageFeatures(float(doubt), float(np.log(contrast)))


def fit_feature_scale(stacks: Sequence[tuple[NDArray, ImageFeatures]]) -> FeatureScale:
    """Least squares of `log <z^2>` of each stack on its features; the mean of `log c` is zero.

    Args:
        stacks: standardised errors `z = error / sigma` of a stack's pixels, and its features.

    Raises:
        InputError: no stack.

    Source: this project's; with constant features it is the sigma scaling of Laves et al. (2021).
    """
    if not stacks:
        raise InputError("expected at least one stack to fit on, found none")
    hard = np.log([np.minimum(z**2, LARGEST_Z2).mean() + SMALL for z, _ in stacks])
    features = np.array([found for _, found in stacks])
    design = np.column_stack([np.ones(len(features)), features])
    weights = np.linalg.lstsq(design, hard, rcond=None)[0]
    weights[0] -= hard.mean()
    low, high = (ImageFeatures(*extreme(features, axis=0).tolist()) for extreme in (np.min, np.max))
    return FeatureScale(tuple(weights.tolist()), low, high)
