"""Density and smooth background of largest likelihood, by accelerated multiplicative steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.dlbi.moments.likelihood.background import FINER, SPACING, smooth_background
from bayesdl_sim.dlbi.moments.likelihood.evidence import TINY, Evidence

__all__ = ["Solution", "richardson_lucy"]

MAX_EXTRAPOLATION = 0.98
LEAST = 1e-3  # of the mean image, where a sum of separable terms is less, or even negative


class Solution(NamedTuple):
    """Light (8(H + 2M), 8(W + 2M)), background (H, W) and pulses of the fluctuations."""

    light: Tensor
    background: Tensor
    pulses: tuple[float, ...]


def richardson_lucy(
    evidence: Evidence,
    iterations: int,
    background: Tensor,
    keep: tuple[int, ...] = (),
    start: Tensor | None = None,
    go_on: Callable[[Solution], bool] = lambda solution: True,
    stepped: Callable[[int], None] = lambda number: None,
) -> tuple[Solution, dict[int, Solution]]:
    """Accelerated expectation maximisation (Richardson-Lucy where the mean is the only evidence).

    One step multiplies the light by `sum M'(w m / M x) / sum M' w` over all images m with models M
    and weights w. It starts from a point extrapolated along the last step,
    `y = x + a (x - x_before)`, with `a` the projection of the last move on the one before it.

    Args:
        iterations: number of steps.
        background: (H, W) electrons per pixel to begin with; its bumps are estimated jointly.
        keep: iterations whose solutions are also returned.
        start: light to begin with, on the padded grid; None: the same everywhere.
        go_on: called with each kept solution; false ends the iteration.
        stepped: called with the number of each step that is done.

    Source: Biggs and Andrews, Appl. Opt. 36, 1766 (1997), for the acceleration.
    """
    shape, step = evidence.imaging.fine_shape, _Step(evidence)
    light = float((evidence.mean - background).clamp(min=0).mean()) * evidence.mean.numel()
    x = torch.full(shape, max(light, TINY) / (shape[0] * shape[1])) if start is None else start
    b = step.smooth.average(background).clamp(min=TINY)
    before, move, last, solutions = None, None, None, {}
    for number in range(1, iterations + 1):
        y = x
        if last is not None:
            rate = float(torch.vdot(move.view(-1), last.view(-1)))
            rate /= max(float(torch.vdot(last.view(-1), last.view(-1))), 1e-30)
            rate = min(max(rate, 0.0), MAX_EXTRAPOLATION)
            y = torch.lerp(before, x, 1 + rate).clamp_(min=0)
        before = x
        x, b = step(y, b)
        last, move = move, x - y
        stepped(number)
        if number in keep:
            solutions[number] = Solution(x, step.smooth.image(b), step.pulses)
            if not go_on(solutions[number]):
                break
    return Solution(x, step.smooth.image(b), step.pulses), solutions


class _Step:
    """One multiplicative step on (light, weights of the background); remembers the pulses."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.squared = evidence, evidence.imaging.squared()
        ones = torch.ones_like(evidence.mean)
        is_sum = len(evidence.imaging.rows) > 1
        self.least = LEAST * float(evidence.mean.mean()) if is_sum else TINY
        self.sensitivity = self._weighed(ones)
        weights = [fluctuation.weight for fluctuation in evidence.fluctuations]
        self.sensitivities = [self.squared.adjoint(weight) for weight in weights]
        spacing = SPACING if evidence.static is None else FINER
        self.smooth = smooth_background(tuple(evidence.mean.shape), spacing)
        self.pulses: tuple[float, ...] = ()

    def _weighed(self, image: Tensor) -> Tensor:
        """The adjoint of an image (H, W) with the weight of the mean."""
        weight, adjoint = self.evidence.weight, self.evidence.imaging.adjoint
        return adjoint(weight * image) if isinstance(weight, Tensor) else weight * adjoint(image)

    def __call__(self, light: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
        evidence = self.evidence
        expected = evidence.imaging.forward(light) + self.smooth.image(background)
        ratio = evidence.mean / (expected + TINY).clamp(min=self.least)
        if evidence.static is not None:
            ratio = torch.where(evidence.static, 1.0, ratio)
        gain = self._weighed(ratio)
        norm = self.sensitivity
        if evidence.fluctuations:
            shape = (self.squared.forward(light) + TINY).clamp(min=TINY)
            back, pulses = torch.zeros_like(shape), []
            for (image, weight), sensitivity in zip(
                evidence.fluctuations, self.sensitivities, strict=True
            ):
                pulse = float((weight * image).sum() / (weight * shape).sum())
                back += weight * image / shape
                norm = torch.add(norm, sensitivity, alpha=pulse)
                pulses.append(pulse)
            gain += self.squared.adjoint(back)
            self.pulses = tuple(pulses)
        gain = gain.clamp(min=0.0)
        return light * gain / (norm + TINY), background * self.smooth.average(ratio)
