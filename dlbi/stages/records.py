"""Options of a reconstruction, what is measured before any stage, and the result of a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.dlbi.moments.calibration import Calibration
from bayesdl_sim.dlbi.moments.statistics import Moments
from bayesdl_sim.dlbi.movies.drift import Drift
from bayesdl_sim.dlbi.movies.reading import Movie

__all__ = ["DEFAULT_STAGE", "STAGES", "Prepared", "Settings", "StageResult"]

STAGES = ("moments", "network", "bayes")
DEFAULT_STAGE = "bayes"


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
        movie: the frames that are used, as they were recorded.
        moments: moments of the drift-free frames.
        drift: measured drift.
        calibration: calibration of camera and optics.
        frames: (n, H, W) counts of some frames, evenly spread.
        faulty: (H, W) mask of faulty pixels, filled from their neighbours.
        warnings: warnings on borderline values.
    """

    movie: Movie
    moments: Moments
    drift: Drift
    calibration: Calibration
    frames: Tensor
    faulty: Tensor
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """Estimate of the structure by one stage, maps of (8H, 8W) float32.

    Args:
        name: name of the stage.
        structure: fluorophores per fine pixel; of the moments stage, emissions of light in units
            of a pulse, since mean and variance do not determine how often a fluorophore emits.
        probability: probability that a fluorophore lies in the fine pixel.
        uncertainty: uncertainty of the structure, in its units.
        uncertainty_is: what that map is, the same for every movie.
        seconds: CPU time that the stage took by itself, of all threads.
        facts: further values for the record.
        draws: function of their number and a generator that draws numbers of fluorophores,
            (n, 8H, 8W), from the posterior of the Bayesian stage; None of other stages.
    """

    name: str
    structure: NDArray[np.float32]
    probability: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    uncertainty_is: str
    seconds: float
    facts: dict[str, Any]
    draws: Callable[[int, np.random.Generator | torch.Generator], NDArray] | None = None
