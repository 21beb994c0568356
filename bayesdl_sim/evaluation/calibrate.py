"""Fits the calibration of a posterior on cells that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bayesdl_sim.bayes.calibration.fitting import CalibrationStack, fit_calibration
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.calibration.stored import CALIBRATION_FILE, write_calibrations
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
from bayesdl_sim.evaluation.scoring import OURS, Sample
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.run_log import provenance

__all__ = ["CalibrationSettings", "calibrate", "calibration_samples", "calibrations_of"]


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """What a posterior is calibrated on.

    Attributes:
        root_dir: data set.
        pretrained_G: folder of the members; the files are written there.
        cells: to fit on; empty for the set's validation cells.
        posterior: how the members are run.
        sampling: the pixels that stand for a stack.
    """

    root_dir: Path
    pretrained_G: Path
    cells: tuple[int, ...] = ()
    posterior: PosteriorSettings = PosteriorSettings()
    sampling: Sampling = Sampling()


def calibrate(settings: CalibrationSettings) -> Path:
    """Fits the calibration and stores it beside the members.

    Returns:
        The path of the file.

    Raises:
        InputError: cells or members that cannot be used, or a folder that cannot be written.
    """
    tree = DatasetTree(settings.root_dir)
    cases = CaseSettings(part="validation", calibration_cells=settings.cells)
    cells = chosen_cells(tree, cases).fitted
    warn_of_training_cells(tree, cells)
    evaluated = open_posterior(settings.pretrained_G, OURS, settings.posterior, "none")
    posterior = evaluated.posterior
    require_uncertainty(posterior)
    writable_folder(settings.pretrained_G)
    samples = calibration_samples(tree, cells, evaluated, settings.sampling, cases)
    calibrations = calibrations_of(samples, posterior, tree, settings.sampling.seed)
    path = settings.pretrained_G / CALIBRATION_FILE
    write_calibrations(path, calibrations)
    print("\n".join(calibrations[-1].describe()))
    print(f"written to {path} for 1 to {len(posterior.members)} members; test.py applies it")
    return path


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
        samples: of `calibration_samples`. A single member without a tail states no uncertainty;
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
            [CalibrationStack(s.error, s.sigma, s.features) for s in stacks if s.cell == number]
            for number in numbers
        ]
        calibrations.append(fit_calibration(cells, members=dict(members[:count]), fitted_on=facts))
    return calibrations
