"""The energy of step 1 and its gradient, which every way to a posterior descends or samples."""

import math

import torch
from torch import Tensor

from bayesdl_sim.bayes.energy import reconstruction_energy
from bayesdl_sim.bayes.functional_prior import prior_function
from bayesdl_sim.data.sets.datasets import Patches
from bayesdl_sim.models.bayesdl import BayesDL
from bayesdl_sim.training.parallel.replicas import average_gradients, average_value
from bayesdl_sim.training.run import Run, to_device
from bayesdl_sim.utils.devices import autocast
from bayesdl_sim.utils.errors import InputError

__all__ = ["Diverged", "energy_gradient", "require_finite"]


class Diverged(InputError):
    """The energy is no longer a number."""


def require_finite(loss: Tensor, where: str) -> float:
    """The loss as a number; a diverged run must not go on writing members.

    Raises:
        Diverged: it is not finite.
    """
    value = loss.item()
    if not math.isfinite(value):
        raise Diverged(
            f"the loss is {value} in {where}: the training diverged; lower lr (or lr_sgld, "
            "temperature) and start again, or resume from the last good epoch"
        )
    return value


def energy_gradient(
    run: Run, network: BayesDL, patches: Patches, outliers: Patches | None, where: str
) -> float:
    """Leaves the gradient of the step-1 energy in the network; returns the energy.

    Of replicas, both are means over all of them.
    With outliers it is that of `bayes.functional_prior`: both go through the network at once.

    Args:
        run: its energy settings weigh the terms.
        network: the network, in training mode.
        patches: patches of the training part.
        outliers: a batch of the prior on functions, or None.
        where: place in the training, for the message if it diverges.

    Raises:
        Diverged: the energy is not finite.
    """
    settings = run.settings.energy
    raw, target = to_device(patches, run.device)
    if outliers is not None:
        outlier_raw, truth = to_device(outliers, run.device)
        raw = torch.cat([raw, outlier_raw]).contiguous(memory_format=torch.channels_last)
    with autocast(run.device, run.dtype):
        mean = network(raw).mean
    energy = reconstruction_energy(mean[: len(target)], target, *settings.weights).total
    if outliers is not None:
        goal = prior_function(truth, settings.outlier_gain)
        energy = energy + reconstruction_energy(mean[len(target) :], goal, *settings.weights).total
    value = require_finite(average_value(energy), where)
    network.zero_grad(set_to_none=True)
    energy.backward()
    average_gradients(network.parameters())
    return value
