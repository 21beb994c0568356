"""The 3B analysis as a stage, for the tables: it uses no result of the other stages."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from bayesdl_sim.dlbi.movies.drift import first_frames
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.stages.pipeline import run_stages
from bayesdl_sim.dlbi.stages.preparing import FIRST_FRAMES
from bayesdl_sim.dlbi.stages.records import STAGES, Prepared, Settings, StageResult
from bayesdl_sim.dlbi.three_b import three_b
from bayesdl_sim.utils.console.progress import Report, unreported

__all__ = ["CHOICES", "run_stages_or_baseline", "three_b_result"]

CHOICES = (*STAGES, "3b")

PASSES = 60


def three_b_result(
    prepared: Prepared, settings: Settings, report: Report = unreported
) -> StageResult:
    """Runs the 3B analysis with random seeds and its own priors; only the width is measured.

    Returns:
        Structure: mean number of spots in a fine pixel. Uncertainty: standard deviation of that
        number, if spots were Poisson.
    """
    started = time.process_time()
    frames = first_frames(prepared.movie, prepared.drift, prepared.faulty, FIRST_FRAMES)
    analysis = three_b(
        frames.numpy(),
        generator=torch.Generator().manual_seed(settings.seed),
        passes=PASSES,
        width_px=prepared.calibration.sigma_px,
        progress=lambda done, total: report(done, total, "passes"),
    )
    return StageResult(
        name="3b",
        structure=analysis.density,
        probability=-np.expm1(-analysis.density),
        uncertainty=np.sqrt(analysis.density),
        uncertainty_is="standard deviation of the number of spots, if they were Poisson",
        seconds=time.process_time() - started,
        facts={"frames": len(frames), "passes": PASSES, "spots": list(analysis.counts)},
    )


def run_stages_or_baseline(
    movie: Movie, settings: Settings, report: Report = unreported
) -> tuple[Prepared, list[StageResult]]:
    """Runs the stages up to the requested one; for 3b, the moments and the 3B analysis."""
    if settings.stage != "3b":
        return run_stages(movie, settings, report)
    prepared, results = run_stages(movie, replace(settings, stage="moments"), report)
    return prepared, [*results, three_b_result(prepared, settings, report)]
