"""From a movie to a structure: each stage starts from the result of the one before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.dlbi.moments.calibration import Calibration, calibrate
from bayesdl_sim.dlbi.moments.deconvolution import Density, density_of, half_difference, polished
from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.moments.statistics import Moments, MomentSums
from bayesdl_sim.dlbi.movies.checks import check_moments
from bayesdl_sim.dlbi.movies.drift import Drift, block_means, corrected, measure_drift
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.network.features import chosen_frames, features_of
from bayesdl_sim.dlbi.network.posterior import NetworkPosterior, Predicted, load_posterior
from bayesdl_sim.dlbi.refine import refine

__all__ = [
    "DEFAULT_STAGE",
    "STAGES",
    "Prepared",
    "Settings",
    "StageResult",
    "confirmed",
    "facts_of",
    "prepare",
    "run_stages",
]

STAGES = ("moments", "network", "bayes")
DEFAULT_STAGE = "bayes"
CONFIRMED = 0.02  # probability of occupation above which the light is not reduced
BAYES_FRAMES = 400  # frames at the beginning of a longer movie that the Bayesian stage uses
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of a reconstruction; None is estimated from the movie.

    Args:
        stage: the last stage, one of `STAGES`.
        fwhm_px: full width at half maximum of the spots, camera pixels.
        gain: counts per electron.
        offset: counts of a dark pixel.
        members: folder of the network's members, None: the shipped ones.
        limit: number of members that predict, None: all.
        seed: seed of the Bayesian stage.
        device, dtype: device and number type of the network's arithmetic.
    """

    stage: str = DEFAULT_STAGE
    fwhm_px: float | None = None
    gain: float | None = None
    offset: float | None = None
    members: Path | None = None
    limit: int | None = None
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Measurements on a movie before any stage.

    Args:
        moments: moments of the drift-free frames.
        drift: measured drift.
        calibration: calibration of camera and optics.
        frames: (n, H, W) counts of some frames, evenly spread.
        warnings: warnings on borderline values.
    """

    moments: Moments
    drift: Drift
    calibration: Calibration
    frames: Tensor
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """Estimate of the structure by one stage, maps of (8H, 8W) float32.

    Args:
        name: name of the stage.
        structure: fluorophores per fine pixel; of the moments stage, emissions of light in units
            of a pulse, since mean and variance do not determine how often a fluorophore emits.
        probability: probability that a fluorophore lies in the fine pixel.
        uncertainty: uncertainty of the structure, in its units: half the difference of two halves
            of the movie (moments), standard deviation between members (network), credible width
            (bayes).
        seconds: CPU time that the stage took by itself, of all threads.
        facts: further values for the record.
    """

    name: str
    structure: NDArray[np.float32]
    probability: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    seconds: float
    facts: dict[str, Any]


def prepare(movie: Movie, settings: Settings) -> Prepared:
    """Reads the movie twice, piece by piece: for its drift, and for its moments.

    Raises:
        InputError: a movie that cannot be used, see `movies` and `moments.calibration`.
    """
    drift = measure_drift(block_means(movie), movie.name)
    sums, chosen, some_frames = MomentSums(movie.shape), chosen_frames(movie.frames), []
    start = 0
    for piece in corrected(movie, drift):
        sums.add(piece)
        inside = chosen[(chosen >= start) & (chosen < start + len(piece))]
        some_frames.append(piece[inside - start])
        start += len(piece)
    moments = sums.finish()
    warnings = check_moments(moments, movie.name)
    calibration = calibrate(
        moments, settings.fwhm_px, settings.gain, settings.offset, path=movie.name
    )
    return Prepared(
        moments=moments,
        drift=drift,
        calibration=calibration,
        frames=torch.cat(some_frames),
        warnings=warnings,
    )


def run_stages(
    movie: Movie, settings: Settings, progress: Progress = lambda text: None
) -> tuple[Prepared, list[StageResult]]:
    """Runs all stages up to the requested one.

    Returns:
        The prepared movie, and the result of each stage; the last is the requested one.
    """
    prepared = prepare(movie, settings)
    progress("moments")
    started = time.process_time()
    density = density_of(prepared.moments, prepared.calibration, path=movie.name)
    results = [_moments_result(prepared, density, started, settings.stage == "moments")]
    if settings.stage != "moments":
        progress("network")
        started = time.process_time()
        posterior = load_posterior(
            settings.members, settings.device, settings.dtype, settings.limit
        )
        features = features_of(prepared.moments, prepared.calibration, density, prepared.frames)
        predicted = posterior.predict(features)
        light = predicted.density * predicted.brightness_e
        steps = polished(prepared.moments, prepared.calibration, density, light)
        light = confirmed(steps, light, predicted.probability)
        predicted = replace(predicted, density=light / predicted.brightness_e)
        results.append(_network_result(posterior, predicted, started))
    if settings.stage == "bayes":
        progress("bayes")
        results.append(_bayes_result(movie, prepared, density, results[-1], settings))
    return prepared, results


def confirmed(light: Tensor, before: Tensor, probability: Tensor) -> Tensor:
    """Light of the likelihood steps, where the network predicts fluorophores.

    Faint haze, which no density on the fine grid explains, turns into a net of ripples in the steps
    of the likelihood. Where the probability p of occupation is below `CONFIRMED`, the light is
    blended with that before these steps, if that was less: `w light + (1 - w) min(light, before)`
    with `w = min(p / CONFIRMED, 1)`.

    Args:
        light, before: (8H, 8W) after and before the steps.
        probability: (8H, 8W) of occupation.
    """
    weight = (probability / CONFIRMED).clamp(max=1.0)
    return torch.lerp(torch.minimum(light, before), light, weight)


def _moments_result(
    prepared: Prepared, density: Density, started: float, alone: bool
) -> StageResult:
    pulse = max(density.pulse, 1e-6)
    structure = Imaging.crop(density.light).numpy() / pulse
    if alone:
        spread = half_difference(prepared.moments, prepared.calibration, density.iterations)
        uncertainty = Imaging.crop(spread).numpy() / pulse
    else:  # not requested
        uncertainty = np.zeros_like(structure)
    facts = {
        "iterations": density.iterations,
        "background_e": float(density.background.mean()),
        "pulse_e": density.pulse,
    }
    return StageResult(
        name="moments",
        structure=structure,
        probability=-np.expm1(-structure),
        uncertainty=uncertainty,
        seconds=time.process_time() - started,
        facts=facts,
    )


def _network_result(
    posterior: NetworkPosterior, predicted: Predicted, started: float
) -> StageResult:
    members = [
        {"file": name, "sha256": digest}
        for name, digest in zip(posterior.names, posterior.hashes, strict=True)
    ]
    return StageResult(
        name="network",
        structure=predicted.density.numpy(),
        probability=predicted.probability.numpy(),
        uncertainty=predicted.spread.numpy(),
        seconds=time.process_time() - started,
        facts={
            "members": members,
            "calibrated": posterior.knots is not None,
            "brightness_e": predicted.brightness_e,
        },
    )


def _bayes_result(
    movie: Movie,
    prepared: Prepared,
    density: Density,
    before: StageResult,
    settings: Settings,
) -> StageResult:
    """The Bayesian stage on at most `BAYES_FRAMES` frames: those before most has bleached."""
    started = time.process_time()
    pieces, count = [], 0
    for piece in corrected(movie, prepared.drift):
        pieces.append(piece[: BAYES_FRAMES - count])
        count += len(pieces[-1])
        if count == BAYES_FRAMES:
            break
    calibration = prepared.calibration
    refined = refine(
        calibration.electrons(torch.cat(pieces)).numpy(),
        before.structure,
        calibration.sigma_px,
        density.background.numpy(),
        generator=torch.Generator().manual_seed(settings.seed),
        probability=before.probability,
    )
    # Where the weight of the samples is zero, the network's maps are kept: its probability is
    # calibrated, and its number of fluorophores is learned.
    changed = refined.weight > 0
    return StageResult(
        name="bayes",
        structure=refined.density if changed else before.structure,
        probability=refined.probability if changed else before.probability,
        uncertainty=refined.credible_width if changed else before.uncertainty,
        seconds=time.process_time() - started,
        facts={
            "frames": count,
            "sweeps": refined.sweeps,
            "weight": refined.weight,
            "held_out_emissions": refined.emissions,
            "held_out_gain_nats": refined.gain,
        },
    )


def facts_of(prepared: Prepared) -> dict[str, Any]:
    """The estimated and the given quantities, for the record."""
    calibration, drift = prepared.calibration, prepared.drift
    return {
        "frames": prepared.moments.frames,
        "calibration": {**asdict(calibration), "fwhm_px": calibration.fwhm_px},
        "drift": {
            "total_px": [float(value) for value in drift.total_px],
            "error_px": drift.error_px,
            "corrected": drift.corrected,
        },
        "warnings": prepared.warnings,
    }
