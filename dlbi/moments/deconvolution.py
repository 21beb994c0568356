"""Non-negative maximum likelihood of the density from mean, variance and lag covariance at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bayesdl_sim.dlbi.moments.calibration import Calibration
from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.moments.likelihood.background import SPACING
from bayesdl_sim.dlbi.moments.likelihood.evidence import (
    TINY,
    Evidence,
    evidence_of,
    reliability,
    without_static,
)
from bayesdl_sim.dlbi.moments.likelihood.richardson_lucy import Solution, richardson_lucy
from bayesdl_sim.dlbi.moments.static_light import (
    STILL_LEFT,
    light_maps,
    static_light,
    static_pixels,
    uneven_note,
)
from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.utils.console.progress import Report, unreported
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "Density",
    "density_of",
    "half_difference",
    "held_out_iterations",
    "polished",
]

# Iterations at which held-out frames are scored, and those of the smooth estimates.
CHECKPOINTS = (20, 30, 45, 70, 100, 150, 220, 300, 450, 700, 1000)
EARLY, MIDDLE = 30, 100
QUIET, STEADY = 0.01, 60  # weight of the mean and iterations of the fit that finds the background
QUIETER, STEADIER = 0.001, 100  # the same where that leaves light that does not blink
PASSES = 4  # of that fit, each without the pixels that hold such light after the one before
MOST_SHARED = 0.1  # correlation of emission in neighbouring frames
ALONE = 45  # iterations without any mean; the NCC of four movies was best from 30 to 60
HEAD_START = 150  # iterations that a start from the network's estimate saves
ALIVE = 1e-3  # of the mean light, in every pixel of an estimate that is polished


@dataclass(frozen=True, kw_only=True)
class Density:
    """The estimate of stage 2.

    Args:
        light: (8(H + 2M), 8(W + 2M)) mean electrons per frame from each fine pixel, with a margin
            of M camera pixels around the field.
        early: the same after few iterations: smooth, of low variance.
        middle: the same after some more of them, `light` itself where there are no more.
        background: (H, W) electrons per camera pixel and frame, in the units of
            `Calibration.electrons`; it varies slowly, see `likelihood.background`.
        pulse: excess variance per mean electron: the electrons of an emission times the share of
            dark frames.
        iterations: number of accelerated iterations, chosen by held-out frames.
        static: (H, W) mask of light that does not blink and is no smooth background; None where
            there is none, and where the usual background explains it.
        note: a sentence on light that does not blink, or empty.
    """

    light: Tensor
    early: Tensor
    middle: Tensor
    background: Tensor
    pulse: float
    iterations: int
    static: Tensor | None = None
    note: str = ""

    def still_light(self, moments: Moments, calibration: Calibration) -> Tensor:
        """The background (H, W) with what the estimate leaves in the pixels of `static`."""
        if self.static is None:
            return self.background
        expected = calibration.imaging(tuple(moments.mean.shape)).forward(self.light)
        left = calibration.electrons(moments.mean) - expected - self.background
        return self.background + (left * self.static).clamp(min=0)


def held_out_iterations(
    moments: Moments,
    calibration: Calibration,
    imaging: Imaging,
    background: Tensor,
    static: Tensor | None = None,
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
    if static is not None and bool(static.all()):
        return ALONE
    excess = moments.variance - calibration.gain * (moments.mean - calibration.shift)
    shared = float(moments.lag.sum() / excess.sum().clamp(min=TINY))
    halves = moments.halves if shared < MOST_SHARED else moments.turns
    first, second = (calibration.electrons(half).clamp(min=TINY) for half in halves)
    frames = moments.frames / 2
    kept = reliability(first, calibration, frames)
    evidence = Evidence(mean=first, frames=frames, imaging=imaging, reliability=kept)
    evidence = without_static(evidence, static)
    pattern = calibration.pattern
    error = None if pattern is None else first / frames + pattern.variance
    likelihoods: list[float] = []

    def rises(solution: Solution) -> bool:
        expected = (imaging.forward(solution.light) + solution.background + TINY).double()
        if static is not None:
            expected = torch.where(static, second.double(), expected)
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
    background, note = _steady(evidence), ""
    maps = light_maps(moments, calibration, background)
    if evidence.fluctuations and static_pixels(maps) is not None:
        evidence, background, note = _steadier(moments, calibration, evidence)
    static = evidence.static
    if iterations is None:
        iterations = held_out_iterations(moments, calibration, imaging, background, static, report)
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
        static=static,
        note=note,
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
    evidence = without_static(evidence_of(moments, calibration, imaging), density.static)
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


def _steadier(
    moments: Moments, calibration: Calibration, evidence: Evidence
) -> tuple[Evidence, Tensor, str]:
    """Evidence, initial background and a note, where some light does not blink.

    A longer fit, from the blurred mean and with finer bumps, explains what varies smoothly; the
    usual one starts from the darkest pixels, and stops far below a steep slope. What is left is
    masked: there the fluctuations alone determine the density. They do so everywhere if it is more
    than a few spots, since the mean then is that of another structure.
    """
    static = torch.zeros_like(evidence.mean, dtype=torch.bool)
    blurred = gaussian_filter(evidence.mean.numpy(), SPACING, mode="nearest")
    start = torch.from_numpy(blurred)
    for _ in range(PASSES):
        evidence = without_static(evidence, static)
        faint = replace(evidence, frames=evidence.frames * QUIETER)
        background = richardson_lucy(faint, STEADIER, start)[0].background
        maps = light_maps(moments, calibration, background)
        left = static_pixels(maps, STILL_LEFT)
        if left is None or bool((left <= static).all()):
            break
        static = static | left
    found = static_light(static, maps, calibration.fwhm_px)
    if found.is_structure:
        evidence = without_static(evidence, torch.ones_like(static))
    return evidence, background, found.note or uneven_note(background)


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
