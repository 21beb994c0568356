"""A SIM problem whose posterior is known in closed form: a reference for sampler and prediction.

Random smooth fields `x ~ N(0, C)` go through fringes, OTF and camera pixels; Gaussian noise is
added. A linear network `y = W raw` estimates the super-resolved pixels of the central camera pixel
from its nine frames. Everything is jointly Gaussian, so the best `W`, the variance that no network
can remove, and the posterior of `W` after N fields are known exactly.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdl_sim.bayes.sgld import SGLD
from bayesdl_sim.physics.illumination import Illumination, patterns
from bayesdl_sim.physics.image_formation import bin_to_camera
from bayesdl_sim.physics.optics import Optics, apply_otf, otf

__all__ = ["LinearSim", "closed_form", "linear_members", "linear_sim", "sample_weights"]

SIDE = 12  # camera pixels of the periodic field
GRAIN = 0.7  # super-resolved pixels, sigma of the Gaussian that makes the fields smooth
PRIOR_PRECISION = 1.0  # of every weight; raw and target have unit variance


@dataclass(frozen=True)
class LinearSim:
    """The problem, reduced to nine raw values and four targets, all float64.

    Args:
        joint: (13, 13) Cholesky factor of the covariance of nine raw values and four targets.
        weights: (4, 9), the best linear reconstruction, `Cov(y, raw) Cov(raw)^-1`.
        residual: (4,), variance of the target that it leaves: the aleatoric variance.
    """

    joint: Tensor
    weights: Tensor
    residual: Tensor

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Raw values (count, 9) and targets (count, 4) of new fields."""
        noise = torch.randn(count, len(self.joint), generator=generator, dtype=torch.float64)
        values = noise @ self.joint.T
        return values[:, :9], values[:, 9:]


def linear_sim(noise: float = 0.5, modulation: float = 0.9) -> LinearSim:
    """Builds the problem from the physics of `physics.image_formation`, without its clipping at
    zero.

    Args:
        noise: standard deviation of the camera noise over that of the signal.
        modulation: modulation of the fringes.
    """
    shape, centre = (2 * SIDE, 2 * SIDE), SIDE // 2
    basis = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, 1, *shape)
    turns = tuple(0.2 + o * math.pi / 3 for o in range(3))
    steps = tuple(tuple(2 * math.pi * p / 3 for p in range(3)) for _ in turns)
    light = patterns(Illumination((0.3,) * 3, turns, steps, (modulation,) * 3), shape)
    transfer = otf(Optics(na=1.3, emission_nm=560.0, pixel_size_nm=65.0), shape)
    frames = bin_to_camera(apply_otf(basis * light, transfer))
    forward = frames[:, :, centre, centre].T  # (9, fine pixels)
    prior = _smooth_covariance(shape[0])
    fine = [(2 * centre + i) * shape[1] + 2 * centre + j for i in (0, 1) for j in (0, 1)]
    forward = torch.cat([forward, torch.eye(len(prior), dtype=torch.float64)[fine]])
    covariance = forward @ prior @ forward.T
    covariance[range(9), range(9)] += noise**2 * covariance[range(9), range(9)].mean()
    scale = covariance.diagonal().rsqrt()
    covariance = covariance * scale[:, None] * scale
    raw, cross = covariance[:9, :9], covariance[9:, :9]
    weights = torch.linalg.solve(raw, cross.T).T
    residual = 1 - (weights * cross).sum(dim=1)
    return LinearSim(torch.linalg.cholesky(covariance), weights, residual)


def _smooth_covariance(side: int) -> Tensor:
    """Covariance of unit-variance fields on a periodic square: white noise, blurred by `GRAIN`."""
    place = torch.arange(side, dtype=torch.float64)
    distance = (place[:, None] - place).abs()
    distance = torch.minimum(distance, side - distance)
    line = torch.exp(-(distance**2) / (4 * GRAIN**2))
    return torch.kron(line, line)


def closed_form(problem: LinearSim, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (4, 9) and covariances (4, 9, 9) of the weights after these data.

    `Sigma = (X'X / s^2 + P 1)^-1`, `mean = Sigma X'y / s^2` for each target pixel of residual
    variance `s^2`, with the prior `N(0, 1 / P)`.
    """
    precision = raw.T @ raw / problem.residual[:, None, None]
    covariance = torch.linalg.inv(precision + PRIOR_PRECISION * torch.eye(9, dtype=raw.dtype))
    evidence = (target.T @ raw) / problem.residual[:, None]
    return (covariance @ evidence[..., None])[..., 0], covariance


def sample_weights(
    problem: LinearSim,
    raw: Tensor,
    target: Tensor,
    chains: int,
    generator: torch.Generator,
    steps: int = 600,
    step_size: float = 0.02,
) -> Tensor:
    """Weights (chains, 4, 9) drawn by `bayes.sgld.SGLD`, one after `steps` of each chain.

    The mean energy per field is `sum_j (y_j - W_j x)^2 / (2 s_j^2)`, `N` the number of fields. The
    sums over the fields are taken once, which changes no gradient.
    """
    count = len(raw)
    square, cross = raw.T @ raw / count, target.T @ raw / count
    weights = torch.nn.Parameter(torch.zeros(chains, *problem.weights.shape, dtype=raw.dtype))
    sampler = SGLD(
        [weights], step_size, count, prior_precision=PRIOR_PRECISION, generator=generator
    )
    for _ in range(steps):
        sampler.zero_grad()
        misfit = ((weights @ square) * weights - 2 * weights * cross).sum(dim=-1)
        (misfit / (2 * problem.residual)).sum().backward()
        sampler.step()
    return weights.detach()


def linear_members(
    problem: LinearSim, draws: Tensor
) -> list[Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """The draws as members for `bayes.prediction.predict`: raw (n, 9) -> mean and log-variance."""
    log_var = problem.residual.log()

    def member(weights: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        return lambda raw: (raw @ weights.T, log_var.expand(len(raw), -1))

    return [member(weights) for weights in draws]
