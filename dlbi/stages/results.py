"""Files of a reconstruction: maps, overview, and the record of their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from bayesdl_sim.data.formats.tiff_writer import write_counts, write_map
from bayesdl_sim.dlbi.blinking import FINE
from bayesdl_sim.dlbi.stages.preparing import facts_of
from bayesdl_sim.dlbi.stages.records import Prepared, StageResult
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.folders.staging import staged
from bayesdl_sim.utils.pictures import write_overview
from bayesdl_sim.utils.run_log import provenance

__all__ = ["write_results"]

DRAWS = "Draws.tif"
FACTS = "reconstruction.json"  # present only beside a whole set of files
SHOWN_SIGMA = 1.0  # fine pixels: single bright pixels would be invisible in a small picture


def write_results(
    folder: Path,
    prepared: Prepared,
    results: list[StageResult],
    pixel_size_nm: float | None,
    record: dict[str, Any],
    draws: int = 0,
    seed: int = 0,
) -> None:
    """Writes Structure.tif, Probability.tif, Uncertainty.tif, Overview.png, reconstruction.json.

    They replace an earlier set together, once all of them are written.

    Args:
        results: results of all stages; the maps are those of the last.
        pixel_size_nm: pixel size of the camera; None where it is unknown.
        record: the movie and the settings, as plain values.
        draws: draws of the last stage for Draws.tif, which is written only then.
        seed: their seed.
    """
    last = results[-1]
    fine_nm = None if pixel_size_nm is None else pixel_size_nm / FINE
    maps = {
        "Structure": last.structure,
        "Probability": last.probability,
        "Uncertainty": last.uncertainty,
    }
    root = np.sqrt(gaussian_filter(last.structure, SHOWN_SIGMA))
    panels = {
        "mean image": prepared.moments.mean.numpy(),
        "structure (square root)": root,
        "probability": gaussian_filter(last.probability, SHOWN_SIGMA),
        "uncertainty": gaussian_filter(last.uncertainty, SHOWN_SIGMA),
    }
    stages = [
        {"stage": result.name, "uncertainty": result.uncertainty_is, **result.facts}
        for result in results
    ]
    facts = {
        **record,
        **facts_of(prepared),
        "pixel_size_nm": pixel_size_nm,
        "fine_pixel_size_nm": fine_nm,
        "uncertainty": last.uncertainty_is,
        "stages": stages,
        "versions": provenance(),
    }
    with staged(folder, [DRAWS], last=FACTS) as partial:
        for name, image in maps.items():
            write_map(partial / f"{name}.tif", image, fine_nm)
        if draws:
            drawn = last.draws(draws, torch.Generator().manual_seed(seed))
            write_counts(partial / DRAWS, drawn, fine_nm)
        write_overview(partial / "Overview.png", panels, fine_nm)
        write_json(partial / FACTS, facts)
