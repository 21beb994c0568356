"""The released noise and predictive statistics, for comparison with the released code only."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from bayesdl_sim.bayes.likelihoods import standard_deviation
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.bayes.sgld import standard_noise
from bayesdl_sim.utils.errors import InputError

__all__ = ["ReleasedNoise", "predict_released", "released_deviation"]


class ReleasedNoise:
    """The rule of the released code, for comparison only (the posterior "released").

    After an Adam step, in the last `noisy` of every `period` epochs, `w <- w + 2 lr xi` for the
    4-D weights. This is not Langevin dynamics. A Langevin step of size `h` has noise of variance
    `2 h T / N`, which balances its drift; here the variance is `4 lr^2`, so neither the number of
    data nor the temperature enters and the width of the cloud is set by the learning rate. Adam
    scales the drift but not the noise, its momentum remembers past noise, and biases get none. In
    a linear regression the width came out between 0.09 and 8.4 times the true variance.

    Args:
        params: parameters of the network; only the 4-D ones that require a gradient are moved.
        period: epochs per period.
        noisy: noisy epochs at the end of each period.
        generator: source of the noise; None: a private one seeded with 0.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        period: int = 50,
        noisy: int = 20,
        generator: torch.Generator | None = None,
    ) -> None:
        self.params = [param for param in params if param.ndim == 4]
        self.period, self.noisy = period, noisy
        device = self.params[0].device if self.params else "cpu"
        self.generator = generator or torch.Generator(device).manual_seed(0)

    def is_noisy(self, epoch: int) -> bool:
        """Whether noise is added in `epoch`, counted from 0 (30-49, 80-99, ... by default)."""
        return epoch % self.period >= self.period - self.noisy

    @torch.no_grad()
    def step(self, lr: float, epoch: int) -> bool:
        """Adds the noise of one step, if the epoch has any; returns whether it did."""
        params = [param for param in self.params if param.requires_grad]
        if not params or not self.is_noisy(epoch):
            return False
        torch._foreach_add_(params, standard_noise(params, self.generator), alpha=2 * lr)
        return True

    def state_dict(self) -> dict:
        """The generator's state, for a bitwise resume."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state_dict: dict) -> None:
        """Continues the noise where `state_dict()` was taken."""
        self.generator.set_state(state_dict["generator"].cpu())


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
    """The standard deviation of a likelihood by the convention of the released code.

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
