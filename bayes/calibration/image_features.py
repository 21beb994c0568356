"""Four features of an image as a whole, and the factors on deviations that they predict.

Some stacks are harder than others, which a tail cannot infer from a neighbourhood: where the
members disagree, their deviations are rather too large, and for a dense, bright field of sharp
filaments too small. In bright light those of the structure are too large, and how bright it was
only the frames tell, whose noise follows the electrons.
Nor is structure wrong in the same measure as background: in dim light its
deviations are nearly right, while those of the background are too large, and one factor for both
would take from the structure what only the background can spare. So each has its own factor, and
pixels in between have one in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

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

SMALL = 1e-6  # normalised intensity
LARGEST_DISAGREEMENT = 5.0  # a logarithm; one member has none, and members without a tail no other
DARK, BRIGHT = 0.05, 0.99  # quantiles of an image: its background and its brightest structure
STRUCTURE = 0.25  # of the range between them: from here on, a pixel is structure
RANKS = 0.6, 0.8  # quantiles: so is the brightest fifth, of which few spots fill a small part
LEVEL, QUANTILE = 0.9, 1.6449  # share of the errors to cover, and the Gaussian deviations for it
FITTED_PIXELS = 512  # of a stack, evenly picked
RIDGE = 0.01  # on the squares of the standardised weights, beside the mean pinball loss
SMOOTHING = 0.05  # of the corner of that loss, in logarithms
SMALLEST_Z = 1e-4


class ImageFeatures(NamedTuple):
    """What is known of an image as a whole, logarithms.

    Attributes:
        disagreement: `log(<epistemic> / <aleatoric>)`.
        contrast: of the rms of the mean around its own.
        noise: `log(<aleatoric>)`.
        signal: of the electrons of the lit pixels of a frame; NaN where it is not known.
    """

    disagreement: float
    contrast: float
    noise: float
    signal: float


TERMS = 1 + len(ImageFeatures._fields)  # with a constant


class FittedPixels(NamedTuple):
    """Pixels (n,) of one stack: `z = error / sigma`, the image's features, and `brightness_of`."""

    z: NDArray
    features: ImageFeatures
    brightness: NDArray | None = None


@dataclass(frozen=True)
class FeatureScale:
    """`c^2 = exp((1 - b) w . x + b v . x)`, `x = (1, *ImageFeatures)`, b: `brightness_of`.

    Features are held within those of the fit, so no image gets a factor that none was fitted to.
    One that is not known is taken to lie in their middle. Along b, from background to structure,
    the factor of an image rises or falls throughout.

    Attributes:
        weights: w (5,), of the background.
        low, high: smallest and largest `ImageFeatures` of the fit.
        lit_weights: v (5,), of the structure; None: w holds for all pixels.
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
            brightness: `brightness_of` its pixels, any shape; None: all are background.

        Returns:
            One number for all pixels, or one for each where structure has weights of its own.
        """
        low, high = np.array(self.low), np.array(self.high)
        terms = np.append(1.0, np.clip(_filled(features, (low + high) / 2), low, high))
        background = float(np.dot(self.weights, terms))
        if self.lit_weights is None or brightness is None:
            return float(np.exp(0.5 * background))
        change = float(np.dot(self.lit_weights, terms)) - background
        return np.exp(0.5 * (background + change * np.asarray(brightness, np.float64)))


def features_of(
    mean: ArrayLike, aleatoric: ArrayLike, epistemic: ArrayLike, signal_e: float
) -> ImageFeatures:
    """The features of one image.

    Args:
        mean, aleatoric, epistemic: posterior mean and both deviations as predicted, any shape.
        signal_e: median electrons of the lit pixels of its frames; NaN if it is not known.
    """
    mean, *deviations = (torch.as_tensor(image).double() for image in (mean, aleatoric, epistemic))
    parts = (float(d.mean()) for d in deviations)
    return features_from(float(mean.std(correction=0)), *parts, signal_e)


def features_from(
    contrast: float, aleatoric: float, epistemic: float, signal_e: float
) -> ImageFeatures:
    """The features of an image of this contrast, these mean deviations and this signal."""
    ratio = np.log(max(epistemic, SMALL) / max(aleatoric, SMALL))
    disagreement = np.clip(ratio, -LARGEST_DISAGREEMENT, LARGEST_DISAGREEMENT)
    contrast, noise = (float(np.log(max(value, SMALL))) for value in (contrast, aleatoric))
    signal = float(np.log(max(signal_e, SMALL))) if np.isfinite(signal_e) else np.nan
    return ImageFeatures(float(disagreement), contrast, noise, signal)


def _filled(features: ArrayLike, middle: NDArray) -> NDArray[np.float64]:
    """Features (..., 4) without NaN: one that is not known is that of `middle` (4,)."""
    features = np.asarray(features, np.float64)
    return np.where(np.isnan(features), middle, features)


def brightness_of(mean: ArrayLike) -> NDArray[np.float32]:
    """Position of each pixel of one image between background, 0, and structure, 1.

    Structure is what lies a quarter of the way from the 5th percentile of the image to its 99th, or
    above the 80th. Below these, it falls to 0 at the 5th, or at the 60th; the larger of the two.

    Args:
        mean: the whole image as predicted, any shape and linear units.
    """
    mean = np.asarray(mean, np.float32)
    return brightness_between(mean, *np.quantile(mean, brightness_shares()))


def brightness_shares() -> tuple[float, float, float, float]:
    """The shares 0..1 of an image's pixels below the values that `brightness_between` takes."""
    return DARK, *RANKS, BRIGHT


def brightness_between(
    mean: NDArray, dark: float, low: float, high: float, bright: float
) -> NDArray[np.float32]:
    """`brightness_of` a part of an image whose quantiles, see `brightness_shares`, are known."""
    by_range = (mean - np.float32(dark)) / np.float32(max(STRUCTURE * float(bright - dark), SMALL))
    by_rank = (mean - np.float32(low)) / np.float32(max(float(high - low), SMALL))
    return np.clip(np.maximum(by_range, by_rank), 0.0, 1.0)


def fit_feature_scale(stacks: Sequence[FittedPixels], constant: bool = False) -> FeatureScale:
    """The factors that cover nine tenths of the errors, by quantile regression.

    The pinball loss of `log |z|` is smallest where a tenth of the errors exceeds 1.645 c, weighed
    by any of the terms: over background and structure, and over images of a small and of a large
    feature. A mean of z^2 would follow the few stacks that went wrong altogether. A ridge keeps
    weights small that the stacks do not need. The mean of `log c` is zero.

    Where the brightness of the pixels is known, background and structure have weights of their own.

    Args:
        constant: the factors are the same for all images.

    Raises:
        InputError: no stack.

    Source: Koenker and Bassett, Econometrica 46, 33 (1978); its use here is this project's.
    """
    if not stacks:
        raise InputError("expected at least one stack to fit on, found none")
    by_brightness = all(stack.brightness is not None for stack in stacks)
    features = np.array([stack.features for stack in stacks])
    low, high = (np.nan_to_num(extreme.reduce(features)) for extreme in (np.fmin, np.fmax))
    features = _filled(features, (low + high) / 2)
    middle, spread = features.mean(axis=0), np.maximum(features.std(axis=0), SMALL)
    rows, hard = [], []
    for stack, own in zip(stacks, (features - middle) / spread, strict=True):
        picked = np.linspace(0, len(stack.z) - 1, min(len(stack.z), FITTED_PIXELS)).astype(int)
        terms = np.append(1.0, np.zeros_like(own) if constant else own)
        lit = stack.brightness[picked][:, None] if by_brightness else np.zeros((len(picked), 1))
        rows.append(np.concatenate([(1 - lit) * terms, lit * terms], axis=1, dtype=np.float64))
        hard.append(np.log(np.abs(stack.z[picked]) + SMALLEST_Z) - np.log(QUANTILE))
    design = np.concatenate(rows)
    weights = _quantile_regression(design, np.concatenate(hard))
    weights[[0, TERMS] if by_brightness else [0]] -= np.mean(design @ weights)
    pair = [_in_features(part, middle, spread) for part in (weights[:TERMS], weights[TERMS:])]
    low, high = (ImageFeatures(*extreme.tolist()) for extreme in (low, high))
    return FeatureScale(pair[0], low, high, pair[1] if by_brightness else None)


def _in_features(weights: NDArray, middle: NDArray, spread: NDArray) -> tuple[float, ...]:
    """Weights of `c^2` on the features, of those of `c` on the standardised ones."""
    slopes = weights[1:] / spread
    return tuple((2 * np.append(weights[0] - slopes @ middle, slopes)).tolist())


def _quantile_regression(design: NDArray, target: NDArray) -> NDArray:
    """Weights (2 `TERMS`,) of the smallest mean pinball loss, with a ridge on all but constants."""
    ridge = RIDGE * (np.arange(2 * TERMS) % TERMS > 0)

    def loss(weights: NDArray) -> tuple[float, NDArray]:
        rest = target - design @ weights
        below = np.logaddexp(0, -rest / SMOOTHING)
        value = np.mean(LEVEL * rest + SMOOTHING * below) + ridge @ weights**2
        slope = LEVEL - 1 + np.exp(-np.logaddexp(0, -rest / SMOOTHING))
        return float(value), 2 * ridge * weights - slope @ design / len(target)

    return minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
