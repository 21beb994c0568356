"""Two features of a whole image, and what they tell about the size of its errors.

Some stacks are harder than others, and a tail that sees a neighbourhood cannot know: for a dense,
bright field its deviations are too small, for single spots on darkness too large. Nor is structure
wrong in the same measure as background: in dim light its deviations are nearly right, while those
of the background are too large, and one factor for both would take from the structure what only
the background can spare. So each has its own factor, and pixels in between have one in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.errors import InputError

__all__ = [
    "FeatureScale",
    "FittedPixels",
    "ImageFeatures",
    "brightness_between",
    "brightness_of",
    "brightness_shares",
    "features_from",
    "features_of",
    "fit_feature_scale",
]

LARGEST_Z2 = 25.0  # a few pixels must not decide the fit
SMALL = 1e-6  # normalised intensity
DARK, BRIGHT = 0.05, 0.99  # quantiles of an image: its background and its brightest structure
STRUCTURE = 0.25  # of the range between them: from here on, a pixel is structure
GROUPS = 5  # of pixels by their brightness, each of which counts once in the fit


class ImageFeatures(NamedTuple):
    """`log(<sigma> / contrast)` and `log(contrast)` of an image; contrast: of its mean, rms."""

    doubt: float
    contrast: float


class FittedPixels(NamedTuple):
    """Pixels (n,) of one stack: `z = error / sigma`, the image's features, and `brightness_of`."""

    z: NDArray
    features: ImageFeatures
    brightness: NDArray | None = None


@dataclass(frozen=True)
class FeatureScale:
    """`c^2 = exp((1 - b) w . x + b v . x)`, `x = (1, doubt, contrast)`, b from `brightness_of`.

    Features are held within those of the fit, so no image gets a factor that none was fitted to.
    Along b, from background to structure, the factor of an image rises or falls throughout.

    Attributes:
        weights: w (3,), of the background.
        low, high: smallest and largest `ImageFeatures` of the fit.
        lit_weights: v (3,), of the structure; None: w holds for all pixels.
    """

    weights: tuple[float, ...]
    low: ImageFeatures
    high: ImageFeatures
    lit_weights: tuple[float, ...] | None = None

    def factor(
        self, features: ImageFeatures, brightness: ArrayLike | None = None
    ) -> float | NDArray[np.float64]:
        """c: what the standard deviations of such an image are multiplied by.

        Args:
            brightness: of its pixels, any shape; None: those of background.

        Returns:
            One number for all pixels, or one for each where structure has weights of its own.
        """
        terms = np.append(1.0, np.clip(features, self.low, self.high))
        background = float(np.dot(self.weights, terms))
        if self.lit_weights is None or brightness is None:
            return float(np.exp(0.5 * background))
        change = float(np.dot(self.lit_weights, terms)) - background
        return np.exp(0.5 * (background + change * np.asarray(brightness, np.float64)))


def features_of(mean: ArrayLike, sigma: ArrayLike) -> ImageFeatures:
    """The features of one image: posterior mean and total deviation as predicted, any shape."""
    mean, sigma = (torch.as_tensor(image).double() for image in (mean, sigma))
    return features_from(float(mean.std(correction=0)), float(sigma.mean()))


def features_from(contrast: float, sigma: float) -> ImageFeatures:
    """The features of an image of this contrast and this mean deviation."""
    contrast = max(contrast, SMALL)
    doubt = np.log(max(sigma, SMALL) / contrast)
    return ImageFeatures(float(doubt), float(np.log(contrast)))


def brightness_of(mean: ArrayLike) -> NDArray[np.float32]:
    """Where each pixel of one image stands between background, 0, and structure, 1.

    0 at the 5th percentile of the image and below, 1 from a quarter of the way to its 99th on.

    Args:
        mean: the whole image as predicted, any shape and linear units.
    """
    mean = np.asarray(mean, np.float32)
    return brightness_between(mean, *np.quantile(mean, (DARK, BRIGHT)))


def brightness_shares() -> tuple[float, float]:
    """The shares 0..1 of an image's pixels below the two ends of `brightness_between`."""
    return DARK, BRIGHT


def brightness_between(mean: NDArray, dark: float, bright: float) -> NDArray[np.float32]:
    """`brightness_of` a part of an image whose quantiles, see `brightness_shares`, are known."""
    reach = max(STRUCTURE * float(bright - dark), SMALL)
    return np.clip((mean - np.float32(dark)) / np.float32(reach), 0.0, 1.0)


def fit_feature_scale(stacks: Sequence[FittedPixels]) -> FeatureScale:
    """Least squares of `log <z^2>` on the features; the mean of `log c` is zero.

    Where the brightness of the pixels is known, each stack counts with five groups of its pixels,
    from dark to bright, and background and structure get weights of their own.

    Raises:
        InputError: no stack.

    Source: this project's; with constant features it is the sigma scaling of Laves et al. (2021).
    """
    if not stacks:
        raise InputError("expected at least one stack to fit on, found none")
    by_brightness = all(stack.brightness is not None for stack in stacks)
    rows, hard = [], []
    for stack in stacks:
        terms = np.append(1.0, stack.features)
        for z, lit in _groups(stack) if by_brightness else [(stack.z, 0.0)]:
            rows.append(np.concatenate([(1 - lit) * terms, lit * terms]))
            hard.append(np.log(np.minimum(z**2, LARGEST_Z2).mean() + SMALL))
    design = np.array(rows) if by_brightness else np.array(rows)[:, :3]
    weights = np.linalg.lstsq(design, np.array(hard), rcond=None)[0]
    weights[[0, 3] if by_brightness else [0]] -= np.mean(hard)
    features = np.array([stack.features for stack in stacks])
    low, high = (ImageFeatures(*extreme(features, axis=0).tolist()) for extreme in (np.min, np.max))
    lit_weights = tuple(weights[3:].tolist()) if by_brightness else None
    return FeatureScale(tuple(weights[:3].tolist()), low, high, lit_weights)


def _groups(stack: FittedPixels) -> list[tuple[NDArray, float]]:
    """Standardised errors of equally many pixels from dark to bright, and their mean brightness."""
    order = np.argsort(stack.brightness, kind="stable")
    parts = np.array_split(order, min(GROUPS, len(order)))
    return [(stack.z[part], float(stack.brightness[part].mean())) for part in parts]
