"""From credibility to the next exposure: on a curve, and from two stacks of one field."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bayesdl_sim.bayes.credibility import credibility
from bayesdl_sim.utils.errors import InputError

__all__ = ["Pair", "advice", "exposure_ratio", "measured_pair", "next_exposure"]

BLUR_PX = 3.0  # raw pixels: noise averages out before two exposures are compared
AGREEMENT = 0.8  # correlation of the two wide fields, at least
LEAST_RATIO = 1.1
FAR = 4.0  # times the higher exposure; beyond, a number is called a guess


def next_exposure(
    exposures: Sequence[float], credible: Sequence[float], goal: float
) -> float | None:
    """The least exposure that reaches the goal: linear in its logarithm; None if none does.

    The curve is made monotonic first (a fall is noise: more light never lowers the information).
    """
    rising = np.maximum.accumulate(credible)
    if rising[-1] < goal:
        return None
    if rising[0] >= goal:
        return float(exposures[0])
    after = int(np.argmax(rising >= goal))
    part = (goal - rising[after - 1]) / (rising[after] - rising[after - 1])
    low, high = np.log(exposures[after - 1]), np.log(exposures[after])
    return float(np.exp(low + part * (high - low)))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One field at two exposures; the lower one has exposure 1.

    Attributes:
        ratio: the higher exposure in units of the lower one.
        fixed, per_light: A and B of the mean variance of the lit pixels, `A + B / exposure`.
        sigma: total standard deviation of the lit pixels at the higher exposure.
        low: credibility at the lower exposure.
    """

    ratio: float
    fixed: float
    per_light: float
    sigma: Tensor
    low: float

    def credibility(self, exposure: float, delta: float) -> float:
        """Mean over the lit pixels at an exposure in units of the lower one."""
        at_high = self.fixed + self.per_light / self.ratio
        growth = (self.fixed + self.per_light / exposure) / at_high
        return float(credibility(self.sigma * math.sqrt(growth), delta).mean())


def exposure_ratio(low: np.ndarray, high: np.ndarray) -> float:
    """How many times more light the second stack has: the slope of its wide field on the first's.

    Offsets drop out. Shapes (9, H, W), counts.

    Raises:
        InputError: the two do not show one field, or the second is not the brighter one.
    """
    wide = [
        gaussian_filter(stack.mean(axis=0).astype(np.float64), BLUR_PX) for stack in (low, high)
    ]
    first, second = (image - image.mean() for image in wide)
    agreement = float((first * second).sum() / math.sqrt((first**2).sum() * (second**2).sum()))
    if not agreement > AGREEMENT:
        raise InputError(
            f"the two stacks do not show the same field (correlation of their wide fields "
            f"{agreement:.2f}, above {AGREEMENT} expected): record the same field twice"
        )
    ratio = float((first * second).sum() / (first**2).sum())
    if not ratio > LEAST_RATIO:
        raise InputError(
            f"stack_high has {ratio:.2f} times the light of stack_low, above {LEAST_RATIO} "
            "expected: swap them, or record them with exposures that differ more"
        )
    return ratio


def measured_pair(low: Tensor, high: Tensor, ratio: float, delta: float) -> Pair:
    """A and B from the total standard deviations of the same lit pixels at two exposures.

    With V the mean variance, `B = (V_low - V_high) / (1 - 1 / ratio)` and `A = V_high - B / ratio`,
    neither below zero.

    Args:
        low, high: (n,), normalised SR intensity of their own images.
        ratio: the higher exposure in units of the lower one, above 1.
        delta: tolerated error.
    """
    variances = [float(sigma.square().mean()) for sigma in (low, high)]
    per_light = max(variances[0] - variances[1], 0.0) / (1 - 1 / ratio)
    # No part can be negative: if the variance falls faster than 1 / exposure, all of it is light.
    per_light = min(per_light, variances[1] * ratio)
    fixed = variances[1] - per_light / ratio
    return Pair(
        ratio=ratio,
        fixed=fixed,
        per_light=per_light,
        sigma=high,
        low=float(credibility(low, delta).mean()),
    )


def advice(pair: Pair, exposure: float | None, goal: float, share: float) -> str:
    """A sentence that advises the next exposure."""
    fixed = f"{share:.0%} of the variance at the higher exposure does not depend on light"
    if exposure is None:
        return f"credibility {goal:g} is not reached by light alone: {fixed}"
    if exposure <= pair.ratio:
        return f"credibility {goal:g} is reached at {exposure:.2g} times the exposure of stack_low"
    times = exposure / pair.ratio
    guess = " (far beyond the two stacks: a guess)" if times > FAR else ""
    return (
        f"next exposure for credibility {goal:g}: {times:.2g} times that of stack_high{guess}; "
        f"{fixed}"
    )
