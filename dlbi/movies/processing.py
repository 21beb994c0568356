"""What programs leave in the noise of a movie: averages of frames, filters, compression."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.dlbi.moments.noise import noise_line
from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.physics.checks.stored_values import grey_step, neighbour_ties
from bayesdl_sim.physics.patterns.bands import half_plane_radius

__all__ = ["noise_colour", "noise_memory", "processing_notes"]

# Cycles per pixel: the corners of the spectrum, where no spot of usual width leaves anything.
INNER, OUTER = (0.57, 0.63), 0.64
# Noise power in the outer corners over the inner ones. In 150 simulated movies it was at least
# 0.84. A Gaussian filter with a sigma of 0.5 pixels leaves 0.8, one of 1 pixel 0.05, JPEG 0.45 to
# 0.6.
LEAST_COLOUR = 0.72
# Power of the noise between neighbouring frames over that between frames two apart. It was at least
# 0.88 in the same movies; averages of 2 or 3 frames and interpolated frames have 0.4 to 0.53.
LEAST_MEMORY = 0.75
CERTAIN = 4.0  # standard errors by which a measure has to be below 1
TAPERED = 1.5  # independent values that a Hann window along both axes makes into one
SHARED = 3.0  # differences of frames that share frames, per independent one
# Neighbours of one value over those expected of noise; see `neighbour_ties`.
MOST_TIES = 2.0
FEWEST = 4  # frames
SAFE_ADVICE = "use the frames as the camera recorded them"


def processing_notes(frames: Tensor, moments: Moments, sigma: float) -> list[str]:
    """Sentences on what was done to the frames after the camera.

    Args:
        frames: (n, H, W) consecutive frames as they were recorded, such as the first ones.
        moments: of the whole movie.
        sigma: standard deviation of the spots in camera pixels.
    """
    notes = []
    if len(frames) < FEWEST:
        return notes
    if _stretched(frames):
        notes.append(
            "the brightest and the darkest value are the same in every frame, as where each frame "
            f"was stretched to its own range: brightness then is not comparable, {SAFE_ADVICE}"
        )
    if _is_below(*noise_memory(frames), LEAST_MEMORY):
        notes.append(
            "neighbouring frames share their noise, as after a running average or where frames "
            f"were interpolated: {SAFE_ADVICE}"
        )
    light = frames.mean(dim=0)
    if neighbour_ties(frames, light, grey_step(frames)) > MOST_TIES:
        notes.append(
            "neighbouring pixels have the same value too often, as after a median filter: the "
            f"result cannot be trusted, {SAFE_ADVICE}"
        )
    elif _is_below(*noise_colour(moments), LEAST_COLOUR):
        notes.append(
            "the noise lacks its finest detail, as after smoothing, denoising or compression "
            f"(JPEG, video): the result cannot be trusted, {SAFE_ADVICE}"
        )
    elif not noise_line(moments, sigma)[0] > 0:
        notes.append(
            "the noise does not grow with the light, as that of counts does: were the values "
            f"stored with a gamma, or is there hardly any light? Else {SAFE_ADVICE}"
        )
    return notes


def noise_colour(moments: Moments) -> tuple[float, float]:
    """Noise power at the highest frequencies over that just below, and its standard error.

    It is 1 for white noise. Both rings lie beyond what spots pass; the spectrum is that of
    differences of frames.
    """
    radius = half_plane_radius(tuple(moments.mean.shape), moments.mean.device)
    low, high = (radius > INNER[0]) & (radius < INNER[1]), radius > OUTER
    power = moments.spectrum
    if not bool(high.any()) or not float(power[low].mean()) > 0:
        return 1.0, math.inf
    error = (TAPERED * SHARED / moments.frames * (1 / int(low.sum()) + 1 / int(high.sum()))) ** 0.5
    return float(power[high].mean() / power[low].mean()), error


def noise_memory(frames: Tensor) -> tuple[float, float]:
    """Noise between neighbouring frames over that between frames two apart, and its error.

    It is 1 where the noise of every frame is its own, whatever blinks.
    """
    height, width = frames.shape[1:]
    outside = half_plane_radius((height, width), frames.device) > INNER[0]
    window = torch.hann_window(height + 2)[1:-1, None] * torch.hann_window(width + 2)[1:-1]
    powers = []
    for step in (1, 2):
        difference = (frames[step:] - frames[:-step])[: len(frames) - 2]
        difference = (difference - difference.mean((1, 2), keepdim=True)) * window
        powers.append(float(torch.fft.rfft2(difference).abs().square()[:, outside].mean()))
    error = (TAPERED * SHARED / ((len(frames) - 2) * int(outside.sum()))) ** 0.5
    return (powers[0] / powers[1], error) if powers[1] > 0 else (1.0, math.inf)


def _is_below(value: float, error: float, limit: float) -> bool:
    return value < limit and 1 - value > CERTAIN * error


def _stretched(frames: Tensor) -> bool:
    """Whether all frames have one and the same largest and smallest value."""
    extremes = (frames.amax((1, 2)), frames.amin((1, 2)))
    return all(bool((values == values[0]).all()) for values in extremes)
