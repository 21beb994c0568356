"""Likelihoods of step 2: distribution of a pixel by the maps of the tail, given the mean.

The tail's channels are `log sigma^2` (gauss), `log b` (laplace), or `log lambda` and `log nu`
(student: precision and degrees of freedom), as in the released training code. A network that was
distilled from a posterior (`bayes.distillation`) gives the log-variances of the data and of the
model; together they are a Gaussian of the total variance.
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import torch
from scipy.special import stdtrit
from torch import Tensor

from bayesdl_sim.utils.errors import InputError

__all__ = [
    "DISTILLED",
    "LIKELIHOODS",
    "Likelihood",
    "find_likelihood",
    "gauss_nll",
    "interval_half_width",
    "laplace_nll",
    "standard_deviation",
    "student_nll",
]


class Likelihood(NamedTuple):
    """One family of pixel distributions, centred at the mean.

    Attributes:
        nll: `(mean, parameters, target) -> scalar`, negative log-likelihood per pixel.
        standard_deviation: `parameters -> map`, in units of the normalised intensity.
        half_width: `(parameters, level) -> map`, half the width of the central interval of that
            probability, in the same units.
    """

    nll: Callable[[Tensor, Tensor, Tensor], Tensor]
    standard_deviation: Callable[[Tensor], Tensor]
    half_width: Callable[[Tensor, float], Tensor]


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
    _require_one_shape("log-variance", mean, log_var, target)
    mean, log_var, target = (_full_precision(image) for image in (mean, log_var, target))
    squares = (target - mean) ** 2 * torch.exp(-log_var)
    return 0.5 * (math.log(2 * math.pi) + (log_var + squares).mean())


def laplace_nll(mean: Tensor, log_scale: Tensor, target: Tensor) -> Tensor:
    """Laplace negative log-likelihood, averaged over pixels.

    `< log 2 + log b + |target - mean| / b >`; precision, shapes and errors as `gauss_nll`.

    Args:
        mean: (B, 1, 2H, 2W), normalised intensity.
        log_scale: `log b`, same shape.
        target: same shape.
    """
    _require_one_shape("log-scale", mean, log_scale, target)
    mean, log_scale, target = (_full_precision(image) for image in (mean, log_scale, target))
    distances = (target - mean).abs() * torch.exp(-log_scale)
    return math.log(2) + (log_scale + distances).mean()


def student_nll(mean: Tensor, parameters: Tensor, target: Tensor) -> Tensor:
    """Student-t negative log-likelihood, averaged over pixels.

    With precision `lambda` and `nu` degrees of freedom,
    `< log G(nu/2) - log G((nu+1)/2) + log(nu pi / lambda) / 2
    + (nu+1)/2 log(1 + lambda (target - mean)^2 / nu) >`; precision and errors as `gauss_nll`.

    Args:
        mean: (B, 1, 2H, 2W), normalised intensity.
        parameters: (B, 2, 2H, 2W), `log lambda` and `log nu`.
        target: true values, of the shape of the mean.
    """
    log_precision, log_freedom = _student_maps(parameters)
    _require_one_shape("log-precision", mean, log_precision, target)
    mean, target = _full_precision(mean), _full_precision(target)
    freedom = torch.exp(log_freedom)
    norm = torch.lgamma(0.5 * freedom) - torch.lgamma(0.5 * (freedom + 1))
    norm = norm + 0.5 * (math.log(math.pi) + log_freedom - log_precision)
    squares = (target - mean) ** 2 * torch.exp(log_precision - log_freedom)
    return (norm + 0.5 * (freedom + 1) * torch.log1p(squares)).mean()


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
    _require_level(level)
    return NormalDist().inv_cdf(0.5 * (1 + level))


def standard_deviation(kind: str, parameters: Tensor) -> Tensor:
    """Standard deviation map of a likelihood.

    gauss `exp(log_var / 2)`; laplace `sqrt(2) b`; student `sqrt(nu / (nu - 2) / lambda)`, which
    is infinite for two degrees of freedom or fewer.

    Args:
        kind: key of `LIKELIHOODS`, or `DISTILLED` for the total of a distilled network.
        parameters: the tail's output for that likelihood, (B, 1 or 2, 2H, 2W).

    Returns:
        (B, 1, 2H, 2W), in units of the normalised intensity, float32 or float64.

    Raises:
        InputError: unknown likelihood, or not its number of channels.
    """
    return find_likelihood(kind).standard_deviation(parameters)


def find_likelihood(kind: str) -> Likelihood:
    """Looks a likelihood up by the name given on the command line; `InputError` if unknown."""
    if kind == DISTILLED:
        return _DISTILLED
    if kind not in LIKELIHOODS:
        known = ", ".join(sorted(LIKELIHOODS))
        raise InputError(f"unknown likelihood {kind!r}: choose one of {known}")
    return LIKELIHOODS[kind]


def _gauss_deviation(log_var: Tensor) -> Tensor:
    return torch.exp(0.5 * _full_precision(log_var))


def _gauss_half_width(log_var: Tensor, level: float) -> Tensor:
    return interval_half_width(level) * _gauss_deviation(log_var)


def _laplace_deviation(log_scale: Tensor) -> Tensor:
    return math.sqrt(2) * torch.exp(_full_precision(log_scale))


def _laplace_half_width(log_scale: Tensor, level: float) -> Tensor:
    _require_level(level)
    return -math.log1p(-level) * torch.exp(_full_precision(log_scale))


def _student_deviation(parameters: Tensor) -> Tensor:
    log_precision, log_freedom = _student_maps(parameters)
    freedom = torch.exp(log_freedom)
    # A clamped denominator of zero gives the infinity that the variance has there.
    variance = freedom / (freedom - 2).clamp(min=0) * torch.exp(-log_precision)
    return variance.sqrt()


def _student_half_width(parameters: Tensor, level: float) -> Tensor:
    _require_level(level)
    log_precision, log_freedom = _student_maps(parameters)
    freedom = torch.exp(log_freedom).detach().cpu().double().numpy()
    quantile = torch.as_tensor(stdtrit(freedom, 0.5 * (1 + level))).to(log_precision)
    return quantile * torch.exp(-0.5 * log_precision)


def _student_maps(parameters: Tensor) -> tuple[Tensor, Tensor]:
    if parameters.ndim != 4 or parameters.shape[1] != 2:
        raise InputError(
            "a Student-t likelihood takes two maps (log-precision and log-degrees of freedom), "
            f"expected (B, 2, 2H, 2W), found {tuple(parameters.shape)}"
        )
    parameters = _full_precision(parameters)
    return parameters[:, :1], parameters[:, 1:]


def _distilled_log_var(parameters: Tensor) -> Tensor:
    """`log(sigma_data^2 + sigma_model^2)`: (B, 2, 2H, 2W) -> (B, 1, 2H, 2W)."""
    return torch.logsumexp(_full_precision(parameters), dim=1, keepdim=True)


def _require_one_shape(what: str, mean: Tensor, parameter: Tensor, target: Tensor) -> None:
    if not mean.shape == parameter.shape == target.shape:
        raise InputError(
            f"mean, {what} and target must have the same shape, found "
            f"{tuple(mean.shape)}, {tuple(parameter.shape)} and {tuple(target.shape)}"
        )


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"an interval's level must lie between 0 and 1, found {level}")


def _full_precision(image: Tensor) -> Tensor:
    return image if image.dtype == torch.float64 else image.float()


# A new likelihood is one `nll`, one deviation and one interval, entered here.
LIKELIHOODS = {
    "gauss": Likelihood(gauss_nll, _gauss_deviation, _gauss_half_width),
    "laplace": Likelihood(laplace_nll, _laplace_deviation, _laplace_half_width),
    "student": Likelihood(student_nll, _student_deviation, _student_half_width),
}

DISTILLED = "distilled"
# Not one that step 2 fits, and so not among the others.
_DISTILLED = Likelihood(
    lambda mean, parameters, target: gauss_nll(mean, _distilled_log_var(parameters), target),
    lambda parameters: _gauss_deviation(_distilled_log_var(parameters)),
    lambda parameters, level: _gauss_half_width(_distilled_log_var(parameters), level),
)
