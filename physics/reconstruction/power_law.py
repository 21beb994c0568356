"""The power of a sample as a power law of frequency, fitted to what a Wiener filter adds up."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.physics.illumination import PHASES
from bayesdl_sim.physics.patterns.bands import power, ring_index

__all__ = ["PowerLaw", "noise_level", "power_law", "power_of", "whole_shape"]

REFERENCE = 0.05  # cycles per pixel of the 2x grid, where power laws are compared
STEPS, LONGEST, SHORTEST = 60, 2.0, 1e-7  # of the fit


class PowerLaw(NamedTuple):
    """Power of a sample `exp(height) (f / 0.05)^-slope`, as measured on so much of a field."""

    height: float
    slope: float
    area: float  # raw pixels, weighed by the squared fade of the edges


def whole_shape(half: Tensor) -> tuple[int, int]:
    """The shape of the image, of even width, that a half plane of `rfft2` belongs to."""
    return half.shape[0], 2 * (half.shape[1] - 1)


def noise_level(noise: float, area: float) -> float:
    """Power of the noise before the filter, at each frequency.

    16: the spectrum of the interpolated field has four times the values of the camera's.
    """
    return 16 * noise / PHASES * area


def power_law(signal: Tensor, gain: Tensor, noise: float, area: float) -> PowerLaw:
    """Power of the sample `a f^-b` at every frequency, by maximum likelihood (Whittle).

    The numerator's expected power is `sample gain^2 + level gain`, `gain` the power of the filter:
    the power law is fitted to its ring means, which follow a gamma law.
    """
    index, level = _rings(gain), noise_level(noise, area)
    shape = whole_shape(gain)
    both = torch.full_like(gain, 2.0)  # a place of the half plane stands for its opposite, too
    both[:, 0] = both[:, -1] = 1.0
    seen, squared, passed = (
        torch.bincount(index.flatten(), weights=(both * image).flatten())
        for image in (power(signal), gain**2, gain)
    )
    count = torch.bincount(index.flatten(), weights=both.flatten())
    means = [total / count.clamp(min=1) for total in (seen, squared, level * passed)]
    used = (means[1] > 1e-6 * means[1].max()) & (_ring_radius(shape, seen) * min(shape) >= 2)
    n, s, g, e = (v[used].double().cpu().numpy() for v in (count, *means))
    x = torch.log(_ring_radius(shape, seen) / REFERENCE)[used].cpu().numpy()
    start = np.log(max((s - e).sum(), 1e-3 * e.sum()) / (g * np.exp(-2 * x)).sum())
    return PowerLaw(*_likeliest(np.array([start, 2.0]), x, n, s, g, e), area)


def _likeliest(
    law: NDArray, x: NDArray, n: NDArray, s: NDArray, g: NDArray, e: NDArray
) -> tuple[float, float]:
    """Height and slope of the least `sum n (ln m + s / m)`, `m = g exp(height - slope x) + e`.

    Steps of Fisher scoring, as long as they make it smaller.

    Args:
        law: to begin with.
    """

    def model(law: NDArray) -> NDArray:
        return g * np.exp(np.clip(law[0] - law[1] * x, -300, 300))

    def misfit(law: NDArray) -> float:
        m = model(law) + e
        return float((n * (np.log(m) + s / m)).sum() / n.sum())

    terms, least = np.stack([np.ones_like(x), -x]), misfit(law)
    for _ in range(STEPS):
        light = model(law)
        share = light / (light + e)
        push = terms @ (n * share * (s / (light + e) - 1))
        bend = (terms * (n * share**2)) @ terms.T
        step = np.linalg.lstsq(bend, push, rcond=1e-9)[0]
        step *= min(1.0, LONGEST / max(float(np.abs(step).max()), 1e-30))
        while (tried := misfit(law + step)) > least and np.abs(step).max() > SHORTEST:
            step = 0.5 * step
        if tried > least:
            break
        law, least = law + step, tried
        if np.abs(step).max() < SHORTEST:
            break
    return float(law[0]), float(law[1])


def power_of(law: PowerLaw, area: float, gain: Tensor) -> Tensor:
    """The power law at the frequencies of a filter, for a field of another area."""
    shape, index = whole_shape(gain), _rings(gain)
    rings = torch.arange(int(index.max()) + 1, device=gain.device)
    height = law.height + math.log(area / law.area)
    log_radius = torch.log(_ring_radius(shape, rings) / REFERENCE)
    return torch.exp((height - law.slope * log_radius).clamp(-300, 300))[index]


def _rings(gain: Tensor) -> Tensor:
    """The ring of each frequency of a half plane, see `bands.ring_index`."""
    shape = whole_shape(gain)
    return ring_index(shape, 1.0 / min(shape), gain.device)[:, : gain.shape[1]]


def _ring_radius(shape: tuple[int, int], rings: Tensor) -> Tensor:
    """Frequencies of the rings, cycles per pixel of the 2x grid; never zero."""
    return torch.arange(len(rings), device=rings.device).double().clamp(min=0.5) / min(shape)
