"""Test for change between two images: the difference of two predictions of shared members."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.bayes.likelihoods import interval_half_width, standard_deviation
from bayesdl_sim.bayes.prediction import Prediction, Welford
from bayesdl_sim.utils.errors import InputError

__all__ = ["Change", "MemberImage", "change_between", "marked", "predict_series"]


class Change(NamedTuple):
    """Change from each image of a series to the next; maps (T - 1, 1, 2H, 2W).

    Attributes:
        difference: mean of the members' differences, later minus earlier.
        aleatoric: `sqrt(s_t^2 + s_(t+1)^2)`, the noise of both images.
        epistemic: standard deviation of the members' differences.
        total: `sqrt(aleatoric^2 + epistemic^2)`.
    """

    difference: Tensor
    aleatoric: Tensor
    epistemic: Tensor
    total: Tensor


class MemberImage(NamedTuple):
    """Prediction of one member for one image: mean and variance (B, 1, 2H, 2W)."""

    mean: Tensor
    variance: Tensor


@torch.no_grad()
def change_between(earlier: Sequence[MemberImage], later: Sequence[MemberImage]) -> Change:
    """The change from one image to another, of members that have predicted both.

    Args:
        earlier, later: the same members in the same order, both on one intensity scale.

    Raises:
        InputError: no members, or other ones.
    """
    if not earlier or len(earlier) != len(later):
        raise InputError(
            f"a change needs the same members twice, found {len(earlier)} and {len(later)}"
        )
    steps, noise = Welford(), Welford()
    for before, after in zip(earlier, later, strict=True):
        steps.add(after.mean - before.mean)
        noise.add(before.variance + after.variance)
    return _change(steps, noise.mean)


@torch.no_grad()
def predict_series(
    members: Iterable[Callable[[Tensor], tuple[Tensor, Tensor | None]]],
    raw: Tensor,
    scale: Sequence[float],
    low: Sequence[float],
    likelihood: str = "gauss",
) -> tuple[Prediction, Change]:
    """Predicts the images of a time series, and the changes between them, with shared members.

    The law of total variance on the difference `d = y_(t+1) - y_t`:
    `Var(d) = <Var(d | theta)> + Var(<d | theta>)`. Given a member, the noises of two exposures are
    independent, so the first term is the sum of the two variances; the second is the variance of
    the differences of the members' means. What a member gets wrong in both images alike drops out
    of it: `sqrt(2)` times the epistemic uncertainty of one image would be too wide. Nor are errors
    that the data cause in both images alike (structure beyond the support, which the aleatoric part
    holds too) independent; where they matter, `total` is too wide, and fewer changes are marked.

    Args:
        members: posterior draws, as `bayes.prediction.predict` takes them, one by one.
        raw: normalised frames of all time points, (T, 9, H, W).
        scale, low: per time point, so that `scale x + low` is on one intensity scale for all of
            them (counts); each was normalised by itself.
        likelihood: what the second output parametrises.

    Returns:
        The prediction (T, 1, 2H, 2W) and the changes (T - 1, 1, 2H, 2W), both on that one scale.

    Raises:
        InputError: fewer than two time points, or members without an uncertainty tail.
    """
    if len(raw) < 2:
        raise InputError(f"a change needs two time points or more, found {len(raw)}")
    scales, lows = (
        torch.as_tensor(x, dtype=torch.float32, device=raw.device).reshape(-1, 1, 1, 1)
        for x in (scale, low)
    )
    means, steps, variances = Welford(), Welford(), Welford()
    for member in members:
        mean, parameters = member(raw)
        if parameters is None:
            raise InputError("these members have no uncertainty tail: a change needs its interval")
        mean = scales * mean + lows
        means.add(mean)
        steps.add(mean.diff(dim=0))
        variances.add((scales * standard_deviation(likelihood, parameters)).square())
    noise = variances.mean
    series = Prediction(
        means.mean, noise.sqrt(), means.variance.sqrt(), (noise + means.variance).sqrt()
    )
    return series, _change(steps, noise[1:] + noise[:-1])


def _change(steps: Welford, noise: Tensor) -> Change:
    """Change from the differences of the members and the variance of the noise of both images."""
    spread = steps.variance
    return Change(steps.mean, noise.sqrt(), spread.sqrt(), (noise + spread).sqrt())


def marked(difference: Tensor, total: Tensor, level: float) -> Tensor:
    """Where a change exceeds its credible interval: `|difference| > z total`, boolean.

    A pixel without change is marked with the probability `1 - level`, if `total` is right.
    """
    return difference.abs() > interval_half_width(level) * total
