"""Which temperature of the Gibbs posterior predicts best: short trial chains, held-out density."""

import copy
import math

import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.bayes.calibration.held_out import gaussian_log_density, variance_scale
from bayesdl_sim.bayes.prediction import Welford
from bayesdl_sim.bayes.schedule import CyclicSchedule
from bayesdl_sim.bayes.sgld import SGLD
from bayesdl_sim.models.bayesdl import BayesDL
from bayesdl_sim.training.objective import Diverged, energy_gradient
from bayesdl_sim.training.run import Run
from bayesdl_sim.training.validation import spread_out
from bayesdl_sim.utils.devices import autocast
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import write_json

__all__ = ["choose_temperature", "held_out_log_density", "settle_temperature"]

OUTLIERS_OF_TRIALS = 10**6  # the epoch whose outliers the trials use; never trained on


def settle_temperature(run: Run, network: BayesDL, sgld: SGLD) -> float:
    """The temperature of a run; of several, the one with the best held-out log density.

    From the burnt-in weights each candidate samples a short chain; the validation stacks are
    scored under a Gaussian with the chain's mean, its variance and one residual variance. Network
    and sampler are left as they were; temperature.json in the run folder holds the scores.
    """
    temperatures = run.settings.sampler.temperature
    if len(temperatures) == 1:
        return temperatures[0]
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sampler_state, mode = copy.deepcopy(sgld.state_dict()), network.training
    network.eval()  # no dropout: it would use up masks of the training
    scores = {}
    for temperature in temperatures:
        try:
            draws = _trial_chain(run, network, sgld, temperature)
            scores[temperature] = _held_out_density(run, network, draws)
        except Diverged:
            scores[temperature] = -math.inf
        print(f"   temperature {temperature:g}: {scores[temperature]:.4f} nats per held-out pixel")
        network.load_state_dict(weights)
        sgld.load_state_dict(copy.deepcopy(sampler_state))
    network.train(mode)
    best = choose_temperature(scores)
    print(f"   temperature {best:g} taken")
    finite = {f"{t:g}": score for t, score in scores.items() if math.isfinite(score)}
    write_json(run.folder / "temperature.json", {"nats_per_pixel": finite, "taken": best})
    return best


def _trial_chain(
    run: Run, network: BayesDL, sgld: SGLD, temperature: float
) -> list[dict[str, Tensor]]:
    """Four draws of one short cycle."""
    cyclic = CyclicSchedule(
        cycles=1,
        steps_per_cycle=max(run.settings.sampler.trial_steps, 8),
        lr_max=run.settings.sampler.lr_sgld,
        explore_fraction=0.25,
        members_per_cycle=4,
        temperature=temperature,
    )
    draws = []
    streams = run.endless(run.train), run.outlier_batches(OUTLIERS_OF_TRIALS)
    place = f"the trial at temperature {temperature:g}"
    steps = tqdm(range(cyclic.total_steps), place, leave=False, unit="step", disable=None)
    for step, patches, outliers in zip(steps, *streams, strict=False):
        phase = cyclic.at(step)
        energy_gradient(run, network, patches, outliers, place)
        sgld.follow(phase)
        sgld.step()
        if phase.collect:
            draws.append({k: v.clone() for k, v in network.state_dict().items()})
    return draws


@torch.no_grad()
def _held_out_density(run: Run, network: BayesDL, draws: list[dict[str, Tensor]]) -> float:
    """Mean log density of validation pixels, with the residual variance that suits them best."""
    errors, spreads = [], []
    for index in spread_out(len(run.validation), run.settings.data.val_stacks):
        stack, means = run.validation.stack(index), Welford()
        for draw in draws:
            network.load_state_dict(draw)
            with autocast(run.device, run.dtype):
                means.add(network(stack.raw[None].to(run.device)).mean)
        errors.append((stack.target - means.mean.cpu()[0]).flatten())
        spreads.append(means.variance.cpu()[0].flatten())
    return held_out_log_density(torch.cat(errors), torch.cat(spreads))


def choose_temperature(log_likelihoods: dict[float, float]) -> float:
    """The temperature of the best held-out log predictive density; of equals, the lowest.

    Args:
        log_likelihoods: temperature -> mean log predictive density of held-out pixels. A
            non-finite one (a diverged chain) is never chosen.

    Raises:
        InputError: no temperature has a finite density.

    Source: Wenzel et al., ICML 2020; the step-1 energy is not a likelihood, so its temperature is
    a choice, not 1 by right.
    """
    finite = {t: value for t, value in log_likelihoods.items() if math.isfinite(value)}
    if not finite:
        raise InputError(
            f"no temperature of {sorted(log_likelihoods)} has a finite held-out likelihood: "
            "use a smaller step or lower temperatures"
        )
    return min(finite, key=lambda temperature: (-finite[temperature], temperature))


def held_out_log_density(error: Tensor, spread: Tensor) -> float:
    """Mean log density of held-out pixels under the draws of a short chain.

    The predictive variance is the draws' own variance plus one residual variance, the one of
    fifty (2 % to 100 % of the mean square error) that suits the pixels best: before step 2 there
    is no tail to predict it. Draws that spread where the errors are raise the density; draws that
    only lost accuracy lower it.

    Args:
        error: `target - mean of the draws`, any shape.
        spread: variance of the draws, same shape.

    Returns:
        Nats per pixel.
    """
    residuals = variance_scale(error) * torch.linspace(0.02, 1.0, 50)
    zero = torch.zeros((), dtype=error.dtype)
    densities = [gaussian_log_density(error, zero, spread + r).mean() for r in residuals.tolist()]
    return torch.stack(densities).max().item()
