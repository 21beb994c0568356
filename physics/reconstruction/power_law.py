"""The power of a sample as a power law of frequency, fitted to what a Wiener filter adds up."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from bayesdl_sim.physics.illumination import PHASES
from bayesdl_sim.physics.patterns.bands import power, ring_index

__all__ = ["PowerLaw", "noise_level", "power_law", "power_of", "whole_shape"]

REFERENCE = 0.05  # cycles per pixel of the 2x grid, where power laws are compared


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
    # A place of the half plane stands for its opposite, too.
    multiplicity = torch.full_like(gain, 2.0)
    multiplicity[:, 0] = multiplicity[:, -1] = 1.0
    signal_power, squared, passed = (
        torch.bincount(index.flatten(), weights=(multiplicity * image).flatten())
        for image in (power(signal), gain**2, gain)
    )
    count = torch.bincount(index.flatten(), weights=multiplicity.flatten())
    means = [total / count.clamp(min=1) for total in (signal_power, squared, level * passed)]
    radius = _ring_radius(shape, signal_power)
    used = (means[1] > 1e-6 * means[1].max()) & (radius * min(shape) >= 2)
    n, s, g, e = (v[used].double().cpu().numpy() for v in (count, *means))
    x = torch.log(radius / REFERENCE)[used].cpu().numpy()

    def misfit(law: NDArray) -> float:
        model = g * np.exp(np.clip(law[0] - law[1] * x, -300, 300)) + e
        return float((n * (np.log(model) + s / model)).sum() / n.sum())

    start = np.log(max((s - e).sum(), 1e-3 * e.sum()) / (g * np.exp(-2 * x)).sum())
    height, slope = minimize(misfit, [start, 2.0], method="Nelder-Mead").x
    return PowerLaw(float(height), float(slope), area)


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
