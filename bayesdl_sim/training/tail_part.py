"""The cells to fit the tail on: training cells, unless the trunk has memorised their noise."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.models.bayesdl import BayesDL
from bayesdl_sim.training.run import Run, to_device
from bayesdl_sim.utils.devices import autocast
from bayesdl_sim.utils.errors import InputError

__all__ = ["Ratio", "choose_part", "ratio_of_means"]

RESIDUAL_TOLERANCE = 0.10  # beyond it, the tail is fitted on unseen cells
BATCHES = 60  # of each part that are compared


class Ratio(NamedTuple):
    """A ratio of two means and its standard error."""

    value: float
    error: float


def ratio_of_means(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """`<a> / <b>` of independent draws, with the standard error of first order.

    `error = value sqrt(var(a) / (n <a>^2) + var(b) / (m <b>^2))`

    Args:
        numerator, denominator: positive numbers, such as the mean square error of patches.

    Raises:
        InputError: fewer than two numbers, which have no spread.
    """
    means, relative = [], 0.0
    for values in (numerator, denominator):
        if len(values) < 2:
            raise InputError(f"a ratio of means needs two numbers or more, found {len(values)}")
        sample = torch.tensor(values, dtype=torch.float64)
        means.append(sample.mean().item())
        relative += sample.var().item() / (len(values) * means[-1] ** 2)
    value = means[0] / means[1]
    return Ratio(value, value * math.sqrt(relative))


@torch.no_grad()
def choose_part(run: Run, network: BayesDL, batches: int | None = None) -> tuple[SimDataset, Ratio]:
    """Unseen cells, if their residual variance differs by more than a tenth; else training cells.

    The difference must also exceed what the chance of the patches explains (two standard errors),
    since one patch in ten makes most of a mean square. One member represents all: the members of
    a run have learnt from the same cells.

    A tail fitted where the trunk has memorised the noise would be overconfident elsewhere.

    Args:
        run: its training and validation parts are compared.
        network: network of the first member.
        batches: number of batches of each part; default 60.

    Returns:
        The part, and the ratio of the residual variances, unseen to seen.
    """
    network, residuals = network.to(run.device), []
    for part in (run.train, run.validation):
        squares: list[float] = []
        for patches in itertools.islice(run.endless(part), batches or BATCHES):
            raw, target = to_device(patches, run.device)
            with autocast(run.device, run.dtype):
                mean = network(raw).mean
            squares += (mean - target).square().mean(dim=(1, 2, 3)).tolist()
        residuals.append(squares)
    ratio = ratio_of_means(*reversed(residuals))
    differs = abs(ratio.value - 1) - 2 * ratio.error > RESIDUAL_TOLERANCE
    return (run.validation if differs else run.train), ratio
