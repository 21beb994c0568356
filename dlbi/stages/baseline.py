"""The 3B analysis as a stage, for the tables: it uses nothing that the other stages found."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from bayesdl_sim.dlbi.movies.drift import corrected
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.stages.pipeline import (
    STAGES,
    Prepared,
    Progress,
    Settings,
    StageResult,
    run_stages,
)
from bayesdl_sim.dlbi.three_b import three_b

__all__ = ["CHOICES", "run_stages_or_baseline", "three_b_result"]

CHOICES = (*STAGES, "3b")

FRAMES = 400  # of a longer movie the beginning, as in the Bayesian stage
PASSES = 60


def three_b_result(movie: Movie, prepared: Prepared, settings: Settings) -> StageResult:
    """Runs the 3B analysis with random seeds and its own priors; only the width is measured.

    Returns:
        Structure: mean number of spots in a fine pixel. Uncertainty: standard deviation of that
        number, if spots were Poisson.
    """
    started = time.process_time()
    pieces, count = [], 0
    for piece in corrected(movie, prepared.drift):
        pieces.append(piece[: FRAMES - count])
        count += len(pieces[-1])
        if count == FRAMES:
            break
    found = three_b(
        torch.cat(pieces).numpy(),
        generator=torch.Generator().manual_seed(settings.seed),
        passes=PASSES,
        width_px=prepared.calibration.sigma_px,
    )
    return StageResult(
        name="3b",
        structure=found.density,
        probability=-np.expm1(-found.density),
        uncertainty=np.sqrt(found.density),
        seconds=time.process_time() - started,
        facts={"frames": count, "passes": PASSES, "spots": list(found.counts)},
    )


def run_stages_or_baseline(
    movie: Movie, settings: Settings, progress: Progress = lambda text: None
) -> tuple[Prepared, list[StageResult]]:
    """Runs the stages up to the one that is asked for; for 3b, the moments and the 3B analysis."""
    if settings.stage != "3b":
        return run_stages(movie, settings, progress)
    prepared, results = run_stages(movie, replace(settings, stage="moments"), progress)
    progress("3b")
    return prepared, [*results, three_b_result(movie, prepared, settings)]
