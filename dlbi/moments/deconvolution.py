"""Non-negative maximum likelihood of the density from mean, variance and lag covariance at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.dlbi.moments.background import smooth_background
from bayesdl_sim.dlbi.moments.calibration import Calibration
from bayesdl_sim.dlbi.moments.evidence import TINY, Evidence, evidence_of, reliability
from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.utils.console.progress import Report, unreported
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "Density",
    "density_of",
    "half_difference",
    "held_out_iterations",
    "polished",
    "richardson_lucy",
]

# Iterations at which held-out frames are scored, and those of the smooth estimates.
CHECKPOINTS = (20, 30, 45, 70, 100, 150, 220, 300, 450, 700, 1000)
EARLY, MIDDLE = 30, 100
QUIET, STEADY = 0.01, 60  # weight of the mean and iterations of the fit that finds the background
MOST_SHARED = 0.1  # correlation of emission in neighbouring frames
HEAD_START = 150  # iterations that a start from the network's estimate saves
MAX_EXTRAPOLATION = 0.98
ALIVE = 1e-3  # of the mean light, in every pixel of an estimate that is polished
LEAST = 1e-3  # of the mean image, where a sum of separable terms is less, or even negative


class Solution(NamedTuple):
    """Light (8(H + 2M), 8(W + 2M)), background (H, W) and pulses of the fluctuations."""

    light: Tensor
    background: Tensor
    pulses: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Density:
    """The estimate of stage 2.

    Args:
        light: (8(H + 2M), 8(W + 2M)) mean electrons per frame from each fine pixel, with a margin
            of M camera pixels around the field.
        early: the same after few iterations: smooth, of low variance.
        middle: the same after some more of them, `light` itself where there are no more.
        background: (H, W) electrons per camera pixel and frame, in the units of
            `Calibration.electrons`; it varies slowly, see `moments.background`.
        pulse: excess variance per mean electron: the electrons of an emission times the share of
            dark frames.
        iterations: number of accelerated iterations, chosen by held-out frames.
    """

    light: Tensor
    early: Tensor
    middle: Tensor
    background: Tensor
    pulse: float
    iterations: int


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
        self.smooth = smooth_background(tuple(evidence.mean.shape))
        self.pulses: tuple[float, ...] = ()

    def _weighed(self, image: Tensor) -> Tensor:
        """The adjoint of an image (H, W) with the weight of the mean."""
        weight, adjoint = self.evidence.weight, self.evidence.imaging.adjoint
        return adjoint(weight * image) if isinstance(weight, Tensor) else weight * adjoint(image)

    def __call__(self, light: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
        evidence = self.evidence
        expected = evidence.imaging.forward(light) + self.smooth.image(background)
        ratio = evidence.mean / (expected + TINY).clamp(min=self.least)
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


def held_out_iterations(
    moments: Moments,
    calibration: Calibration,
    imaging: Imaging,
    background: Tensor,
    report: Report = unreported,
) -> int:
    """Number of iterations after which one half of the frames predicts the other one best.

    The score is the Poisson likelihood of the shape, `sum(y log m)` with `sum m = sum y`, since
    bleaching makes the halves differ in brightness. It rises and then falls: two checkpoints in a
    row that are worse than the best end the search. The halves are the even and the odd frames.
    Where emissions last for several frames, these would share them, and the number of iterations
    would be too large: there, the halves alternate in runs of many frames. A fixed pattern of the
    camera is common to both halves, so that fitting it counts as a success. Where there is one, the
    search also ends as soon as the estimate explains its half to within noise and pattern.

    Args:
        background: (H, W) electrons per pixel to begin with.
        report: called with the iterations done and the most there can be.
    """
    excess = moments.variance - calibration.gain * (moments.mean - calibration.shift)
    shared = float(moments.lag.sum() / excess.sum().clamp(min=TINY))
    halves = moments.halves if shared < MOST_SHARED else moments.turns
    first, second = (calibration.electrons(half).clamp(min=TINY) for half in halves)
    frames = moments.frames / 2
    kept = reliability(first, calibration, frames)
    evidence = Evidence(mean=first, frames=frames, imaging=imaging, reliability=kept)
    pattern = calibration.pattern
    error = None if pattern is None else first / frames + pattern.variance
    likelihoods: list[float] = []

    def rises(solution: Solution) -> bool:
        expected = (imaging.forward(solution.light) + solution.background + TINY).double()
        likelihoods.append(float((second.double() * (expected / expected.mean()).log()).sum()))
        if error is not None and float(((first - expected).square() / error).mean()) < 1:
            return False
        return max(likelihoods[-2:]) >= max(likelihoods)

    most, what = CHECKPOINTS[-1], "iterations on half of the frames"
    richardson_lucy(
        evidence, most, background, CHECKPOINTS, go_on=rises, stepped=_counted(report, most, what)
    )
    return CHECKPOINTS[likelihoods.index(max(likelihoods))]


def density_of(
    moments: Moments,
    calibration: Calibration,
    share: float = 1.0,
    iterations: int | None = None,
    path: str = "movie",
    report: Report = unreported,
) -> Density:
    """The estimate of stage 2: non-negative maximum likelihood, stopped by held-out frames.

    Args:
        share: weight of the fluctuations, see `evidence_of`; 0: Richardson-Lucy of the mean.
        iterations: number of accelerated iterations, in place of the choice by held-out frames.
        report: called as the iterations go on.

    Raises:
        InputError: the iterations diverge.
    """
    imaging = calibration.imaging(tuple(moments.mean.shape))
    evidence = evidence_of(moments, calibration, imaging, share)
    background = _steady(evidence)
    if iterations is None:
        iterations = held_out_iterations(moments, calibration, imaging, background, report)
    iterations = max(iterations, EARLY)
    kept_at = (EARLY, min(MIDDLE, iterations))
    stepped = _counted(report, iterations, "iterations on all frames")
    solution, solutions = richardson_lucy(
        evidence, iterations, background, kept_at, stepped=stepped
    )
    if not bool(solution.light.isfinite().all()):
        names = [name.replace("fwhm_px", "fwhm_nm") for name in calibration.estimated]
        advice = f"give {' or '.join(names)} in place of what was estimated from the movie"
        raise InputError(
            f"{path}: the estimate of the density has no finite values; "
            f"{advice if names else 'check fwhm_nm, gain and offset'}"
        )
    early, middle = (solutions[number].light for number in kept_at)
    return Density(
        light=solution.light,
        early=early,
        middle=middle,
        background=solution.background,
        pulse=solution.pulses[0] if solution.pulses else 0.0,
        iterations=iterations,
    )


def polished(
    moments: Moments,
    calibration: Calibration,
    density: Density,
    light: Tensor,
    report: Report = unreported,
) -> Tensor:
    """Steps of the likelihood from another estimate, such as a network's: (8H, 8W).

    As many as stage 2 took from a flat start minus `HEAD_START`, and at least half of them. Where
    the movie is informative, they correct what contradicts it, and elsewhere they change little.

    Args:
        light: (8H, 8W) electrons per frame and fine pixel to begin with.
        report: called with the steps done and their number.
    """
    imaging = calibration.imaging(tuple(moments.mean.shape))
    start = density.light.clone()
    # A pixel of exactly zero would stay zero, whatever the data.
    imaging.crop(start).copy_(light + ALIVE * light.mean())
    evidence = evidence_of(moments, calibration, imaging)
    steps = max(density.iterations // 2, density.iterations - HEAD_START)
    stepped = _counted(report, steps, "steps of the likelihood")
    solution, _ = richardson_lucy(evidence, steps, density.background, start=start, stepped=stepped)
    return imaging.crop(solution.light)


def half_difference(
    moments: Moments, calibration: Calibration, iterations: int, report: Report = unreported
) -> Tensor:
    """Half the difference of the estimates from even and from odd frames, on the padded grid.

    It is the standard error of their mean, from a single difference in each fine pixel.

    Args:
        report: called as the iterations on both halves go on.
    """
    imaging = calibration.imaging(tuple(moments.mean.shape))
    lights = []
    for number, half in enumerate(moments.halves, start=1):
        stepped = _counted(report, iterations, f"iterations on half {number}")
        mean = calibration.electrons(half).clamp(min=TINY)
        evidence = Evidence(mean=mean, frames=moments.frames / 2, imaging=imaging)
        solution, _ = richardson_lucy(evidence, iterations, _darkest(mean), stepped=stepped)
        lights.append(solution.light)
    return (lights[0] - lights[1]).abs() / 2


def _counted(report: Report, total: int, what: str) -> Callable[[int], None]:
    return lambda number: report(number, total, what)


def _steady(evidence: Evidence) -> Tensor:
    """Initial background (H, W): light that varies slowly and does not fluctuate.

    Estimated by a short fit in which the mean has so little weight that fluctuations determine
    where there are fluorophores. From a flat start, the full fit would explain haze by a net of
    faint fluorophores, and take thousands of iterations to remove them, since they would have to
    blink.
    """
    start = _darkest(evidence.mean)
    if not evidence.fluctuations:
        return start
    faint = replace(evidence, frames=evidence.frames * QUIET)
    return richardson_lucy(faint, STEADY, start)[0].background


def _darkest(mean: Tensor) -> Tensor:
    """Initial background: the darkest hundredth of the pixels, everywhere."""
    return torch.full_like(mean, float(mean.quantile(0.01)))
