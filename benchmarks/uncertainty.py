"""Is the uncertainty right on test cells, and does it grow on images unlike the training set?

    python -m benchmarks.uncertainty --save_path runs/benchmarks
    python -m benchmarks.uncertainty --cells 6 --kept_out 4 --levels 2 --size 96   # a quick look

Calibration: the share of pixels of simulated test cells inside the 90 % interval of the total
predictive distribution, per level. The brightest fifth of the pixels is also measured alone, with
and without the calibration. Detection: one score per image from its uncertainty maps, and the AUROC
of that score between test cells and images of structures or microscopes kept out of training. The
project's score is chosen on the even scenes and reported on the odd ones. Beside it
stand two controls, the mean intensity and the true error: where not even the true error detects the
unknown, an uncertainty that predicts the error cannot either.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.bayes.calibration.held_out import gaussian_log_density, variance_scale
from bayesdl_sim.bayes.calibration.image_features import brightness_of, features_of
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.benchmarks.scenes.kept_out import SCENARIOS, kept_out_scene
from bayesdl_sim.benchmarks.shared.common import open_posterior, posterior_of
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.benchmarks.shared.detection import (
    CONTROLS,
    choose_score,
    detection_table,
    image_scores,
    true_errors,
    with_excess,
)
from bayesdl_sim.data.normalise import target_normalisation
from bayesdl_sim.evaluation.groups import group_calibration, lit_fifth
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.evaluation.scoring import Sample
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.metrics.images import coverage
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["calibration_records", "calibration_table", "main", "normalised_targets"]

COVERAGE_BAR = (0.80, 0.97)
AUROC_BAR = 0.8
LEVEL = 0.9
CALIBRATION = ("coverage", "mean_z2", "nll", "rmse", "aleatoric", "epistemic")


def normalised_targets(scene: Scene) -> list[Tensor | None]:
    """The target in the units of the prediction, per level: those of the networks.

    None where target and frames agree too little for that (an exposure that is all noise).
    """
    targets: list[Tensor | None] = []
    for level, frames in enumerate(scene.raw.numpy()):
        try:
            scale = PreparedStack(scene.stack(level)).norm(0)
            norm = target_normalisation(scene.target, frames.mean(axis=0), scale)
        except InputError:
            targets.append(None)
            continue
        targets.append(torch.from_numpy(norm.apply(scene.target.astype(np.float32)))[None])
    return targets


def calibration_records(scene: Scene, prediction: Prediction, cell: int) -> list[dict[str, Any]]:
    """Per level of a scene: coverage of the 90 % interval, mean z^2, negative log-likelihood.

    Levels without a target in the right units are left out; `calibration_table` counts them.
    """
    records = []
    for level, target in enumerate(normalised_targets(scene)):
        if target is None:
            continue
        mean, aleatoric, epistemic, total = (image[level] for image in prediction)
        error = target - mean
        density = gaussian_log_density(target, mean, total.square().clamp(min=1e-12))
        records.append(
            {
                "cell": cell,
                "structure": scene.name,
                "level": level + 1,
                "signal_e": scene.signals[level],
                "coverage": coverage(target, mean, total, LEVEL),
                "mean_z2": variance_scale(error / total.clamp(min=1e-6)),
                "nll": -float(density.mean()),
                "rmse": float(error.square().mean().sqrt()),
                "aleatoric": float(aleatoric.mean()),
                "epistemic": float(epistemic.mean()),
            }
        )
    return records


def samples_of(scene: Scene, prediction: Prediction, cell: int) -> list[Sample]:
    """Every pixel of the levels whose target is in the right units, for `evaluation.groups`."""
    samples = []
    for level, target in enumerate(normalised_targets(scene)):
        if target is None:
            continue
        mean, total = prediction.mean[level], prediction.total[level].clamp(min=1e-6)
        signal_e = PreparedStack(scene.stack(level)).signal_e(0)
        samples.append(
            Sample(
                cell=cell,
                level=level + 1,
                signal_e=scene.signals[level],
                target=target.flatten().numpy(),
                mean=mean.flatten().numpy(),
                sigma=total.flatten().numpy(),
                structure=scene.name,
                features=features_of(*(image[level] for image in prediction[:3]), signal_e),
                brightness=brightness_of(mean.numpy()).ravel(),
            )
        )
    return samples


def calibration_table(
    records: Sequence[dict[str, Any]], levels: int, cells: int
) -> list[dict[str, Any]]:
    """Means per level, and whether the coverage lies within the bar."""
    rows = []
    for level in range(1, levels + 1):
        here = [record for record in records if record["level"] == level]
        if not here:
            raise InputError(
                f"no cell of level {level} has a target in the units of its frames; use more cells "
                "or a larger field"
            )
        row = {
            "signal, e-/px": round(float(np.median([r["signal_e"] for r in here])), 1),
            "stacks": len(here),
            "left out": cells - len(here),
        }
        row |= {name: float(np.mean([r[name] for r in here])) for name in CALIBRATION}
        holds = COVERAGE_BAR[0] <= row["coverage"] <= COVERAGE_BAR[1]
        rows.append(row | {"covers 80-97 %": "yes" if holds else "NO"})
    return rows


def score_scenes(scenes: Iterable[Scene], posterior: Posterior) -> dict[str, np.ndarray]:
    """Every score and control of every image: name -> (scenes, levels)."""
    return stacked([scores_of(scene, posterior_of(scene, posterior)) for scene in scenes])


def scores_of(scene: Scene, prediction: Prediction) -> dict[str, list[float]]:
    """Every score and control of one scene: name -> one number per level."""
    return image_scores(prediction) | true_errors(scene, prediction)


def stacked(per_scene: Sequence[dict[str, list[float]]]) -> dict[str, np.ndarray]:
    """Scene by scene -> score by score: name -> (scenes, levels)."""
    return {name: np.array([scores[name] for scores in per_scene]) for name in per_scene[0]}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("uncertainty", "Calibration, and detection of what training never showed.")
    parser.add_argument("--cells", type=int, default=24, help="test cells")
    parser.add_argument("--kept_out", type=int, default=12, help="scenes per kept-out scenario")
    parser.add_argument("--levels", type=int, default=5, help="signal levels, 2-400 e-/px")
    parser.add_argument("--size", type=int, default=128, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=20261, help="not that of a training set")
    args = parser.parse_args(argv)
    at_least(args, cells=2, kept_out=2, levels=1, size=32, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Predicts test cells and kept-out scenes once, and prints both kinds of table."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    records: list[dict[str, Any]] = []
    samples: list[Sample] = []

    def predict_cells() -> Iterable[dict[str, list[float]]]:
        cells = simulated_cells(args.seed, args.cells, args.levels, args.size)
        for number, scene in enumerate(tqdm(cells, "test cells", args.cells), start=1):
            prediction = posterior_of(scene, posterior)
            records.extend(calibration_records(scene, prediction, number))
            samples.extend(samples_of(scene, prediction, number))
            yield scores_of(scene, prediction)

    known = stacked(list(predict_cells()))
    unknown = {}
    for name in tqdm(SCENARIOS, "kept out"):
        scenes = (
            kept_out_scene(name, i, args.levels, args.size, args.seed) for i in range(args.kept_out)
        )
        unknown[name] = score_scenes(scenes, posterior)
    known, unknown = with_excess(known, unknown)
    chosen = choose_score(known, unknown)
    tables = {
        "Calibration on test cells": calibration_table(records, args.levels, args.cells),
        "Lit fifth of the pixels": group_calibration(
            lit_fifth(samples, posterior.calibration), posterior.calibration
        ),
        f"AUROC of the score of this project, {chosen} (chosen on the even scenes, "
        "measured on the odd ones)": detection_table(
            known, unknown, [chosen, *CONTROLS], 1, AUROC_BAR
        ),
        "AUROC of all candidates, odd scenes": detection_table(known, unknown, list(known), 1),
        "AUROC of all candidates, even scenes (the choice)": detection_table(
            known, unknown, list(known), 0
        ),
    }
    names = ("cells", "kept_out", "levels", "size", "seed")
    facts = {name: getattr(args, name) for name in names}
    facts |= {"members": len(posterior.members), "score": chosen}
    write_tables("uncertainty", tables, args.save_path, facts, records)


if __name__ == "__main__":
    run_script(main)
