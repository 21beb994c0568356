"""A calibration: corrections of a posterior's uncertainty, fitted on validation cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from bayesdl_sim.bayes.calibration.image_features import (
    FeatureScale,
    ImageFeatures,
    brightness_of,
    features_of,
)
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.utils.errors import InputError

__all__ = ["KINDS", "SMALLEST_TAIL", "Bounds", "Calibration"]

SMALLEST_TAIL = 0.0005  # probability; the map ends there
KINDS = {
    "conformal": "conformal risk control: on the average new cell at most the rest lies outside",
    "calibrated": "as calibrated on validation cells, without a guarantee",
    "gaussian": "Gaussian, not calibrated",
}
NOT_TRIED = "not tried: too few cells to leave some of them out"


class Bounds(NamedTuple):
    """A central interval `[mean + low sigma, mean + high sigma]`; `kind` is a key of `KINDS`."""

    low: float
    high: float
    kind: str


@dataclass(frozen=True)
class Calibration:
    """Corrections of the total standard deviation, and of the intervals made from it.

    Attributes:
        scale: c; aleatoric, epistemic and total are multiplied by it.
        by_features: None, or what else they are multiplied by, image by image, and from
            background to structure.
        probability_map: None, or `{"expected": p, "observed": q}`: after scaling, a share q of the
            pixels lies below the Gaussian quantile p. Used for intervals.
        conformal: `{"alpha": a, "factor": lambda, "cells_needed": n}` per risk; lambda is None
            where there were too few cells.
        members: `{file name: SHA-256}` of the members that this is true of; empty for none stored.
        fitted_on: which cells, how many pixels, and the errors before and after; for people.
    """

    scale: float = 1.0
    by_features: FeatureScale | None = None
    probability_map: dict[str, list[float]] | None = None
    conformal: list[dict[str, Any]] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def factor(
        self, features: ImageFeatures | None, brightness: ArrayLike | None = None
    ) -> float | NDArray[np.float64]:
        """Factor on the standard deviations of an image with these features.

        Args:
            brightness: brightness of its pixels, see `image_features.brightness_of`.

        Returns:
            One number for all pixels, or one for each.
        """
        if self.by_features is None or features is None:
            return self.scale
        return self.scale * self.by_features.factor(features, brightness)

    def factors(self, prediction: Prediction, signal_e: float) -> NDArray[np.float32]:
        """`factor` of every pixel of one stack as predicted: (1, 1, 2H, 2W), or (1, 1, 1, 1).

        Args:
            signal_e: median electrons of the lit pixels of its frames, see `MeasuredFrames`.
        """
        mean, *parts = (one for (one,) in prediction[:3])  # fails for a batch of several
        lit = brightness_of(mean.float().cpu().numpy()) if self.by_features else None
        factor = self.factor(features_of(mean, *parts, signal_e), lit)
        return np.atleast_3d(factor)[None].astype(np.float32)

    def apply(self, prediction: Prediction, signal_e: float) -> Prediction:
        """The maps (1, 1, 2H, 2W) with their three standard deviations multiplied by `factors`."""
        mean, *deviations = prediction
        factors = torch.from_numpy(self.factors(prediction, signal_e)).to(mean)
        return Prediction(mean, *(factors * image for image in deviations))

    def probability(self, z: ArrayLike) -> NDArray[np.float64]:
        """The stated probability of a smaller value (its cdf); `z = error / (factor sigma)`."""
        gaussian = ndtr(np.asarray(z, np.float64))
        if self.probability_map is None:
            return gaussian
        known = self.probability_map
        return np.interp(gaussian, known["expected"], known["observed"])

    def bounds(self, level: float, guaranteed: bool = True) -> Bounds:
        """The central interval of a probability, in calibrated standard deviations.

        Args:
            level: between 0 and 1, e.g. 0.9.
            guaranteed: take the conformal factor where there is one for `alpha = 1 - level`; it is
                wider. Else the probability map, else the Gaussian quantiles.

        Raises:
            InputError: the level is no such probability.
        """
        if not 0 < level < 1:
            raise InputError(f"an interval's level lies between 0 and 1, found {level}")
        for entry in self.conformal if guaranteed else []:
            if entry["factor"] is not None and abs(entry["alpha"] - (1 - level)) < 1e-9:
                return Bounds(-entry["factor"], entry["factor"], "conformal")
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        if self.probability_map is not None:
            known = self.probability_map
            tails = np.interp(tails, known["observed"], known["expected"])
            tails = np.clip(tails, SMALLEST_TAIL, 1 - SMALLEST_TAIL)
        low, high = ndtri(tails)
        return Bounds(float(low), float(high), "calibrated" if self.fitted_on else "gaussian")

    def describe(self) -> list[str]:
        """What it corrects and what it was fitted on, one line each."""
        if not self.fitted_on:
            return ["none"]
        facts = self.fitted_on
        lines = [
            f"fitted on {facts['cells']} cells, {facts['pixels']} pixels",
            f"standard deviations x {self.scale:.4f}",
        ]
        if errors := facts.get("quantile_calibration_error_held_out"):
            score = (
                f"{_kept(self.probability_map)} (quantile calibration error on cells left out: "
                f"{errors['scale_only']:.4f} without, {errors['with_map']:.4f} with it)"
            )
            lines.append(f"probability map {score if any(errors.values()) else NOT_TRIED}")
        if tried := facts.get("nll_held_out"):
            off = facts.get("interval_error_held_out")
            also = f"; interval error {off['without']:.3f}, {off['with_it']:.3f}" if off else ""
            score = (
                f"{_kept(self.by_features)} (NLL on cells left out: {tried['without']:.3f} "
                f"without, {tried['with_it']:.3f} with them{also})"
            )
            lines.append(
                "further factors of the background and of the structure, by features of the "
                f"image: {score if any(tried.values()) else NOT_TRIED}"
            )
        return lines + [_risk_line(entry, facts) for entry in self.conformal]


def _kept(part: object | None) -> str:
    return "kept" if part else "not kept, it does not help"


def _risk_line(entry: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if entry["factor"] is not None:
        return f"risk {entry['alpha']:g}: mean +- {entry['factor']:.3f} calibrated sigma"
    return (
        f"risk {entry['alpha']:g}: no finite interval can keep it with {facts['cells']} cells; "
        f"{entry['cells_needed']} or more are needed"
    )
