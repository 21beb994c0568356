"""Match between the stated uncertainty and the errors of held-out pixels."""

import math

import torch
from torch import Tensor

from bayesdl_sim.utils.errors import InputError

__all__ = [
    "gaussian_log_density",
    "variance_scale",
]


def variance_scale(z: Tensor) -> float:
    """The one factor `c^2` on the variances that maximises the Gaussian likelihood.

    `c^2 = <z^2>`, from setting the derivative of `<log c^2 + z^2 / c^2>` to zero; 1 if calibrated,
    larger if overconfident.

    Args:
        z: standardised errors `(target - mean) / total` of data kept out of training.

    Returns:
        `c^2`; multiply standard deviations by its root.

    Raises:
        InputError: no pixels.

    Source: Laves et al., MELBA 1, 26 (2021), "sigma scaling".
    """
    return float(_not_empty(z).double().square().mean())


def gaussian_log_density(target: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Log density of each target pixel under the Gaussian predictive distribution.

    `-(log(2 pi variance) + (target - mean)^2 / variance) / 2`

    Args:
        target: (B, 1, 2H, 2W), normalised intensity.
        mean: predictive mean, same shape.
        variance: predictive (total) variance, same shape, positive.

    Returns:
        A map in nats; average it over held-out pixels to compare posteriors.
    """
    return -0.5 * (torch.log(2 * math.pi * variance) + (target - mean).square() / variance)


def _not_empty(z: Tensor) -> Tensor:
    if z.numel() == 0:
        raise InputError("expected at least one pixel to calibrate on, found none")
    return z
