"""The noise of a stack, from the frequencies that no lens transmits."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.patterns.bands import fast_shape, frequencies, power, taper
from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = [
    "BEYOND_ANY_LENS",
    "BRIGHTNESS_BINS",
    "LEAST_NOISE",
    "Bins",
    "beyond_any_lens",
    "empty_from",
    "noise_bins",
    "noise_line",
    "noise_variance",
    "noise_weight",
]

Bins = tuple[NDArray, NDArray]
BEYOND_ANY_LENS = 0.42  # cycles per raw pixel; the cut-offs of 2D-SIM stands end at 0.40
BRIGHTNESS_BINS = 24
SMOOTHING = 10.0  # raw pixels, of the brightness that the noise is taken to follow
LEAST_NOISE = 0.05  # of the mean variance: no pixel is trusted beyond measure


def empty_from(optics: Optics) -> float:
    """Cycles per raw pixel beyond which there is nothing but noise.

    An undersampled camera has no empty frequency; its corners come nearest.
    """
    return min(max(1.05 * optics.cutoff, BEYOND_ANY_LENS), 0.6)


def noise_variance(frames: Tensor, optics: Optics, valid: Tensor | None = None) -> float:
    """Noise variance of a pixel of a frame, from the frequencies that no lens transmits.

    Shot and read noise are white, so their power beyond the cut-off is their power below it. The
    median over those frequencies (ln 2 times the mean, as for any exponential law) does not feel
    the streaks of bright borders.

    Args:
        frames: (9, H, W) without background.
        valid: (H, W), weight of the pixels (`missing.validity`); None: all hold data.
    """
    shape = tuple(frames.shape[-2:])
    window = taper(shape, frames.device).to(frames)
    window = window if valid is None else window * valid
    padded = fast_shape(shape)
    strength = power(torch.fft.rfft2(frames * window, s=padded)) / (window**2).sum()
    radius = torch.hypot(*frequencies(padded, frames.device))[:, : padded[1] // 2 + 1]
    empty = radius > empty_from(optics)
    return float(strength[:, empty].median() / math.log(2.0))


def noise_line(
    frames: Tensor, valid: Tensor | None = None, bins: Bins | None = None
) -> tuple[float, float]:
    """Noise variance of a pixel as a line of its brightness: `variance = a + b brightness`.

    The slope b is the gain of the camera in counts per electron, the intercept its read noise and
    the light of the background, from the bins of `noise_bins`.

    Args:
        frames: (9, H, W) without background.
        valid: (H, W), weight of the pixels (`missing.validity`); None: all hold data.
        bins: from `noise_bins`, where they are known already.

    Returns:
        a and b in counts^2 and counts; b is NaN where the noise does not rise with brightness.
    """
    x, y = bins or noise_bins(frames, valid)
    if not np.ptp(x) > 0:
        return float(y.min()), math.nan  # an empty stack
    weight = 1 / np.maximum(y, 1e-12)  # a variance is known to a share of itself
    slope, intercept = np.polyfit(x, y, 1, w=weight)
    floor = float(max(intercept, 0.05 * y.min()))
    return floor, float(slope) if slope > 0 else math.nan


def beyond_any_lens(frames: Tensor) -> Tensor:
    """Content of frames (n, H, W) at the frequencies that no lens transmits: noise, and edges."""
    height, width = frames.shape[1:]
    shape = fast_shape((height, width))
    below, right = shape[0] - height, shape[1] - width
    # An edge that goes on is no edge of its own.
    padded = torch.nn.functional.pad(frames, (0, right, 0, below), mode="replicate")
    outside = torch.hypot(*frequencies(shape, frames.device)) > BEYOND_ANY_LENS
    spectrum = torch.fft.rfft2(padded) * outside[:, : shape[1] // 2 + 1]
    return torch.fft.irfft2(spectrum, s=shape)[:, :height, :width]


def noise_bins(frames: Tensor, valid: Tensor | None = None, rest: Tensor | None = None) -> Bins:
    """Brightness and noise variance of a frame's pixels, in bins of equal counts.

    The noise is what lies beyond any lens's cut-off; its square is compared with the mean of the
    frames.

    Args:
        frames: (9, H, W) without background.
        valid: (H, W), weight of the pixels (`missing.validity`); None: all hold data.
        rest: of `beyond_any_lens(frames)`, where it is known.

    Returns:
        (24,) counts and (24,) counts^2, from dark to bright.
    """
    shape = tuple(frames.shape[1:])
    rest = beyond_any_lens(frames) if rest is None else rest
    outside = torch.hypot(*frequencies(fast_shape(shape), frames.device)) > BEYOND_ANY_LENS
    variance = rest.square().mean(dim=0) / float(outside.double().mean())
    border = max(1, min(shape) // 16)  # where the edges of the field leave streaks
    inner = (slice(border, -border),) * 2
    mean, variance = frames.mean(dim=0)[inner].flatten(), variance[inner].flatten()
    if valid is not None:
        kept = valid[inner].flatten() == 1
        if int(kept.sum()) > BRIGHTNESS_BINS:
            mean, variance = mean[kept], variance[kept]
    order = torch.argsort(mean)
    bins = [(mean[i].mean(), _trimmed(variance[i])) for i in order.chunk(BRIGHTNESS_BINS)]
    x, y = (torch.stack(values).double().cpu().numpy() for values in zip(*bins, strict=True))
    return x, y


def noise_weight(frames: Tensor, valid: Tensor | None = None, bins: Bins | None = None) -> Tensor:
    """Inverse standard deviation of the noise (H, W), mean square of its inverse 1.

    `(a + b brightness)^-1/2` with the line of `noise_line` and the smoothed brightness: multiplied
    by it, frames have white noise, and no bright spot outshouts the field.

    Args:
        frames: (9, H, W) without background.
        valid: (H, W), weight of the pixels (`missing.validity`); None: all hold data.
        bins: from `noise_bins`, where they are known already.
    """
    level, rise = noise_line(frames, valid, bins)
    light = gaussian(frames.mean(dim=0), SMOOTHING).clamp(min=0.0)
    variance = level + (rise if rise > 0 else 0.0) * light
    mean = variance.mean()
    if not float(mean) > 0:
        return torch.ones_like(variance)
    weight = (variance / mean).clamp(min=LEAST_NOISE).rsqrt()
    return weight if valid is None else weight * valid


def _trimmed(variance: Tensor) -> Tensor:
    """Mean without the largest hundredth, where hot pixels are."""
    left_out = len(variance) - max(1, int(0.99 * len(variance)))
    return (variance.sum() - variance.topk(left_out).values.sum()) / (len(variance) - left_out)
