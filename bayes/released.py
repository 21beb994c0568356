"""The released predictive statistics, for comparison with results of the released code only."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from bayesdl_sim.bayes.likelihoods import standard_deviation
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.utils.errors import InputError

__all__ = ["predict_released", "released_deviation"]


@torch.no_grad()
def predict_released(
    members: Iterable[Callable[[Tensor], tuple[Tensor, Tensor | None]]],
    raw: Tensor,
    likelihood: str = "gauss",
) -> Prediction:
    """Mean and uncertainties with the arithmetic of the released code, in its order in float32.

    With `x_k` the means clipped to [0, 1] and `s_k` the members' standard deviations,

        mean = sum_k x_k / K,  epistemic^2 = sum_k (x_k - mean)^2 / K,  aleatoric = sum_k s_k / K.

    `bayes.prediction.predict` differs in all three: it clips nothing, averages variances, and
    divides by K - 1. The released code has no total; here it is `sqrt(aleatoric^2 + epistemic^2)`.
    Nor does this filter the aleatoric map where it exceeds 0.333, which the released code tries
    and fails at (the library that its filter calls is not imported).

    Args:
        members: posterior draws, each a function `raw -> (mean, parameters or None)`. Their means
            are all kept, since the released spread needs the mean first.
        raw: frames (B, 9, H, W), min-max normalised.
        likelihood: what the second output parametrises, a key of `bayes.likelihoods.LIKELIHOODS`.

    Returns:
        `Prediction` in float32.

    Raises:
        InputError: no members, or members with and without a tail mixed.

    Source: demo_test.py of the released code (github.com/HUST-Tan/BayesDL-SIM).
    """
    means, deviations = [], []
    for member in members:
        mean, parameters = member(raw)
        means.append(mean.float().clamp(0, 1))
        if parameters is not None:
            deviations.append(released_deviation(likelihood, parameters))
    if not means:
        raise InputError("expected at least one member, found none")
    if len(deviations) not in (0, len(means)):
        raise InputError(
            f"{len(deviations)} of {len(means)} members have an uncertainty tail: use members of "
            "one run"
        )
    mean = _average(means)
    variance = _average([(x - mean).square() for x in means])
    epistemic = variance.double().sqrt().float()  # torch's float32 root errs in the last bit
    aleatoric = _average(deviations) if deviations else torch.zeros_like(mean)
    return Prediction(mean, aleatoric, epistemic, (aleatoric.square() + epistemic.square()).sqrt())


def released_deviation(likelihood: str, parameters: Tensor) -> Tensor:
    """What the released code takes for the standard deviation of a likelihood.

    gauss `exp(log_var / 2)`, as it is; laplace `b` (the standard deviation is `sqrt(2) b`);
    student `sqrt((nu + 2) / nu / lambda)`, as if the network had learnt `nu - 2`, although it was
    trained with `nu`.

    Args:
        likelihood: key of `bayes.likelihoods.LIKELIHOODS`.
        parameters: the tail's output, (B, 1 or 2, 2H, 2W).

    Returns:
        (B, 1, 2H, 2W) in float32.
    """
    parameters = parameters.float()
    if likelihood == "laplace":
        return parameters.exp()
    if likelihood == "student":
        log_precision, log_freedom = parameters.split(1, dim=1)
        half_log = torch.log(torch.exp(log_freedom) + 2) - log_precision - log_freedom
        return torch.exp(0.5 * half_log)
    return standard_deviation(likelihood, parameters)


def _average(maps: list[Tensor]) -> Tensor:
    """Added one after the other and divided at the end, so that each rounding is the released."""
    total = maps[0].clone()
    for image in maps[1:]:
        total += image
    return total / len(maps)
