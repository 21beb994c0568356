"""Does the stated uncertainty match the errors, and which temperature predicts best?"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.utils.errors import InputError

__all__ = [
    "Ratio",
    "choose_temperature",
    "gaussian_log_density",
    "held_out_log_density",
    "ratio_of_means",
    "variance_scale",
]


class Ratio(NamedTuple):
    """A ratio of two means and its standard error."""

    value: float
    error: float


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


def choose_temperature(log_likelihoods: dict[float, float]) -> float:
    """The temperature of the best held-out log predictive density; of equals, the lowest.

    Args:
        log_likelihoods: temperature -> mean log predictive density of held-out pixels. A
            non-finite one (a diverged chain) is never chosen.

    Raises:
        InputError: no temperature has a finite density.

    Source: Wenzel et al., ICML 2020; the step-1 energy is not a likelihood, so its temperature is
    a choice, not 1 by right.
    """
    finite = {t: value for t, value in log_likelihoods.items() if math.isfinite(value)}
    if not finite:
        raise InputError(
            f"no temperature of {sorted(log_likelihoods)} has a finite held-out likelihood: "
            "use a smaller step or lower temperatures"
        )
    return min(finite, key=lambda temperature: (-finite[temperature], temperature))


def ratio_of_means(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """`<a> / <b>` of independent draws, with the standard error of first order.

    `error = value sqrt(var(a) / (n <a>^2) + var(b) / (m <b>^2))`

    Args:
        numerator, denominator: positive numbers, such as the mean square error of patches.

    Raises:
        InputError: fewer than two numbers, which tell no spread.
    """
    means, relative = [], 0.0
    for values in (numerator, denominator):
        if len(values) < 2:
            raise InputError(f"a ratio of means needs two numbers or more, found {len(values)}")
        drawn = torch.tensor(values, dtype=torch.float64)
        means.append(drawn.mean().item())
        relative += drawn.var().item() / (len(values) * means[-1] ** 2)
    value = means[0] / means[1]
    return Ratio(value, value * math.sqrt(relative))


def _not_empty(z: Tensor) -> Tensor:
    if z.numel() == 0:
        raise InputError("expected at least one pixel to calibrate on, found none")
    return z


def held_out_log_density(error: Tensor, spread: Tensor) -> float:
    """Mean log density of held-out pixels under the draws of a short chain.

    The predictive variance is the draws' own variance plus one residual variance, the one of
    fifty (2 % to 100 % of the mean square error) that suits the pixels best: before step 2 there
    is no tail to say it. Draws that spread where the errors are raise the density; draws that
    only lost accuracy lower it.

    Args:
        error: `target - mean of the draws`, any shape.
        spread: variance of the draws, same shape.

    Returns:
        Nats per pixel.
    """
    residuals = variance_scale(error) * torch.linspace(0.02, 1.0, 50)
    zero = torch.zeros((), dtype=error.dtype)
    densities = [gaussian_log_density(error, zero, spread + r).mean() for r in residuals.tolist()]
    return torch.stack(densities).max().item()
