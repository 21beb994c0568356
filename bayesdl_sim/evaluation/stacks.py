"""Handles every stack once: reconstructed by every posterior, scored, and released."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.calibration.image_features import brightness_of
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.evaluation.baselines import WIDE_FIELD, Baselines, classical_images
from bayesdl_sim.evaluation.cases import Case
from bayesdl_sim.evaluation.fringes import fringe_images
from bayesdl_sim.evaluation.predicting import Evaluated, Sampling, predict_case, states_uncertainty
from bayesdl_sim.evaluation.scoring import (
    AS_PREDICTED,
    CALIBRATED,
    OURS,
    Sample,
    distribution_scores,
    fair_crps,
    predictors,
)
from bayesdl_sim.metrics.against_wide_field import error_map
from bayesdl_sim.metrics.image_scores import image_scores
from bayesdl_sim.utils.errors import InputError

__all__ = ["Example", "Results", "Scorer"]

SHUFFLES = 2  # distinguishes the seed of the shuffled frames from that of the pixels
LENGTHS = ("frc_px", "frc_3sigma_px", "decorrelation_px")


@dataclass(frozen=True, kw_only=True)
class Example:
    """Two rows of panels for one stack: measurement and truth, and the predictions.

    Attributes:
        rows: "images" and "uncertainty", each name -> picture (2H, 2W).
        pixel_size_nm: pixel size of the pictures; None where unknown.
        caption: which stack it is.
    """

    rows: dict[str, dict[str, NDArray]]
    pixel_size_nm: float | None
    caption: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that was measured on the stacks, one after the other.

    Attributes:
        images: rows of image quality, one per stack and method.
        uncertainty: rows of the distribution's scores, one per stack and predictor.
        samples: sampled pixels of each stack, of the first posterior.
        examples: title -> example.
        left_out: name of a stack -> why it could not be evaluated.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    uncertainty: list[dict[str, Any]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    examples: dict[str, Example] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What all stacks of an evaluation are scored with.

    Attributes:
        posteriors: the first one is evaluated in depth, the others beside it.
        baselines: baselines for its uncertainty.
        calibration: calibration of the first posterior.
        sampling: the pixels that stand for a stack.
        classical: also make the classical images that take seconds, and those of the posterior
            without fringes and with the true ones.
    """

    posteriors: Sequence[Evaluated]
    baselines: Baselines
    calibration: Calibration
    sampling: Sampling
    classical: bool = True

    def score(self, cases: Iterable[tuple[str, Case | str]]) -> Results:
        """Scores the cases of `evaluation.cases.each_case`."""
        results, worst = Results(), -np.inf
        for name, case in cases:
            if isinstance(case, str):
                results.left_out[name] = case
                continue
            try:
                images, maps, samples = self._predict(case)
                rows = [_image_row(method, image, case) for method, image in images.items()]
            except InputError as error:
                results.left_out[name] = str(error)
                continue
            results.images.extend(rows)
            results.uncertainty.extend(self._uncertainty_rows(case, samples))
            results.samples.append(replace(samples[0], draws=None))
            error = next(row["nrmse"] for row in rows if row["method"] == OURS)
            factor = self.calibration.factor(samples[0].features, brightness_of(maps.mean))
            if not results.examples:
                results.examples["first stack"] = _example(case, images, maps, factor)
            if error > worst:
                worst = error
                results.examples["largest NRMSE"] = _example(case, images, maps, factor)
        return results

    def _predict(self, case: Case) -> tuple[dict[str, NDArray], Prediction, list[Sample]]:
        """Pictures of all methods, the maps of the first posterior, the samples of all."""
        predictions = [predict_case(case, one, self.sampling) for one in self.posteriors]
        images = {
            one.label: maps.mean
            for one, (maps, _) in zip(self.posteriors, predictions, strict=True)
        }
        images |= classical_images(case, self.classical)
        if self.classical:
            seed = np.random.SeedSequence([self.sampling.seed, case.cell, case.level, SHUFFLES])
            generator = torch.Generator().manual_seed(int(seed.generate_state(1)[0]))
            images |= fringe_images(case, self.posteriors[0].posterior, generator)
        return images, predictions[0][0], [sample for _, sample in predictions]

    def _uncertainty_rows(self, case: Case, samples: Sequence[Sample]) -> list[dict[str, Any]]:
        """One row per predictor of one stack."""
        rows = []
        image_facts = samples[0].features, samples[0].brightness
        factor = {AS_PREDICTED: 1.0, CALIBRATED: self.calibration.factor(*image_facts)}
        choices = predictors(samples[0], self.baselines, self.calibration)
        for name, (sigma, rule) in choices.items():
            row = {**_facts(case), "method": name}
            row |= distribution_scores(samples[0], sigma, rule)
            fair = fair_crps(samples[0], factor[name]) if name in factor else float("nan")
            rows.append(row | {"crps_fair": fair})
        for (label, posterior), sample in zip(self.posteriors[1:], samples[1:], strict=True):
            if not states_uncertainty(posterior):
                continue
            rule = posterior.calibration
            row = {**_facts(case), "method": label}
            row |= distribution_scores(sample, sample.calibrated(rule), rule)
            spread = rule.factor(sample.features, sample.brightness)
            rows.append(row | {"crps_fair": fair_crps(sample, spread)})
        return rows


def _image_row(method: str, image: NDArray, case: Case) -> dict[str, Any]:
    """Scores of one picture of one stack; lengths in pixels of the doubled grid and in nm."""
    scores = image_scores(image, case.target, case.wide_field)
    facts = _facts(case)
    lengths = {name.replace("_px", "_nm"): facts["sr_pixel_nm"] * scores[name] for name in LENGTHS}
    return {**facts, "method": method, **scores, **lengths}


def _facts(case: Case) -> dict[str, Any]:
    """Columns that every row has."""
    return {
        "cell": case.cell,
        "level": case.level,
        "structure": case.structure,
        "signal_e": case.signal_e,
        "sr_pixel_nm": case.pixel_size_nm / 2 if case.pixel_size_nm else float("nan"),
    }


def _example(
    case: Case, images: dict[str, NDArray], maps: Prediction, factor: float | NDArray
) -> Example:
    """The panels of one stack, its deviations multiplied by the factor of the calibration."""
    pictures = {
        name.capitalize() if name == WIDE_FIELD else name: image for name, image in images.items()
    }
    uncertainty = {
        "|error|": np.abs(case.target - maps.mean),
        "Aleatoric uncertainty": factor * maps.aleatoric,
        "Epistemic uncertainty": factor * maps.epistemic,
        "Total uncertainty": factor * maps.total,
        "SQUIRREL error map": np.abs(error_map(maps.mean, case.wide_field)),
    }
    signal = "" if np.isnan(case.signal_e) else f", {case.signal_e:.3g} e-/px"
    return Example(
        rows={"images": pictures | {"Target": case.target}, "uncertainty": uncertainty},
        pixel_size_nm=case.pixel_size_nm / 2 if case.pixel_size_nm else None,
        caption=f"{case.name} ({case.structure}{signal})",
    )
