"""Trust in each pixel: credibility, intervals, exceedance and draws of a prediction.

All of them read the predictive distribution as the Gaussian `N(mean, total^2)`, which has the first
two moments of the mixture of the members. The mixture itself would need every member's maps at once
or each member twice: the error is measured from the mean of all members, and the intensity scale of
an image is known only after the last member. It would also not survive calibration,
which rescales `total` alone. The difference is small where the members agree better than the data:
with an epistemic part of 0.3 of the total, eight members and any delta, P(|error| < delta) of the
mixture differs by 0.01 at most (tests/bayes/test_credibility.py).
"""

import math

import torch
from torch import Tensor

from bayesdl_sim.bayes.likelihoods import interval_half_width
from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.utils.errors import InputError

__all__ = ["credibility", "draws", "exceedance", "interval", "trust_maps"]


def credibility(total: Tensor, delta: float = DELTA) -> Tensor:
    """The probability that a pixel is right within `delta`.

    `P(|target - mean| < delta) = erf(delta / (sqrt(2) total))`; the mean drops out, since errors
    are measured from it.

    Args:
        total: standard deviation of the predictive distribution, any shape, in normalised
            intensity; 0 is certainty.
        delta: tolerated error in the same units. The default, 0.13 of the range of the image, is
            half the dip between two points that are just resolved (26 % of their height, Rayleigh):
            a smaller error neither hides such a dip nor invents one.

    Returns:
        A map in 0..1 of the same shape.

    Raises:
        InputError: delta is not positive, or a standard deviation is negative.

    Source: Xue et al., Optica 6, 618 (2019), where the members are Laplace densities.
    """
    if not delta > 0:
        raise InputError(f"the tolerated error delta must be positive, found {delta}")
    _require_deviation(total)
    return torch.erf(delta / (math.sqrt(2) * total))


def exceedance(mean: Tensor, total: Tensor, threshold: float) -> Tensor:
    """The probability that the true intensity of a pixel lies above a threshold.

    `P(x > t) = Phi((mean - t) / total)`; where `total` is 0, 1 above the threshold and 0 elsewhere.

    Args:
        mean: predictive mean, normalised intensity.
        total: its standard deviation, same shape.
        threshold: `t`, in the same units.

    Returns:
        A map in 0..1.

    Raises:
        InputError: the shapes differ, or a standard deviation is negative.
    """
    _require_pair(mean, total)
    return torch.special.ndtr((mean - threshold) / total).nan_to_num(0.0)  # 0 / 0 is not above


def interval(mean: Tensor, total: Tensor, level: float = 0.9) -> tuple[Tensor, Tensor]:
    """The lower and the upper end of the central interval of this probability, `mean -+ z total`.

    Raises:
        InputError: the shapes differ, a standard deviation is negative, or the level is not between
            0 and 1.
    """
    _require_pair(mean, total)
    half = interval_half_width(level) * total
    return mean - half, mean + half


def draws(mean: Tensor, total: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Images that the prediction allows, `mean + total xi`, `xi ~ N(0, 1)`.

    Every pixel has its predictive distribution. Pixels are drawn independently, which the maps do
    not contradict but the posterior does: the average of an area varies less between these draws
    than it should. Use them pixel by pixel.

    Args:
        mean: (..., 2H, 2W), normalised intensity.
        total: same shape.
        count: number of draws.
        generator: generator on the device of the maps.

    Returns:
        (count, ..., 2H, 2W).

    Raises:
        InputError: the shapes differ, a standard deviation is negative, or count is below 1.
    """
    _require_pair(mean, total)
    if count < 1:
        raise InputError(f"expected at least one draw, found {count}")
    noise = torch.randn(
        (count, *mean.shape), generator=generator, device=mean.device, dtype=mean.dtype
    )
    return mean + total * noise


def trust_maps(
    mean: Tensor,
    total: Tensor,
    generator: torch.Generator,
    delta: float = DELTA,
    threshold: float | None = None,
    count: int = 0,
) -> dict[str, Tensor]:
    """The maps of a result for judging how far to trust it, by the names of their channels.

    "Credibility"; "Exceedance" if a threshold is given; "Draw 1" ... "Draw `count`".
    """
    maps = {"Credibility": credibility(total, delta)}
    if threshold is not None:
        maps["Exceedance"] = exceedance(mean, total, threshold)
    if count:
        images = draws(mean, total, count, generator)
        maps |= {f"Draw {number}": image for number, image in enumerate(images, start=1)}
    return maps


def _require_pair(mean: Tensor, total: Tensor) -> None:
    if mean.shape != total.shape:
        raise InputError(
            f"mean and total must have the same shape, found {tuple(mean.shape)} and "
            f"{tuple(total.shape)}"
        )
    _require_deviation(total)


def _require_deviation(total: Tensor) -> None:
    if not bool((total >= 0).all()):
        raise InputError("a standard deviation is negative or not a number")
