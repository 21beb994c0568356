"""Stochastic gradient Langevin dynamics as a torch optimiser."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from bayesdl_sim.bayes.schedule import Phase
from bayesdl_sim.utils.errors import InputError

__all__ = ["SGLD", "standard_noise"]

EPS_FRACTION = 0.3  # eps of the preconditioner as a fraction of the mean sqrt(v)


class SGLD(torch.optim.Optimizer):
    """Draws weights from `exp(-N L(theta) / T)` by noisy gradient descent.

    `theta <- theta - h G grad(L) + sqrt(2 h G T / N) xi`, `xi ~ N(0, 1)`, where
    `L = (mean energy per datum) + prior_precision / (2 N) |theta|^2`. The energy part of the
    gradient is what `backward()` left in `.grad`; the prior is added here. On a Gaussian target
    of curvature `lam` the stationary variance is `T / (N lam (1 - h lam / 2))` (for `G = 1`): the
    factor in brackets is the price of a finite step.

    With `precondition`, `G = 1 / (eps + sqrt(v))`, where `v` is the bias-corrected running mean
    of `grad(L)^2` and `eps` 0.3 of the mean `sqrt(v)` over all parameters: a weight that hardly
    moves the energy would otherwise get unbounded noise. While `v` adapts, `G` depends on the
    state and the rule has another stationary law (the divergence of `G` is left out, and the
    variance comes out too large): call `freeze_preconditioner()` before members are collected.

    Noise goes to every parameter handed in that requires a gradient, also to one which the
    energy did not reach (its gradient is then the prior's alone), and to no frozen one. With
    `T = 0` the rule is `torch.optim.SGD` with `weight_decay = prior_precision / N`, and draws no
    random number. `lr` and `temperature` live in `param_groups`, where a schedule changes them.

    Args:
        params: float32 or float64 parameters of one device, or a list of parameter groups. (In
            bf16 the noise would be rounded away: keep the weights in float32 under autocast.)
        lr: step size `h`.
        num_data: `N`, the number of data that the mean energy averages over. For an energy that
            is a mean over pixels: the number of target pixels of the training set.
        temperature: `T`; 1 is the posterior, 0 plain descent.
        prior_precision: inverse variance of the Gaussian prior of each weight.
        precondition: whether to scale steps and noise by `G`.
        beta2: memory of the running mean `v`.
        generator: source of the noise. None: a private one seeded with 0, so that the global
            random state is never touched; chains that run side by side need one each.

    Raises:
        InputError: a setting is out of its range, or a parameter is of low precision.

    Source: Welling and Teh, ICML 2011, eq. 4; Li, Chen, Carlson and Carin, AAAI 2016, for the
    preconditioner (there adaptive and without its divergence term). The released code differs:
    see `bayes.released.ReleasedNoise`.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float,
        num_data: float,
        temperature: float = 1.0,
        prior_precision: float = 0.0,
        precondition: bool = False,
        beta2: float = 0.999,
        generator: torch.Generator | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "temperature": temperature,
            "num_data": num_data,
            "prior_precision": prior_precision,
            "precondition": precondition,
            "beta2": beta2,
        }
        super().__init__(params, defaults)
        first = self.param_groups[0]["params"][0]
        self.generator = generator or torch.Generator(first.device).manual_seed(0)
        self.frozen = False
        self._eps = torch.zeros((), device=first.device)

    def add_param_group(self, param_group: dict) -> None:
        """Adds parameters with settings of their own; checked like those of the constructor."""
        super().add_param_group(param_group)
        _check_settings(self.param_groups[-1])

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Moves every parameter once; returns the closure's loss, if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        work = [(group, *_gradients(group)) for group in self.param_groups]
        if not self.frozen:
            self._adapt(work)
        for group, params, grads in work:
            if not params:
                continue
            if group["precondition"]:
                self._move_scaled(group, params, grads)
            else:
                torch._foreach_add_(params, grads, alpha=-group["lr"])
                if deviation := _noise_deviation(group):
                    torch._foreach_add_(params, self._noise(params), alpha=deviation)
        return loss

    def follow(self, phase: Phase) -> None:
        """Gives every group the step size and temperature of a schedule's phase.

        `G` adapts while the phase explores, and is frozen while it samples.
        """
        for group in self.param_groups:
            group["lr"], group["temperature"] = phase.lr, phase.temperature
        if phase.exploring:
            self.unfreeze_preconditioner()
        elif not self.frozen:
            self.freeze_preconditioner()

    def freeze_preconditioner(self) -> None:
        """Keeps `G` as it is, so that the target is the stationary distribution of the chain.

        Does nothing without a preconditioner. Raises `InputError` if no gradient was seen yet.
        """
        moving = (
            param
            for group in self.param_groups
            if group["precondition"]
            for param in group["params"]
            if param.requires_grad
        )
        if any(param not in self.state for param in moving):
            raise InputError(
                "the preconditioner cannot be frozen before the first step: let the schedule "
                "explore first (explore_fraction above 0)"
            )
        self.frozen = True

    def unfreeze_preconditioner(self) -> None:
        """Lets `v` and `eps` follow the gradients again, from their present values."""
        self.frozen = False

    def state_dict(self) -> dict:
        """Everything a bitwise resume needs: settings, `v`, `eps`, frozen or not, the generator."""
        sampler = {
            "frozen": self.frozen,
            "eps": self._eps.clone(),
            "device": self.generator.device.type,
            "generator": self.generator.get_state(),
        }
        return {**super().state_dict(), "sampler": sampler}

    def load_state_dict(self, state_dict: dict) -> None:
        """Continues where `state_dict()` was taken; the generator must be of the same device kind.

        Raises:
            InputError: the state is of another optimiser, or of a generator of another device.
        """
        sampler = state_dict.get("sampler")
        if sampler is None:
            raise InputError("expected the state of an SGLD sampler, found one without 'sampler'")
        if sampler["device"] != self.generator.device.type:
            raise InputError(
                f"the sampler's random state is from a {sampler['device']} generator, but this one "
                f"runs on {self.generator.device.type}: resume on the same kind of device"
            )
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        self.frozen = bool(sampler["frozen"])
        self._eps = sampler["eps"].to(self._eps.device, copy=True)
        self.generator.set_state(sampler["generator"].cpu())

    def _adapt(self, work: list[tuple[dict, list[Tensor], list[Tensor]]]) -> None:
        """Updates `v` of every preconditioned group and the common `eps`."""
        totals, count = [], 0
        for group, params, grads in work:
            if not group["precondition"] or not params:
                continue
            for param in params:
                state = self.state[param]
                state.setdefault("square_mean", torch.zeros_like(param))
                state["updates"] = state.get("updates", 0) + 1
            squares = [self.state[param]["square_mean"] for param in params]
            torch._foreach_mul_(squares, group["beta2"])
            torch._foreach_addcmul_(squares, grads, grads, value=1 - group["beta2"])
            totals += [root.sum() for root in self._roots(group, params)]
            count += sum(param.numel() for param in params)
        if count:
            # A tensor, not a number: reading it back would stall a GPU at every step. Where no
            # weight has had a gradient yet there is no scale, and G is 1.
            mean_root = torch.stack(totals).sum() / count
            self._eps = torch.where(mean_root > 0, EPS_FRACTION * mean_root, 1.0)

    def _roots(self, group: dict, params: list[Tensor]) -> list[Tensor]:
        """`sqrt(v)` without the bias of its start at zero."""
        roots = torch._foreach_sqrt([self.state[param]["square_mean"] for param in params])
        unbiased = [
            1 / math.sqrt(1 - group["beta2"] ** self.state[param]["updates"]) for param in params
        ]
        torch._foreach_mul_(roots, unbiased)
        return roots

    def _move_scaled(self, group: dict, params: list[Tensor], grads: list[Tensor]) -> None:
        inverse = self._roots(group, params)  # 1 / G
        torch._foreach_add_(inverse, self._eps)
        torch._foreach_addcdiv_(params, grads, inverse, value=-group["lr"])
        if deviation := _noise_deviation(group):
            torch._foreach_sqrt_(inverse)
            torch._foreach_addcdiv_(params, self._noise(params), inverse, value=deviation)

    def _noise(self, params: list[Tensor]) -> list[Tensor]:
        return standard_noise(params, self.generator)


def _gradients(group: dict) -> tuple[list[Tensor], list[Tensor]]:
    """The moving parameters of a group and `grad(L)` of each, prior included."""
    params = [param for param in group["params"] if param.requires_grad]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
    if group["prior_precision"] and params:
        shrink = group["prior_precision"] / group["num_data"]
        grads = list(torch._foreach_add(grads, params, alpha=shrink))
    return params, grads


def _noise_deviation(group: dict) -> float:
    return math.sqrt(2 * group["lr"] * group["temperature"] / group["num_data"])


def standard_noise(params: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Standard normal tensors like `params`, cut from one draw (one launch instead of hundreds)."""
    first = params[0]
    sizes = [param.numel() for param in params]
    flat = torch.randn(sum(sizes), generator=generator, device=generator.device, dtype=first.dtype)
    pieces = flat.to(first.device).split(sizes)
    return [piece.view(param.shape) for piece, param in zip(pieces, params, strict=True)]


def _check_settings(group: dict) -> None:
    ranges = {
        "lr": group["lr"] > 0,
        "num_data": group["num_data"] > 0,
        "temperature": group["temperature"] >= 0,
        "prior_precision": group["prior_precision"] >= 0,
        "beta2": 0 <= group["beta2"] < 1,
    }
    for name, good in ranges.items():
        if not good:
            raise InputError(f"SGLD: {name} is out of its range, found {group[name]}")
    for param in group["params"]:
        if param.dtype not in (torch.float32, torch.float64):
            raise InputError(
                f"SGLD needs float32 or float64 parameters, found {param.dtype}: its noise would "
                "be rounded away (use autocast, which keeps the weights in float32)"
            )
