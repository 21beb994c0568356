"""The spectrum of the noise of a stack: white for a camera, coloured by filters of any kind."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.checks.agreement.orientations import orientation_rests
from bayesdl_sim.physics.illumination import ORIENTATIONS
from bayesdl_sim.physics.patterns.bands import fast_shape, frequencies, power, taper
from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = ["CoarseNoise", "NoiseColour", "coarse_noise", "noise_colour"]

LOW_RING, HIGH_RING = (0.45, 0.52), (0.6, 0.71)  # cycles per raw pixel: beyond any lens, corners
WIDEST_CUTOFF = 0.43  # cycles per raw pixel, below which both rings hold noise alone
SMOOTHING = 6.0  # raw pixels, of the variance that the frames are divided by
LINES = 0.03  # cycles per raw pixel beside the axes, where the noise of rows and columns lies
ALL_ALIKE = 1e-3  # of the noise of a frame, in what differs between frames of one exposure
MOST_ROUNDING = 0.7  # of the noise beyond any lens
# Cycles per raw pixel. Drift and haze that differ between the orientations reach little beyond 0.2.
COARSE_RING, MIDDLE_RING, FINE_RING = (0.05, 0.2), (0.2, 0.35), (0.47, 0.71)
MEDIAN_ERROR = 1.44  # of a median of an exponential law, in its mean and by the root of its number
TIED_FREQUENCIES = 1.5  # modes that the taper makes into one


class NoiseColour(NamedTuple):
    """Power of the noise at the highest frequencies over that just beyond any lens.

    It is 1 for white noise, less after a filter or an interpolation, and NaN where the lens leaves
    no frequency to the noise alone, or the frames do not differ.

    Attributes:
        ratio: that, without the noise of rounding, which is white after a filter, too.
        error: its standard error.
        rounding: share of the power at the highest frequencies that rounding alone makes, by
            `step^2 / 12` a pixel; small for a camera, 1 after a filter. Zero where ratio is NaN.
    """

    ratio: float
    error: float
    rounding: float = 0.0


def noise_colour(
    frames: Tensor, cutoff: float, step: float = 0.0, weight: Tensor | None = None
) -> NoiseColour:
    """The colour of the noise in what differs between the frames, and its standard error.

    Shot and read noise of single pixels are white, whatever the light. Means over neighbours, as
    filters and interpolations take them, leave less at the highest frequencies.

    Args:
        frames: (9, H, W) without background.
        cutoff: of the lens, cycles per raw pixel.
        step: between grey values.
        weight: (H, W) of the pixels, 0 where they hold no data; None: all alike.
    """
    if cutoff > WIDEST_CUTOFF:
        return NoiseColour(math.nan, math.inf)
    size = tuple(frames.shape[1:])
    shape = fast_shape(size)
    rows, columns = frequencies(shape, frames.device)
    columns = columns[:, : shape[1] // 2 + 1]
    radius, free = torch.hypot(rows, columns), torch.minimum(rows.abs(), columns.abs()) > LINES
    # Bright pixels hold most of the noise: all are brought to about the same.
    rest = frames - frames.mean(dim=0)
    light = gaussian(rest.square().sum(dim=0) / (len(frames) - 1), SMOOTHING)
    window = _window(size, light, weight)
    strength = power(torch.fft.rfft2(rest * window, s=shape)).mean(dim=0)
    rings = [free & (radius > low) & (radius < high) for low, high in (LOW_RING, HIGH_RING)]
    low, high = (float(strength[ring].mean()) for ring in rings)
    # The taper ties neighbouring frequencies.
    modes = [(len(frames) - 1) * float(ring.sum()) / 1.3 for ring in rings]
    one = power(torch.fft.rfft2(frames[0] * window, s=shape))[rings[0]].mean()
    if not low > ALL_ALIKE * float(one):
        return NoiseColour(math.nan, math.inf)
    error = math.sqrt(sum(1 / max(n, 1.0) for n in modes))
    rounding = step**2 / 12 * float(window.square().sum()) * (len(frames) - 1) / len(frames)
    share = rounding / max(high, 1e-30)
    # It brings the ratio nearer to 1. Where it is nearly all, it is left in.
    rounding = rounding if rounding < MOST_ROUNDING * min(low, high) else 0.0
    return NoiseColour((high - rounding) / (low - rounding), error * high / (low - rounding), share)


class CoarseNoise(NamedTuple):
    """Power of the noise at coarse detail over that of fine detail.

    It is 1 for a camera, less after any sharpening, and more where the frames differ by more than
    noise. NaN where they do not differ, or the lens leaves no frequency to the noise alone.

    Attributes:
        ratio: that.
        error: its standard error.
        middle, middle_error: the same of detail in between, which a deconvolution amplifies most.
    """

    ratio: float
    error: float
    middle: float
    middle_error: float


UNKNOWN = CoarseNoise(math.nan, math.inf, math.nan, math.inf)


def coarse_noise(
    frames: Tensor, beyond_any_lens: Tensor, cutoff: float, weight: Tensor | None = None
) -> CoarseNoise:
    """The noise at coarse detail, where the sample hides it in each frame, over that of fine one.

    The three phases of an orientation add up to a wide field, the same one for each orientation
    but for its noise. An unsharp mask or a deconvolution amplifies the fine part of this noise.
    The medians over two rings do not feel the remains of fringes, which only raise the ratio.

    Args:
        frames: (9, H, W) without background, orientation-major.
        beyond_any_lens: (9, H, W) of `noise.beyond_any_lens`.
        cutoff: of the lens, cycles per raw pixel.
        weight: (H, W) of the pixels, 0 where they hold no data; None: all alike.
    """
    if cutoff > WIDEST_CUTOFF:
        return UNKNOWN
    rest = orientation_rests(frames)
    size = tuple(frames.shape[1:])
    shape = fast_shape(size)
    rows, columns = frequencies(shape, frames.device)
    columns = columns[:, : shape[1] // 2 + 1]
    radius, free = torch.hypot(rows, columns), torch.minimum(rows.abs(), columns.abs()) > LINES
    variance = gaussian(beyond_any_lens.square().mean(dim=0), SMOOTHING)
    window = _window(size, variance, weight)
    strength = power(torch.fft.rfft2(rest * window, s=shape)).mean(dim=0)
    limits = (COARSE_RING, MIDDLE_RING, FINE_RING)
    rings = [free & (radius > low) & (radius < high) for low, high in limits]
    *others, fine = (float(strength[ring].median()) for ring in rings)
    if not fine > 0:
        return UNKNOWN
    modes = [(ORIENTATIONS - 1) * float(ring.sum()) / TIED_FREQUENCIES for ring in rings]
    values = []
    for level, count in zip(others, modes[:-1], strict=True):
        error = MEDIAN_ERROR * math.sqrt(1 / max(count, 1.0) + 1 / max(modes[-1], 1.0))
        values += [level / fine, error * level / fine]
    return CoarseNoise(*values)


def _window(size: tuple[int, int], variance: Tensor, weight: Tensor | None) -> Tensor:
    """Taper (H, W) that brings the noise of all pixels to about the same."""
    window = taper(size, variance.device).to(variance) / variance.clamp(min=1e-30).sqrt()
    return window if weight is None else window * weight
