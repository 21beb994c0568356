"""The light that bright spots spread over the field around them: haze, and the foot of the PSF."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.optimize import nnls
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.sensor.missing import filled

__all__ = ["spot_haze"]

HAZE_SIGMAS = (6.0, 8.0, 11.0, 15.0, 20.0)  # raw pixels, one of which a field has
MOST_HAZE = 1.0  # of the light of a spot
FOOT = 0.7  # raw pixels: a lens puts FOOT / (2 pi r^3) of a spot's light at a distance r
FOOT_FROM, FOOT_REACH = 6.0, 48  # raw pixels: it is flat within, and cut off
STRUCTURE_SIGMA = 10.0  # raw pixels, over which the structure is averaged
ENVELOPE = 0.1  # share of the pixels that are darker than haze and structure make them
NOISE_SIGMA = 1.5  # raw pixels, of the frames that are fitted
BESIDE, FIT_REACH, STEP = 0.9, 40, 3  # dimming, distance and spacing of the pixels that are fitted
ITERATIONS, SMALLEST_REST = 20, 0.02  # of the fit; share of the light's standard deviation


def spot_haze(stack: MeasuredFrames, dimming: Tensor | None) -> Tensor | None:
    """Light (H, W), in counts, that spots spread beyond themselves, the same in all frames.

    With B the light of the spots, 1 - dimming times the mean of the frames, it is

        foot * B + c G_s * B,    foot = FOOT / (2 pi r^3),   0 <= c <= 1,

    G_s a Gaussian of one of `HAZE_SIGMAS`. The first term is what any lens with a cusp in its
    transfer function leaves far from a point, of usual aberrations. The haze is fitted to the
    darkest pixels around the spots: c, s, a constant d, and a share e of the structure minimise the
    quantile loss, of the quantile `ENVELOPE`, of

        mean of the frames - foot * B - c G_s * B - d - e A.

    A is the light that the fringes modulate, which haze is not: the root of the variance over the
    phases, less that of the noise, averaged. Without it, a spot in a dense part of a cell would
    seem to have haze. One profile for all spots keeps their neighbours apart.

    Args:
        stack: the frames with the spots.
        dimming: (H, W), see `spots.dimming`; None: there are no spots, and no haze of theirs.

    Source: Koenker & Bassett, Econometrica 46, 33 (1978), for quantile regression.
    """
    if dimming is None:
        return None
    from scipy.signal import fftconvolve  # slow to load

    factor = dimming.double().cpu().numpy()
    light = stack.frames.mean(dim=0).double().cpu().numpy()
    spots = (1 - factor) * light
    foot = fftconvolve(spots, _foot(), mode="same")
    near = distance_transform_edt(factor > 0.5) < FIT_REACH
    fitted = np.zeros(light.shape, bool)
    fitted[::STEP, ::STEP] = (near & (factor > BESIDE))[::STEP, ::STEP]
    rest = (gaussian_filter(light, NOISE_SIGMA) - foot)[fitted]
    if len(rest) < 10:
        return torch.from_numpy(foot).to(stack.frames)
    ones = np.ones_like(rest)
    others = [_structure(stack, dimming)[fitted], ones, -ones]
    best = (np.inf, foot)
    for sigma in HAZE_SIGMAS:
        haze = gaussian_filter(spots, sigma, mode="constant")
        shares, loss = _envelope(np.stack([haze[fitted], *others], axis=1), rest)
        if loss < best[0]:
            best = loss, foot + min(shares[0], MOST_HAZE) * haze
    return torch.from_numpy(best[1]).to(stack.frames)


def _foot() -> NDArray:
    offsets = np.arange(-FOOT_REACH, FOOT_REACH + 1)
    radius = np.maximum(np.hypot(offsets[:, None], offsets), FOOT_FROM)
    return FOOT / (2 * np.pi * radius**3)


def _structure(stack: MeasuredFrames, dimming: Tensor) -> NDArray:
    """The light that the fringes modulate around each pixel (H, W), continued over the spots."""
    frames = stack.frames.unflatten(0, (ORIENTATIONS, PHASES))
    level, rise = stack.noise_line
    noise = level + (rise if rise > 0 else 0.0) * stack.frames.mean(dim=0).clamp(min=0.0)
    power = frames.var(dim=1).mean(dim=0) - noise
    power = filled(power[None], dimming < BESIDE)[0].double().cpu().numpy()
    return np.sqrt(np.clip(gaussian_filter(power, STRUCTURE_SIGMA), 0.0, None))


def _envelope(parts: NDArray, light: NDArray) -> tuple[NDArray, float]:
    """Shares (k,), none negative, of the parts (n, k) that lie below most of the light (n,).

    Returns:
        The shares and the quantile loss, which reweighted least squares make small.
    """
    weight, smallest = np.ones_like(light), max(SMALLEST_REST * light.std(), 1e-12)
    for _ in range(ITERATIONS):
        root = np.sqrt(weight)
        shares, _ = nnls(parts * root[:, None], light * root)
        rest = light - parts @ shares
        slope = np.where(rest > 0, ENVELOPE, 1 - ENVELOPE)
        weight = slope / np.maximum(abs(rest), smallest)
    return shares, float((slope * abs(rest)).sum())
