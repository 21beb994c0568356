"""The posterior predictive distribution: members in, mean and uncertainties out."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.bayes.likelihoods import DISTILLED, standard_deviation
from bayesdl_sim.utils.errors import InputError

__all__ = ["Prediction", "Welford", "predict", "predict_nested"]

Member = Callable[[Tensor], tuple[Tensor, Tensor | None]]


class Prediction(NamedTuple):
    """Posterior prediction of an image; each map (B, 1, 2H, 2W), normalised intensity.

    Attributes:
        mean: mean of the members' means.
        aleatoric: standard deviation of the data that each member expects; all zero where the
            members have no tail (not modelled, not absent).
        epistemic: standard deviation between the members' means; all zero for a single member
            (one draw cannot show its spread).
        total: `sqrt(aleatoric^2 + epistemic^2)`.
    """

    mean: Tensor
    aleatoric: Tensor
    epistemic: Tensor
    total: Tensor


class Welford:
    """Running mean and variance of maps, one map at a time.

    `d = x - m; m <- m + d / n; s <- s + d (x - m)`. Unlike the difference of the mean square and
    the squared mean it does not cancel, so a spread of 1e-3 survives on an image of order 1, and
    equal maps have a variance of exactly zero. Kept in float32 (float64 for float64 maps),
    whatever comes in. Two maps are held, however many are added.

    Source: Welford, Technometrics 4, 419 (1962).
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, value: Tensor) -> None:
        """Adds one map. Raises `InputError` if its shape is not that of the maps before."""
        value = value.detach()
        value = value if value.dtype == torch.float64 else value.float()
        self.count += 1
        if self._mean is None:
            self._mean, self._squares = value.clone(), torch.zeros_like(value)
            return
        if value.shape != self._mean.shape:
            raise InputError(
                f"members must predict maps of the same shape, found {tuple(value.shape)} after "
                f"{tuple(self._mean.shape)}"
            )
        delta = value - self._mean
        self._mean.add_(delta, alpha=1 / self.count)
        self._squares.addcmul_(delta, value - self._mean)

    @property
    def mean(self) -> Tensor:
        """Mean of the maps so far."""
        return self._filled(self._mean).clone()

    @property
    def variance(self) -> Tensor:
        """Unbiased variance (n - 1) of the maps so far; zero for a single one."""
        return self._filled(self._squares) / max(1, self.count - 1)

    @staticmethod
    def _filled(value: Tensor | None) -> Tensor:
        if value is None:
            raise InputError("expected at least one member, found none")
        return value


@torch.no_grad()
def predict(members: Iterable[Member], raw: Tensor, likelihood: str = "gauss") -> Prediction:
    """Posterior predictive mean and uncertainties by the law of total variance.

    `Var(y) = <Var(y | theta)> + Var(<y | theta>)`: `mean` is the mean of the members' means,
    `aleatoric^2` the mean of their variances, `epistemic^2` the variance of their means (n - 1),
    `total^2` the sum. Nothing is clamped before: a mean cut at 0 would hide the disagreement of
    members in the background.

    Args:
        members: posterior draws, each a function `raw -> (mean, log_var or None)`. Taken one by
            one, so that a generator may load each from disk: memory does not grow with their
            number.
        raw: normalised frames, (B, 9, H, W).
        likelihood: what the second output parametrises, a key of `bayes.likelihoods.LIKELIHOODS`,
            or `DISTILLED` for a single network that gives both variances by itself.

    Returns:
        `Prediction` in float32 (float64 for members in float64).

    Raises:
        InputError: no members, members with and without a tail mixed, or maps of unequal shape.

    Source: Kendall and Gal, NeurIPS 2017, eq. 9, with the unbiased variance of the draws.
    """
    if likelihood == DISTILLED:
        return _distilled(members, raw)
    means, variances = Welford(), Welford()
    for _ in _accumulated(members, raw, likelihood, means, variances):
        pass
    return _prediction(means, variances)


def predict_nested(
    members: Iterable[Member], raw: Tensor, likelihood: str = "gauss"
) -> Iterator[Prediction]:
    """The prediction of the first member, of the first two, and so on, each member run once.

    The last one is that of `predict`, bit for bit. Arguments and errors are those of `predict`.
    """
    if likelihood == DISTILLED:
        yield _distilled(members, raw)
        return
    means, variances = Welford(), Welford()
    for _ in _accumulated(members, raw, likelihood, means, variances):
        yield _prediction(means, variances)


def _accumulated(
    members: Iterable[Member], raw: Tensor, likelihood: str, means: Welford, variances: Welford
) -> Iterator[int]:
    """Adds each member to the statistics, and yields how many there are."""
    for member in members:
        with torch.no_grad():
            mean, parameters = member(raw)
            means.add(mean)
            if parameters is not None:
                variances.add(standard_deviation(likelihood, parameters).square())
        if variances.count not in (0, means.count):
            raise InputError(
                f"member {means.count} {'has no' if parameters is None else 'has an'} uncertainty "
                "tail, unlike those before it: use members of one run"
            )
        yield means.count


@torch.no_grad()
def _distilled(members: Iterable[Member], raw: Tensor) -> Prediction:
    """Prediction of a single distilled network by itself."""
    outputs = [member(raw) for member in members]
    if len(outputs) != 1:
        raise InputError(f"expected one distilled network, found {len(outputs)}")
    mean, parameters = outputs[0]
    aleatoric, epistemic = parameters.float().exp().split(1, dim=1)
    total = (aleatoric + epistemic).sqrt()
    return Prediction(mean.float(), aleatoric.sqrt(), epistemic.sqrt(), total)


def _prediction(means: Welford, variances: Welford) -> Prediction:
    mean, epistemic = means.mean, means.variance
    aleatoric = variances.mean if variances.count else torch.zeros_like(mean)
    return Prediction(mean, aleatoric.sqrt(), epistemic.sqrt(), (aleatoric + epistemic).sqrt())
