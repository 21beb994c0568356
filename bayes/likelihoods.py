"""Likelihoods of step 2: what the tail's maps say about a pixel, given the mean."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.checks import InputError

__all__ = [
    "LIKELIHOODS",
    "Likelihood",
    "find_likelihood",
    "gauss_nll",
    "interval_half_width",
    "soft_bound",
    "standard_deviation",
]


class Likelihood(NamedTuple):
    """One family of pixel distributions, centred at the mean.

    Attributes:
        nll: `(mean, parameters, target) -> scalar`, negative log-likelihood per pixel.
        standard_deviation: `parameters -> map`, in units of the normalised intensity.
        half_width: `level -> float`, half the width of the central interval of that probability,
            in standard deviations.
    """

    nll: Callable[[Tensor, Tensor, Tensor], Tensor]
    standard_deviation: Callable[[Tensor], Tensor]
    half_width: Callable[[float], float]


def gauss_nll(mean: Tensor, log_var: Tensor, target: Tensor) -> Tensor:
    """Gaussian negative log-likelihood, averaged over pixels.

    `< log(2 pi) / 2 + log_var / 2 + (target - mean)^2 exp(-log_var) / 2 >`, computed in float32
    (float64 stays float64), also under autocast: the square of a small residual times a large
    precision does not survive bf16.

    Args:
        mean: (B, 1, 2H, 2W), normalised intensity.
        log_var: natural logarithm of the variance, same shape.
        target: same shape.

    Returns:
        A scalar tensor, in nats per pixel.

    Raises:
        InputError: the shapes differ (broadcasting would average over the wrong pixels).
    """
    if not mean.shape == log_var.shape == target.shape:
        raise InputError(
            "mean, log-variance and target must have one shape, found "
            f"{tuple(mean.shape)}, {tuple(log_var.shape)} and {tuple(target.shape)}"
        )
    mean, log_var, target = (_full_precision(image) for image in (mean, log_var, target))
    squares = (target - mean) ** 2 * torch.exp(-log_var)
    return 0.5 * (math.log(2 * math.pi) + (log_var + squares).mean())


def soft_bound(x: Tensor, low: float, high: float) -> Tensor:
    """Squeezes `x` smoothly and monotonically between two bounds.

    `y = low + softplus(x - low) - softplus(x - high)`: the identity well inside, `low` and `high`
    far outside. The slope `sigmoid(x - low) - sigmoid(x - high)` is positive everywhere, so a
    pixel that has left the range can still come back, which it cannot after `clamp`.

    Args:
        x: any shape, for example the raw log-variance of the tail.
        low: lower bound.
        high: upper bound, above `low`.

    Returns:
        A tensor like `x`, within [low, high].

    Raises:
        InputError: the bounds are not in order.
    """
    if not low < high:
        raise InputError(f"the lower bound must lie below the upper one, found {low} and {high}")
    # By symmetry both halves are written from their nearer bound: the same formula, but its
    # slope does not cancel to zero in float32 far above `high`.
    lower_half = x < 0.5 * (low + high)
    inside = torch.where(lower_half, x - low, high - x)  # distance to the nearer bound
    moved = F.softplus(inside) - F.softplus(inside - (high - low))
    return torch.where(lower_half, low + moved, high - moved)


def interval_half_width(level: float = 0.9) -> float:
    """Half-width of the central Gaussian interval, in standard deviations.

    `z` with `P(|x| <= z) = level`: 1.645 for 90 %.

    Args:
        level: probability inside, between 0 and 1 (both excluded).

    Returns:
        `z`, positive.

    Raises:
        InputError: the level is no such probability.
    """
    if not 0 < level < 1:
        raise InputError(f"an interval's level must lie between 0 and 1, found {level}")
    return NormalDist().inv_cdf(0.5 * (1 + level))


def standard_deviation(kind: str, parameters: Tensor) -> Tensor:
    """Standard deviation map of a likelihood (`gauss`: `exp(log_var / 2)`).

    Args:
        kind: key of `LIKELIHOODS`.
        parameters: the tail's output for that likelihood; (B, 1, 2H, 2W) for `gauss`.

    Returns:
        (B, 1, 2H, 2W), in units of the normalised intensity, float32 or float64.

    Raises:
        InputError: unknown likelihood.
    """
    return find_likelihood(kind).standard_deviation(parameters)


def find_likelihood(kind: str) -> Likelihood:
    """Looks a likelihood up by the name given on the command line; `InputError` if unknown."""
    if kind not in LIKELIHOODS:
        known = ", ".join(sorted(LIKELIHOODS))
        raise InputError(f"unknown likelihood {kind!r}: choose one of {known}")
    return LIKELIHOODS[kind]


def _gauss_deviation(log_var: Tensor) -> Tensor:
    return torch.exp(0.5 * _full_precision(log_var))


def _full_precision(image: Tensor) -> Tensor:
    return image if image.dtype == torch.float64 else image.float()


# A new likelihood is one `nll`, one deviation and one quantile, entered here.
LIKELIHOODS = {
    "gauss": Likelihood(gauss_nll, _gauss_deviation, interval_half_width),
}
