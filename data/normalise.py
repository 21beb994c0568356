"""The one intensity normalisation: for writing, training, testing and tiles, on the whole field.

A network sees `(x - low) / (high - low)`. A tile must use the numbers of its whole field, or
neighbouring tiles would get different scales; that is why the numbers travel as a `Normalisation`.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.pieces.percentiles import percentiles_of

__all__ = [
    "Normalisation",
    "min_max_of",
    "normalisation_in_pieces",
    "normalisation_of",
    "target_normalisation",
]

PERCENTILES = (0.1, 99.9)  # of all pixels: a hot pixel is 4e-6 of a 502x502 field
BLUR_PX = 4.0  # raw pixels: far wider than any PSF, so that raw and target look alike
MIN_PEARSON = 0.5
RELEASED_EPSILON = 1e-7  # counts


class Normalisation(NamedTuple):
    """An affine intensity scale, `x -> (x - low) / (high - low)`; low and high in counts."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """Counts per unit of normalised intensity."""
        return self.high - self.low

    def apply(self, image):
        """Counts -> normalised intensity; array or tensor of any shape, integers give float32."""
        return (_as_float(image) - self.low) / self.scale

    def invert(self, image):
        """Normalised intensity -> counts; the inverse of `apply`."""
        return _as_float(image) * self.scale + self.low


def normalisation_of(raw, name: str = "the stack", valid=None) -> Normalisation:
    """The scale of one stack: its 0.1 and 99.9 percentiles over all frames and the whole field.

    Args:
        raw: counts (9, H, W), array or tensor. NaN does not count.
        name: the file, for the error message.
        valid: (H, W), array or tensor, true where a pixel counts; None, or true everywhere: all of
            them. Pixels without data and a single bright spot are left out by it, see
            `physics.sensor.missing`.

    Raises:
        InputError: both percentiles are the same number, or no pixel counts.
    """
    values = _array(raw)
    values = values if values.dtype == np.float64 else values.astype(np.float32, copy=False)
    if valid is not None:
        valid = _array(valid).astype(bool)
        values = values if valid.all() else values[..., valid]
    if values.dtype.kind == "f" and not np.isfinite(values.sum(dtype=np.float64)):
        values = values[np.isfinite(values)]
    if not values.size:
        raise _without_data(name)
    low, high = (float(value) for value in np.percentile(values, PERCENTILES))
    return _between(low, high, name)


def normalisation_in_pieces(pieces: Callable[[], Iterable], name: str) -> Normalisation:
    """`normalisation_of` of a field that is read in pieces.

    Args:
        pieces: gives all values that count, arrays or tensors of any shape, at every call.

    Raises:
        InputError: as `normalisation_of`.
    """

    def finite() -> Iterable[np.ndarray]:
        for piece in map(_array, pieces()):
            yield piece[np.isfinite(piece)]

    try:
        low, high = percentiles_of(finite, PERCENTILES)
    except InputError:
        raise
    except ValueError:
        raise _without_data(name) from None
    return _between(low, high, name)


def _without_data(name: str) -> InputError:
    return InputError(f"{name} holds no pixel with data: check the file")


def _between(low: float, high: float, name: str) -> Normalisation:
    """The scale from one percentile to the other; `InputError` if they are the same."""
    if not high > low:
        raise InputError(
            f"{name} is constant (its 0.1 and 99.9 percentiles are both {low:g} counts): SIM "
            "frames show a structure; check the file"
        )
    return Normalisation(low, high)


def min_max_of(raw, name: str = "the stack") -> Normalisation:
    """The scale of the released code, for networks trained with it: smallest and largest count.

    `x -> (x - min) / (max - min + 1e-7)` over all frames and the whole field. A single hot pixel
    dims everything else; `normalisation_of` is not moved by it.

    Args:
        raw: counts (9, H, W), array or tensor. NaN does not count.
        name: the file, for the error message.

    Raises:
        InputError: the frames are constant, or no pixel counts.

    Source: prctile_norm of the released code with its default percentiles, 0 and 100.
    """
    values = _array(raw)
    values = values[np.isfinite(values)]
    if not values.size:
        raise _without_data(name)
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise InputError(
            f"{name} is constant ({low:g} counts everywhere): SIM frames show a structure; "
            "check the file"
        )
    return Normalisation(low, high + RELEASED_EPSILON)


def target_normalisation(
    target: np.ndarray,
    wide_field_counts: np.ndarray,
    raw_norm: Normalisation,
    name: str = "the target",
) -> Normalisation:
    """The scale of a target whose own units are arbitrary, tied to the counts of its raw stack.

    Super-resolved images carry no absolute intensity, but at low resolution target and wide field
    show the same light. With T the target binned 2x2 and W the wide field in counts, both blurred
    by a Gaussian of 4 raw pixels, least squares gives `a T + b = W`; the target in counts is
    `a target + b`, and the raw scale applies to that. In target units:

        low = (raw_norm.low - b) / a,   high = (raw_norm.high - b) / a.

    The microscope's own blur takes a little contrast from W, so `a` comes out a few per cent low
    (4 % for a fine structure under a blur of 1.3 pixels); that dims the target, nothing else.

    Args:
        target: (2H, 2W), any units.
        wide_field_counts: (H, W), mean of the nine raw frames.
        raw_norm: scale of the raw stack.
        name: the file, for the error message.

    Raises:
        InputError: raw and target do not show the same field (a <= 0, or Pearson r below 0.5).
    """
    height, width = wide_field_counts.shape
    binned = np.asarray(target, np.float64).reshape(height, 2, width, 2).mean(axis=(1, 3))
    smooth_target = gaussian_filter(binned, BLUR_PX).ravel()
    smooth_wide = gaussian_filter(np.asarray(wide_field_counts, np.float64), BLUR_PX).ravel()
    target_mean, wide_mean = smooth_target.mean(), smooth_wide.mean()
    smooth_target -= target_mean
    smooth_wide -= wide_mean
    covariance = smooth_target @ smooth_wide
    norms = np.sqrt((smooth_target @ smooth_target) * (smooth_wide @ smooth_wide))
    pearson = covariance / norms if norms > 0 else 0.0
    if pearson <= -MIN_PEARSON:
        raise InputError(
            f"{name} is dark where its raw frames are bright (correlation {pearson:.2f} at low "
            f"resolution, at least {MIN_PEARSON} expected): invert the target back, or check that "
            "GT and Raw belong together"
        )
    if not pearson >= MIN_PEARSON:  # also catches NaN; pearson > 0 means a > 0
        raise InputError(
            f"{name} and its raw frames do not show the same field (correlation {pearson:.2f} "
            f"at low resolution, at least {MIN_PEARSON} expected): check that GT and Raw belong "
            "together and are not flipped or shifted"
        )
    a = covariance / (smooth_target @ smooth_target)
    b = wide_mean - a * target_mean
    return Normalisation(float((raw_norm.low - b) / a), float((raw_norm.high - b) / a))


def _array(image) -> np.ndarray:
    return image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)


def _as_float(image):
    if isinstance(image, torch.Tensor):
        return image if image.is_floating_point() else image.to(torch.float32)
    image = np.asarray(image)
    return image if image.dtype.kind == "f" else image.astype(np.float32)
