"""Fits the calibration and the gate of a posterior on cells that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bayesdl_sim.bayes.calibration.fitting import CalibrationStack, fit_calibration
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.calibration.stored import CALIBRATION_FILE, write_calibrations
from bayesdl_sim.bayes.prediction import predict_nested
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.evaluation.cases import (
    CaseSettings,
    chosen_cells,
    each_case,
    list_stacks,
    warn_of_training_cells,
)
from bayesdl_sim.evaluation.predicting import (
    Evaluated,
    PosteriorSettings,
    Sampling,
    nested_samples,
    open_posterior,
    require_uncertainty,
)
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.evaluation.scoring import OURS, Sample
from bayesdl_sim.inference.beside_spots import undimmed
from bayesdl_sim.inference.judging.gate import write_gate
from bayesdl_sim.inference.judging.verdict import scores_at
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.folders.staging import results_folder, staged
from bayesdl_sim.utils.run_log import provenance

__all__ = [
    "GATE_SEED",
    "CalibrationSettings",
    "calibrate",
    "calibration_samples",
    "calibrations_of",
    "gate_scores",
    "nested_scores",
]

GATE_SEED = 20262  # of the simulated cells that the gate compares with


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """What a posterior is calibrated on.

    Attributes:
        root_dir: data set of the calibration; None: the gate alone is fitted.
        pretrained_G: folder of the members; the files are written there.
        cells: cells to fit on; empty for the set's validation cells.
        gate_cells: simulated cells that the gate compares with; 0: the calibration alone is fitted.
        gate_size: side of their raw field, pixels.
        gate_seed: seed that makes them; not that of a training set or of a test.
        posterior: how the members are run.
        sampling: the pixels that stand for a stack.
    """

    root_dir: Path | None
    pretrained_G: Path
    cells: tuple[int, ...] = ()
    gate_cells: int = 200
    gate_size: int = 128
    gate_seed: int = GATE_SEED
    posterior: PosteriorSettings = PosteriorSettings()
    sampling: Sampling = Sampling()


def calibrate(settings: CalibrationSettings) -> list[Path]:
    """Fits the calibration and the gate, and stores them beside the members.

    Returns:
        The paths of the files.

    Raises:
        InputError: cells or members that cannot be used, or a folder that cannot be written.
    """
    evaluated = open_posterior(settings.pretrained_G, OURS, settings.posterior, "none")
    # Both files or none of them: an earlier pair stays until the new one is whole.
    with results_folder(settings.pretrained_G) as folder, staged(folder) as partial:
        if settings.root_dir is not None:
            _fit_calibration(settings, evaluated, partial)
        if settings.gate_cells:
            _fit_gate(settings, evaluated.posterior, partial)
        names = sorted(path.name for path in partial.iterdir())
    print(f"{' and '.join(names)} written to {folder}; test.py uses them")
    return [folder / name for name in names]


def _fit_calibration(settings: CalibrationSettings, evaluated: Evaluated, folder: Path) -> None:
    tree, posterior = DatasetTree(settings.root_dir), evaluated.posterior
    require_uncertainty(posterior)
    cases = CaseSettings(calibration_cells=settings.cells)
    cells = chosen_cells(tree, cases).fitted
    warn_of_training_cells(tree, cells)
    samples = calibration_samples(tree, cells, evaluated, settings.sampling, cases)
    calibrations = calibrations_of(samples, posterior, tree, settings.sampling.seed)
    write_calibrations(folder / CALIBRATION_FILE, calibrations)
    print("\n".join(calibrations[-1].describe()))
    print(f"calibrated for 1 to {len(posterior.members)} members")


def _fit_gate(settings: CalibrationSettings, posterior: Posterior, folder: Path) -> None:
    count, size, seed = settings.gate_cells, settings.gate_size, settings.gate_seed
    cells = counted(simulated_cells(seed, count, 1, size), "gate", count, unit="cell")
    scores = gate_scores(cells, posterior)
    facts = {"cells": len(scores[0]), "size": size, "seed": seed, "provenance": provenance()}
    write_gate(folder, scores, posterior.hashes, facts)
    print(f"gate of {len(scores[0])} cells")


def gate_scores(scenes: Iterable[Scene], posterior: Posterior) -> list[list[dict[str, float]]]:
    """Scores of the first exposure of each scene with the first 1, 2, ..., K members.

    A cell with a score that is not finite is left out, with a warning.
    """
    rows = []
    for number, scene in enumerate(scenes, start=1):
        row = nested_scores(scene, posterior)
        if all(math.isfinite(value) for scores in row for value in scores.values()):
            rows.append(row)
        else:
            print(f"WARNING: cell {number} of the gate is left out: a score is not finite")
    return [list(column) for column in zip(*rows, strict=True)] or [[]]


def nested_scores(scene: Scene, posterior: Posterior) -> list[dict[str, float]]:
    """The scores of one scene, per number of members."""
    prepared = posterior.prepare(scene.stack())
    shown, scores = prepared.network_input(0, posterior.inputs), []
    nested = predict_nested(posterior.functions, shown, posterior.likelihood)
    for count, prediction in enumerate(nested, start=1):
        images = undimmed(prepared, 0, prediction).mean, prediction.epistemic
        mean, epistemic = (image[0, 0].float().cpu().numpy() for image in images)
        has_epistemic = count > 1 or posterior.is_student
        scores.append(scores_at(prepared, 0, mean, epistemic if has_epistemic else None))
    return scores


def calibration_samples(
    tree: DatasetTree,
    cells: Sequence[int],
    evaluated: Evaluated,
    sampling: Sampling,
    settings: CaseSettings,
) -> list[list[Sample]]:
    """Sampled pixels of every stack of the cells to fit on, for 1, 2, ..., K members.

    Raises:
        InputError: none of the stacks could be read.
    """
    samples = []
    pairs = list_stacks(tree, cells)
    for name, case in each_case(tree, pairs, "cells to calibrate on", settings):
        if isinstance(case, str):
            print(f"WARNING: {name} is left out of the calibration: {case}")
            continue
        samples.append(nested_samples(case, evaluated, sampling))
    if not samples:
        raise InputError(f"{tree.root}: no stack of the cells {list(cells)} can calibrate")
    return [list(column) for column in zip(*samples, strict=True)]


def calibrations_of(
    samples: Sequence[Sequence[Sample]], posterior: Posterior, tree: DatasetTree, seed: int
) -> list[Calibration]:
    """The calibrations of the first 1, 2, ..., K members, every cell one unit.

    Args:
        samples: from `calibration_samples`. A single member without tail states no uncertainty;
            it has no calibration.
    """
    numbers = sorted({sample.cell for sample in samples[0]})
    facts = {
        "set": tree.root.resolve().name,
        "sample": tree.spec.sample,
        "cell_numbers": numbers,
        "stacks": len(samples[0]),
        "seed": seed,
        "provenance": provenance(),
    }
    members, calibrations = list(posterior.hashes.items()), []
    for count, stacks in enumerate(samples, start=1):
        if count == 1 and not posterior.has_tail:
            continue
        cells = [
            [
                CalibrationStack(
                    error=sample.error,
                    sigma=sample.sigma,
                    features=sample.features,
                    brightness=sample.brightness,
                    structure=sample.structure,
                )
                for sample in stacks
                if sample.cell == number
            ]
            for number in numbers
        ]
        calibrations.append(fit_calibration(cells, members=dict(members[:count]), fitted_on=facts))
    return calibrations
