"""Ways to the members of a posterior: classes with the same interface; a dictionary chooses.

    begin(step)        what must happen before the gradient of a step is taken
    step(step) -> Move moves the weights once, along the gradient that is in them
    steps              number of steps in all
    record(index, cycle) -> dict       how a member was sampled; stored with it
    finish(collected, stopped)         states of the network that become members at the end
    state_dict(), load_state_dict()    for a bitwise resume

The loop of step 1 uses nothing else of them.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from bayesdl_sim.bayes.released import ReleasedNoise
from bayesdl_sim.bayes.schedule import CyclicSchedule, turn_of, warm_up_cosine
from bayesdl_sim.bayes.sgld import SGLD
from bayesdl_sim.models.bayesdl import BayesDL
from bayesdl_sim.models.dropout import fix_dropout
from bayesdl_sim.training.networks import initial_network
from bayesdl_sim.training.run import Run
from bayesdl_sim.training.settings.step1 import SamplerSettings
from bayesdl_sim.training.temperature import settle_temperature
from bayesdl_sim.utils.errors import InputError

__all__ = ["POSTERIORS", "Ensemble", "McDropout", "Move", "PointEstimate", "Released", "Sgld"]

GRADIENT_NORM = 1.0
NOISY_SHARE = 0.4  # of a period of the released noise


class Move(NamedTuple):
    """The outcome of a step.

    Attributes:
        lr: step size.
        noise: temperature of the noise; under the released rule, 1 where there was any.
        collect: whether the weights after it are a member.
        cycle: number of the cycle, network or period, from 0.
    """

    lr: float
    noise: float = 0.0
    collect: bool = False
    cycle: int = 0


class Descent:
    """Adam on a clipped gradient, its step size along `warm_up_cosine`."""

    def __init__(self, network: BayesDL, lr: float) -> None:
        self.parameters, self.lr = list(network.trunk.parameters()), lr
        self.adam = torch.optim.Adam(self.parameters, lr=lr)

    def step(self, step: int, steps: int) -> float:
        """Moves the weights in step `step` of `steps`; returns the step size."""
        # Only here: a clipped gradient is no longer that of the posterior.
        torch.nn.utils.clip_grad_norm_(self.parameters, GRADIENT_NORM)
        rate = warm_up_cosine(step, steps, self.lr)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        return rate


class PointEstimate:
    """One member: the last weights of a descent."""

    kind = "point estimate"

    def __init__(self, run: Run, network: BayesDL) -> None:
        self.seed, self.network, self.settings = run.seed, network, run.settings.sampler
        self.steps = self.settings.epoch * run.steps_per_epoch
        self.descent = Descent(network, self.settings.lr)

    def begin(self, step: int) -> None:
        """Does nothing: there is one network, and no temperature to choose."""

    def step(self, step: int) -> Move:
        """A step of Adam."""
        return Move(self.descent.step(step, self.steps))

    def record(self, index: int, cycle: int) -> dict[str, Any]:
        """The kind and the cycle, which is all that there is to record."""
        return {"kind": self.kind, "cycle": cycle}

    def finish(self, collected: int, stopped: bool) -> Iterator[None]:
        """The last weights, also of a run that was stopped early."""
        yield

    def state_dict(self) -> dict[str, Any]:
        """State of Adam."""
        return {"adam": self.descent.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where `state_dict()` was taken."""
        self.descent.adam.load_state_dict(state["adam"])


class McDropout(PointEstimate):
    """Passes of one network, each with its own fixed mask.

    Source: Gal and Ghahramani, ICML 2016.
    """

    kind = "mc_dropout"

    def record(self, index: int, cycle: int) -> dict[str, Any]:
        """The kind, the cycle and the seed of the masks."""
        return {**super().record(index, cycle), "seed": self.seed + index - 1}

    def finish(self, collected: int, stopped: bool) -> Iterator[None]:
        """The last weights under one mask after the other."""
        for number in range(self.settings.members):
            fix_dropout(self.network, self.seed + number)
            yield


class Ensemble(PointEstimate):
    """Networks from different seeds, one after the other, each with an equal share of the steps.

    Source: Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017.
    """

    kind = "ensemble"

    def __init__(self, run: Run, network: BayesDL) -> None:
        super().__init__(run, network)
        self.run = run

    def begin(self, step: int) -> None:
        """Puts the next network in the place of the previous one where its turn begins."""
        turn = turn_of(step, self.steps, self.settings.members)
        if turn.is_first and turn.number > 0:
            self.network.load_state_dict(initial_network(self.run, turn.number).state_dict())
            self.descent.adam.state.clear()

    def step(self, step: int) -> Move:
        """A step of Adam; a member where the turn of a network ends."""
        turn = turn_of(step, self.steps, self.settings.members)
        rate = self.descent.step(turn.step, turn.steps)
        return Move(rate, collect=turn.is_last, cycle=turn.number)

    def record(self, index: int, cycle: int) -> dict[str, Any]:
        """The kind, the cycle and the seed of the initial weights."""
        return {**super().record(index, cycle), "seed": self.seed + index - 1}

    def finish(self, collected: int, stopped: bool) -> Iterator[None]:
        """Yields nothing: every network has been collected."""
        yield from ()


class Released(PointEstimate):
    """Adam and the noise of the released code; a member at the end of every period."""

    kind = "released"

    def __init__(self, run: Run, network: BayesDL) -> None:
        super().__init__(run, network)
        generator = torch.Generator(run.device).manual_seed(run.seed)
        period = self.settings.period
        self.noise = ReleasedNoise(
            self.descent.parameters, period, round(NOISY_SHARE * period), generator
        )
        self.steps_per_epoch = run.steps_per_epoch

    def step(self, step: int) -> Move:
        """A step of Adam, then the noise, if the epoch has any."""
        rate = self.descent.step(step, self.steps)
        epoch, period = step // self.steps_per_epoch, self.settings.period
        noise = float(self.noise.step(rate, epoch))
        collect = (step + 1) % (period * self.steps_per_epoch) == 0
        return Move(rate, noise, collect, epoch // period)

    def finish(self, collected: int, stopped: bool) -> Iterator[None]:
        """The last weights, if the run was too short for a member."""
        if collected == 0 and not stopped:
            yield

    def state_dict(self) -> dict[str, Any]:
        """States of Adam and of the noise."""
        return {**super().state_dict(), "noise": self.noise.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where `state_dict()` was taken."""
        super().load_state_dict(state)
        self.noise.load_state_dict(state["noise"])


class Sgld:
    """Adam burns in, then SGLD samples in cycles; the schedule sets when a member is collected."""

    kind = "sgld"

    def __init__(self, run: Run, network: BayesDL) -> None:
        settings = run.settings.sampler
        self.run, self.network, self.settings = run, network, settings
        burn_in = min(round(settings.burn_in * settings.epoch), settings.epoch - 1)
        cycle_epochs = (settings.epoch - burn_in) / settings.cycles
        steps_per_cycle = max(1, int(cycle_epochs * run.steps_per_epoch))
        _require_cycle(settings, steps_per_cycle)
        self.schedule = CyclicSchedule(
            cycles=settings.cycles,
            steps_per_cycle=steps_per_cycle,
            lr_max=settings.lr_sgld,
            explore_fraction=settings.explore,
            members_per_cycle=settings.members_per_cycle,
            temperature=settings.temperature[0],
        )
        self.burn_in_steps = burn_in * run.steps_per_epoch
        # A remainder of steps that does not fill a cycle is not taken.
        self.steps = self.burn_in_steps + self.schedule.total_steps
        self.descent = Descent(network, settings.lr)
        generator = torch.Generator(run.device).manual_seed(run.seed)
        self.sgld = SGLD(
            self.descent.parameters,
            settings.lr_sgld,
            run.train.pixels,
            settings.temperature[0],
            settings.prior_precision,
            precondition=True,
            generator=generator,
        )
        self.temperature: float | None = None  # settled when sampling begins

    def begin(self, step: int) -> None:
        """Chooses the temperature where sampling begins."""
        if step >= self.burn_in_steps and self.temperature is None:
            self.temperature = settle_temperature(self.run, self.network, self.sgld)

    def step(self, step: int) -> Move:
        """A step of Adam while burning in, else one of SGLD."""
        if step < self.burn_in_steps:
            return Move(self.descent.step(step, self.burn_in_steps))
        phase = self.schedule.at(step - self.burn_in_steps)
        if not phase.exploring:
            phase = replace(phase, temperature=self.temperature)
        self.sgld.follow(phase)
        self.sgld.step()
        return Move(phase.lr, phase.temperature, phase.collect, phase.cycle)

    def record(self, index: int, cycle: int) -> dict[str, Any]:
        """Everything that the stationary distribution depends on, with kind and cycle."""
        return {
            "kind": self.kind,
            "cycle": cycle,
            "temperature": self.temperature,
            "num_data": self.run.train.pixels,
            "prior_precision": self.settings.prior_precision,
            "lr_max": self.settings.lr_sgld,
        }

    def finish(self, collected: int, stopped: bool) -> Iterator[None]:
        """Yields nothing: every member was collected on the way."""
        yield from ()

    def state_dict(self) -> dict[str, Any]:
        """States of Adam and of the sampler, and the temperature."""
        return {
            "adam": self.descent.adam.state_dict(),
            "sgld": self.sgld.state_dict(),
            "temperature": self.temperature,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where `state_dict()` was taken."""
        self.descent.adam.load_state_dict(state["adam"])
        self.sgld.load_state_dict(state["sgld"])
        self.temperature = state["temperature"]


def _require_cycle(settings: SamplerSettings, steps: int) -> None:
    """Refuses a cycle of too few steps before the burn-in, not hours later."""
    quiet = round(settings.explore * steps)  # as in CyclicSchedule
    if quiet < 1 or steps - quiet < settings.members_per_cycle:
        raise InputError(
            f"epoch: after the burn-in, each of the {settings.cycles} cycles has {steps} step(s), "
            f"{quiet} of them without noise (explore {settings.explore:g}); expected at least one "
            f"without noise and {settings.members_per_cycle} with noise, one for each member: use "
            "more epoch or patches_per_stack, fewer cycles or members_per_cycle, or another explore"
        )


POSTERIORS = {
    "sgld": Sgld,
    "ensemble": Ensemble,
    "mc_dropout": McDropout,
    "released": Released,
    "point estimate": PointEstimate,
}
