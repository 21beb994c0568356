"""From a movie to a structure: each stage starts from the result of the one before it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.dlbi.moments.deconvolution import Density, density_of, half_difference, polished
from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.movies.drift import first_frames
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.network.features import features_of
from bayesdl_sim.dlbi.network.posterior import NetworkPosterior, Predicted, load_posterior
from bayesdl_sim.dlbi.refine import refine
from bayesdl_sim.dlbi.simulation.scenes import FWHM_PX
from bayesdl_sim.dlbi.stages.preparing import FIRST_FRAMES, prepare
from bayesdl_sim.dlbi.stages.records import Prepared, Settings, StageResult
from bayesdl_sim.utils.console.progress import Report, unreported

__all__ = ["confirmed", "run_stages", "untrained_width"]

# Probability of occupation, as the members state it, above which the light is not reduced. The map
# that calibrates it depends on the density of the field; where there is light does not.
CONFIRMED = 0.02
# Factor beyond the widths that the members were trained on; the estimate is 3 % off (rms).
OTHER_WIDTH = 1.1
# What the map of uncertainties is.
OF_MOMENTS = (
    "half the difference of the structures from the even and from the odd frames, which is the "
    "standard error of their mean"
)
OF_NETWORK = "standard deviation of the structure between the members of the network"
OF_BAYES = "width of the central 90 % of the number of fluorophores in the fine pixel"


def run_stages(
    movie: Movie, settings: Settings, report: Report = unreported
) -> tuple[Prepared, list[StageResult]]:
    """Runs all stages up to the requested one.

    Args:
        report: called with (done, total, what) as the work goes on.

    Returns:
        The prepared movie, and the result of each stage; the last is the requested one.
    """
    prepared = prepare(movie, settings, report)
    started = time.process_time()
    density = density_of(prepared.moments, prepared.calibration, path=movie.name, report=report)
    if density.note:
        prepared = replace(prepared, warnings=[*prepared.warnings, density.note])
    alone = settings.stage == "moments"
    results = [_moments_result(prepared, density, started, report if alone else None)]
    if not alone:
        started = time.process_time()
        posterior = load_posterior(
            settings.members, settings.device, settings.dtype, settings.limit
        )
        notes = [posterior.note, untrained_width(prepared.calibration.fwhm_px)]
        notes = [text for text in notes if text]
        prepared = replace(prepared, warnings=[*prepared.warnings, *notes])
        features = features_of(prepared.moments, prepared.calibration, density, prepared.frames)
        predicted = posterior.predict(features, report)
        light = predicted.density * predicted.brightness_e
        steps = polished(prepared.moments, prepared.calibration, density, light, report)
        light = confirmed(steps, light, predicted.stated)
        predicted = replace(predicted, density=light / predicted.brightness_e)
        results.append(_network_result(posterior, predicted, started))
    if settings.stage == "bayes":
        results.append(_bayes_result(prepared, density, results[-1], settings, report))
    return prepared, results


def untrained_width(fwhm_px: float) -> str:
    """A sentence where the members were not trained on spots of this width, else empty."""
    low, high = FWHM_PX
    if low / OTHER_WIDTH <= fwhm_px <= high * OTHER_WIDTH:
        return ""
    return (
        f"spots {fwhm_px:.2f} px wide are unlike those that the network was trained on ({low:g} to "
        f"{high:g} px): compare with --stage moments, which may be better"
    )


def confirmed(light: Tensor, before: Tensor, probability: Tensor) -> Tensor:
    """Light of the likelihood steps, where the network predicts fluorophores.

    Faint haze, which no density on the fine grid explains, turns into a net of ripples in the steps
    of the likelihood. Where the probability p of occupation is below `CONFIRMED`, the light is
    blended with that before these steps, if that was less: `w light + (1 - w) min(light, before)`
    with `w = min(p / CONFIRMED, 1)`.

    Args:
        light, before: (8H, 8W) after and before the steps.
        probability: (8H, 8W) of occupation, without calibration.
    """
    weight = (probability / CONFIRMED).clamp(max=1.0)
    return torch.lerp(torch.minimum(light, before), light, weight)


def _moments_result(
    prepared: Prepared, density: Density, started: float, report: Report | None
) -> StageResult:
    """The moments stage; with its uncertainty, of which `report` is told, if it is the last."""
    pulse = max(density.pulse, 1e-6)
    structure = Imaging.crop(density.light).numpy() / pulse
    if report is not None:
        taken = (prepared.moments, prepared.calibration, density.iterations)
        spread = half_difference(*taken, report)
        uncertainty, meaning = Imaging.crop(spread).numpy() / pulse, OF_MOMENTS
    else:  # not requested
        uncertainty, meaning = np.zeros_like(structure), "not computed for this stage"
    background, read_noise = float(density.background.mean()), prepared.calibration.read_noise_e
    facts = {
        "iterations": density.iterations,
        "background_e": background,
        "background_light_e": None if read_noise is None else background - read_noise**2,
        "pulse_e": density.pulse,
    }
    return StageResult(
        name="moments",
        structure=structure,
        probability=-np.expm1(-structure),
        uncertainty=uncertainty,
        uncertainty_is=meaning,
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
        uncertainty_is=OF_NETWORK,
        seconds=time.process_time() - started,
        facts={
            "members": members,
            "calibrated": posterior.calibration is not None,
            "brightness_e": predicted.brightness_e,
        },
    )


def _bayes_result(
    prepared: Prepared,
    density: Density,
    before: StageResult,
    settings: Settings,
    report: Report,
) -> StageResult:
    """The Bayesian stage on at most `FIRST_FRAMES` frames."""
    started = time.process_time()
    frames = first_frames(prepared.movie, prepared.drift, prepared.faulty, FIRST_FRAMES)
    calibration = prepared.calibration
    refined = refine(
        calibration.electrons(frames).numpy(),
        before.structure,
        calibration.sigma_px,
        density.still_light(prepared.moments, calibration).numpy(),
        generator=torch.Generator().manual_seed(settings.seed),
        probability=before.probability,
        progress=lambda done, total: report(done, total, "sweeps"),
    )
    # Where the weight of the samples is zero, the network's structure is kept: its probability is
    # calibrated, and its number of fluorophores is learned. The credible width then is that of its
    # numbers.
    changed = refined.weight > 0
    return StageResult(
        name="bayes",
        structure=refined.density if changed else before.structure,
        probability=refined.probability if changed else before.probability,
        uncertainty=refined.credible_width,
        uncertainty_is=OF_BAYES,
        seconds=time.process_time() - started,
        facts={
            "frames": len(frames),
            "sweeps": refined.sweeps,
            "weight": refined.weight,
            "held_out_emissions": refined.emissions,
            "held_out_gain_nats": refined.gain,
        },
        draws=refined.draws,
    )
