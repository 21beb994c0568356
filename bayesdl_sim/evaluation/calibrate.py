"""Fits the calibration of a posterior on cells that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bayesdl_sim.bayes.calibration.recalibration import (
    CALIBRATION_FILE,
    Calibration,
    CalibrationStack,
    fit_calibration,
)
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
    open_posterior,
    predict_case,
    require_uncertainty,
)
from bayesdl_sim.evaluation.scoring import OURS, Sample
from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.run_log import provenance

__all__ = ["CalibrationSettings", "calibrate", "calibration_of", "calibration_samples"]


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
    posterior = open_posterior(settings.pretrained_G, OURS, settings.posterior, "none")
    require_uncertainty(posterior)
    writable_folder(settings.pretrained_G)
    samples = calibration_samples(tree, cells, posterior, settings.sampling, cases)
    calibration = calibration_of(samples, posterior, tree, settings.sampling.seed)
    path = settings.pretrained_G / CALIBRATION_FILE
    calibration.to_json(path)
    print("\n".join(calibration.in_words()))
    print(f"written to {path}; test.py applies it")
    return path


def calibration_samples(
    tree: DatasetTree,
    cells: Sequence[int],
    posterior: Evaluated,
    sampling: Sampling,
    settings: CaseSettings,
) -> list[Sample]:
    """Sampled pixels of every stack of the cells to fit on.

    Raises:
        InputError: none of the stacks could be read.
    """
    samples = []
    pairs = list_stacks(tree, cells)
    for name, case in each_case(tree, pairs, "cells to calibrate on", settings):
        if isinstance(case, str):
            print(f"WARNING: {name} is left out of the calibration: {case}")
            continue
        samples.append(predict_case(case, posterior, sampling)[1]._replace(draws=None))
    if not samples:
        raise InputError(f"{tree.root}: no stack of the cells {list(cells)} can calibrate")
    return samples


def calibration_of(
    samples: Sequence[Sample], posterior: Evaluated, tree: DatasetTree, seed: int
) -> Calibration:
    """The calibration that these samples give, every cell one unit."""
    numbers = sorted({sample.cell for sample in samples})
    cells = [
        [CalibrationStack(s.error, s.sigma, s.look) for s in samples if s.cell == number]
        for number in numbers
    ]
    facts = {
        "set": tree.root.resolve().name,
        "sample": tree.spec.sample,
        "cell_numbers": numbers,
        "stacks": len(samples),
        "seed": seed,
        "provenance": provenance(),
    }
    return fit_calibration(cells, members=posterior.hashes, fitted_on=facts)
