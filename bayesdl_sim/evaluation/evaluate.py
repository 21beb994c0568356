"""An evaluation from the folders to the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.evaluation.baselines import DECONVOLVED, WIENER, Baselines, fit_baselines
from bayesdl_sim.evaluation.calibrate import calibration_samples, calibrations_of
from bayesdl_sim.evaluation.cases import (
    CaseSettings,
    Cells,
    chosen_cells,
    each_case,
    list_stacks,
    require_use_of_optics,
    warn_of_training_cells,
)
from bayesdl_sim.evaluation.predicting import (
    Evaluated,
    PosteriorSettings,
    Sampling,
    labels,
    open_posterior,
    require_uncertainty,
)
from bayesdl_sim.evaluation.report.charts import quality_diagrams, uncertainty_diagrams
from bayesdl_sim.evaluation.report.summary import REPORT, lines_of, summarise, write_results
from bayesdl_sim.evaluation.scoring import OURS
from bayesdl_sim.evaluation.stacks import Results, Scorer
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.folders.staging import results_folder
from bayesdl_sim.utils.run_log import provenance

__all__ = ["EvaluationSettings", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is evaluated, and how.

    Attributes:
        root_dir: data set.
        pretrained_G: folder of the members that are evaluated.
        save_path: folder of the report.
        compare: other folders of members.
        calibration: a file, "none", or None for the one beside the members.
        classical: also make the classical images that take seconds per stack.
        cases: which cells are used.
        posterior: how the members are run.
        sampling: the pixels that stand for a stack, and the seed of all draws.
    """

    root_dir: Path
    pretrained_G: Path
    save_path: Path
    compare: tuple[Path, ...] = ()
    calibration: str | None = None
    classical: bool = True
    cases: CaseSettings = CaseSettings()
    posterior: PosteriorSettings = PosteriorSettings()
    sampling: Sampling = Sampling()


def evaluate(settings: EvaluationSettings) -> None:
    """Fits the baselines, scores every stack and writes the report.

    Raises:
        InputError: cells or members that cannot be used; after the report, if stacks were left out.
    """
    tree = DatasetTree(settings.root_dir)
    cells = chosen_cells(tree, settings.cases)
    require_use_of_optics(tree, [*cells.evaluated, *cells.fitted], settings.cases)
    if set(cells.evaluated) & set(cells.fitted):
        print("WARNING: calibration and baselines are fitted on cells that are evaluated too")
    warn_of_training_cells(tree, [*cells.evaluated, *cells.fitted])
    with results_folder(settings.save_path) as folder:
        _evaluate(folder, tree, cells, settings)


def _evaluate(folder: Path, tree: DatasetTree, cells: Cells, settings: EvaluationSettings) -> None:
    """The work, in a folder that belongs to this run alone."""
    posteriors = _open_posteriors(settings)
    require_uncertainty(posteriors[0].posterior)
    baselines, calibration = _fitted(tree, cells, posteriors[0], settings)
    pairs = list_stacks(tree, cells.evaluated, settings.cases.max_stacks)
    scorer = Scorer(
        posteriors=posteriors,
        baselines=baselines,
        calibration=calibration,
        sampling=settings.sampling,
        classical=settings.classical,
    )
    results = scorer.score(each_case(tree, pairs, "stacks to evaluate", settings.cases))
    if not results.samples:
        raise InputError(f"no stack could be evaluated: {' | '.join(results.left_out.values())}")
    _report(folder, results, scorer, cells, settings)
    if results.left_out:
        raise InputError(
            f"{len(results.left_out)} of {len(pairs)} stacks could not be evaluated (the others "
            f"are in {folder / REPORT}): {' | '.join(results.left_out.values())}"
        )


def _open_posteriors(settings: EvaluationSettings) -> list[Evaluated]:
    """The evaluated posterior and those beside it; a named calibration is of the first."""
    first = open_posterior(settings.pretrained_G, OURS, settings.posterior, settings.calibration)
    others = labels(settings.compare)
    return [first] + [
        open_posterior(path, label, settings.posterior) for label, path in others.items()
    ]


def _fitted(
    tree: DatasetTree, cells: Cells, evaluated: Evaluated, settings: EvaluationSettings
) -> tuple[Baselines, Calibration]:
    """Baselines of the cells to fit on; the stored calibration, or one fitted on them."""
    samples = calibration_samples(tree, cells.fitted, evaluated, settings.sampling, settings.cases)
    calibration = evaluated.posterior.calibration
    if not calibration.fitted_on and settings.calibration != "none":
        seed = settings.sampling.seed
        calibration = calibrations_of(samples, evaluated.posterior, tree, seed)[-1]
    baselines = fit_baselines(
        np.concatenate([sample.mean for sample in samples[-1]]),
        np.concatenate([sample.error for sample in samples[-1]]),
    )
    return baselines, calibration


def _report(
    folder: Path, results: Results, scorer: Scorer, cells: Cells, settings: EvaluationSettings
) -> None:
    """Tables, diagrams and files, and the main numbers on the terminal."""
    tables = summarise(results, scorer.calibration, settings.sampling.seed)
    deciles = {what: tables[f"Per {what} decile"] for what in ("intensity", "signal")}
    figures = uncertainty_diagrams(
        results.samples, scorer.baselines, scorer.calibration, deciles
    ) | quality_diagrams(results.images)
    notes = _notes(results, scorer, settings)
    facts = _facts(results, scorer, cells, settings)
    write_results(folder, results, tables, figures, facts, notes)
    print("\n".join([*notes, *lines_of(tables)]))
    print(f"results in {folder / REPORT}")


def _facts(
    results: Results, scorer: Scorer, cells: Cells, settings: EvaluationSettings
) -> dict[str, Any]:
    """The entries of summary.json beside the tables."""
    posterior, baselines = scorer.posteriors[0].posterior, scorer.baselines
    return {
        "set": str(settings.root_dir),
        "cells": cells.evaluated,
        "calibration_cells": cells.fitted,
        "left_out": results.left_out,
        "pixels_per_stack": settings.sampling.pixels,
        "members": posterior.hashes,
        "calibration": asdict(scorer.calibration),
        "calibration_stored": bool(posterior.calibration.fitted_on),
        "baselines": {
            "constant_sigma": baselines.constant,
            "intensity": baselines.intensity.intensity.tolist(),
            "sigma": baselines.intensity.sigma.tolist(),
        },
        "provenance": provenance(),
    }


def _notes(results: Results, scorer: Scorer, settings: EvaluationSettings) -> Sequence[str]:
    """What was evaluated, and how to read it."""
    cells = {sample.cell for sample in results.samples}
    posterior = scorer.posteriors[0].posterior
    stored = bool(posterior.calibration.fitted_on)
    origin = "stored with the members" if stored else "of this report alone"
    return [
        f"Set {settings.root_dir.resolve().name}: {len(results.samples)} stacks of {len(cells)} "
        f"cells. Posterior: {len(posterior.members)} members of {settings.pretrained_G}.",
        "Means are over cells; brackets are 95 % bootstrap intervals over cells. Stacks without a "
        "finite resolution are left out of its mean.",
        f"Calibration ({origin}): {'; '.join(scorer.calibration.describe())}",
        *(_without_classical(results, settings.cases) if settings.classical else ()),
    ]


def _without_classical(results: Results, settings: CaseSettings) -> list[str]:
    """Why classical images of some stacks are missing; empty where none are."""
    made = {(row["cell"], row["level"]) for row in results.images if row["method"] == WIENER}
    rows = [row for row in results.images if row["method"] == OURS]
    missing = [row for row in rows if (row["cell"], row["level"]) not in made]
    if not missing:
        return []
    needed = [] if settings.na else ["na", "wavelength_nm"]
    if any(math.isnan(row["sr_pixel_nm"]) for row in missing):
        needed.append("pixel_size_nm")
    return [
        f"{WIENER} and {DECONVOLVED} are left out for {len(missing)} of {len(rows)} stacks, whose "
        f"microscope the set does not state: give {', '.join(needed)}"
    ]
