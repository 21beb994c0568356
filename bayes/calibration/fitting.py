"""Fits a calibration on validation cells, and keeps the parts that help on cells left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from bayesdl_sim.bayes.calibration.conformal import cells_needed, conformal_factor
from bayesdl_sim.bayes.calibration.held_out import variance_scale
from bayesdl_sim.bayes.calibration.image_features import (
    FeatureScale,
    FittedPixels,
    ImageFeatures,
    fit_feature_scale,
)
from bayesdl_sim.bayes.calibration.recalibration import SMALLEST_TAIL, Calibration
from bayesdl_sim.metrics.distributions import QUANTILES, observed_frequency
from bayesdl_sim.utils.errors import InputError

__all__ = ["CalibrationStack", "fit_calibration"]

ALPHAS = (0.05, 0.1, 0.2)
INTERVAL = 0.9  # whose coverage of single stacks is looked at
LIT_SHARE = 0.2  # of the pixels of a stack, the brightest
FOLDS = 5  # groups of cells that the factor by features and the probability map are tried on
TAILS = np.array([SMALLEST_TAIL, 0.001, 0.0025, 0.005])
GRID = np.concatenate([[0.0], TAILS, QUANTILES, 1 - TAILS[::-1], [1.0]])  # of the probability map


class HeldOut(NamedTuple):
    """Scores of a calibration on stacks that it was not fitted on; lower is better.

    `nll`: Gaussian, per pixel, up to a term that all calibrations share; `interval_error`: by how
    much the share of a stack's lit pixels that the 90 % interval covers is off, mean over stacks;
    `nll_error`: standard error of the difference of `nll` from that without further factors.
    """

    nll: float
    interval_error: float
    nll_error: float = 0.0

    def is_better_than(self, without: HeldOut) -> bool:
        """Whether it lowers both, the likelihood by more than its error."""
        gain = without.nll - self.nll
        return gain > self.nll_error and self.interval_error < without.interval_error


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationStack:
    """Pixels (n,) of one stack to fit on; without features, no factor by them is fitted.

    Without their brightness (`image_features.brightness_of`), that factor is one for all pixels.
    `structure` names what the cell shows; stacks of one name are left out of a fit together, too.
    """

    error: ArrayLike
    sigma: ArrayLike
    features: ImageFeatures | None = None
    brightness: NDArray | None = None
    structure: str = ""


def fit_calibration(
    cells: Sequence[Sequence[CalibrationStack]],
    alphas: Sequence[float] = ALPHAS,
    members: Mapping[str, str] | None = None,
    fitted_on: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fits the scale, the probability map and the conformal factors on validation cells.

    Further factors of background and structure (`bayes.calibration.image_features`), by features
    of the image or the same for all, are kept only if, fitted without some cells, they lower both
    the negative log-likelihood on these and the interval error of their stacks; each fifth of the
    cells is left out, and each structure: what is right on average and wrong for samples that the
    fit has not seen is not worth a better average. The likelihood has to gain more than the
    standard error of that. Of two ways that do, the likelier one is taken. Deviations are
    multiplied by them first. The scale is `c^2 = < z^2 >` (`variance_scale`), every
    cell with the same weight. The probability map is the cells' mean distribution of `Phi(z / c)`,
    monotone by construction; it is kept only if, fitted without a group of cells, it lowers the
    quantile calibration error on that group. The conformal factors are those of
    `conformal_factor`, of calibrated deviations.

    Args:
        cells: the stacks of each cell, one per signal level.
        alphas: risks to control.
        members, fitted_on: stored, see `Calibration`.

    Raises:
        InputError: no cell.

    Source: Laves et al., MELBA 1, 26 (2021); Kuleshov, Fenner and Ermon, ICML 2018; Angelopoulos
    et al., "Conformal risk control" (2022).
    """
    if not cells:
        raise InputError("expected at least one validation cell to calibrate on, found none")
    stacks = [
        [FittedPixels(_standardised(stack), stack.features, stack.brightness) for stack in cell]
        for cell in cells
    ]
    groups = [parts for parts in (_folds(len(cells)), _structures(cells)) if parts]
    without, *tried = _held_out(stacks, groups)
    helping = [pair for pair in enumerate(tried) if pair[1].is_better_than(without)]
    constant, with_it = min(helping or enumerate(tried), key=lambda pair: pair[1].nll)
    better = bool(helping)
    by_features = _feature_scale(stacks, bool(constant)) if better else None
    z = [_cell(cell, by_features) for cell in stacks]
    scale = _scale(z)
    before, after = _held_out_errors(z)
    observed = _distribution(z, scale).tolist()
    return Calibration(
        scale=scale,
        by_features=by_features,
        probability_map={"expected": GRID.tolist(), "observed": observed}
        if after < before
        else None,
        conformal=[
            {
                "alpha": alpha,
                "factor": conformal_factor([np.abs(values) / scale for values in z], alpha),
                "cells_needed": cells_needed(alpha),
            }
            for alpha in alphas
        ],
        members=dict(members or {}),
        fitted_on={
            "cells": len(z),
            "pixels": sum(values.size for values in z),
            "nll_held_out": {"without": without.nll, "with_it": with_it.nll},
            "interval_error_held_out": {
                "without": without.interval_error,
                "with_it": with_it.interval_error,
            },
            "quantile_calibration_error_held_out": {"scale_only": before, "with_map": after},
            **(fitted_on or {}),
        },
    )


def _standardised(stack: CalibrationStack) -> NDArray:
    return np.ravel(np.asarray(stack.error, np.float64) / stack.sigma)


def _cell(stacks: Sequence[FittedPixels], by_features: FeatureScale | None) -> NDArray:
    """Standardised errors of all stacks of a cell, after the factor by features."""
    if by_features is None:
        return np.concatenate([stack.z for stack in stacks])
    return np.concatenate(
        [stack.z / by_features.factor(stack.features, stack.brightness) for stack in stacks]
    )


def _feature_scale(cells: Sequence[Sequence[FittedPixels]], constant: bool) -> FeatureScale:
    return fit_feature_scale([stack for cell in cells for stack in cell], constant)


def _held_out(
    cells: Sequence[Sequence[FittedPixels]], ways_to_part: Sequence[Sequence[Sequence[int]]]
) -> tuple[HeldOut, HeldOut, HeldOut]:
    """Scores of cells left out: without further factors, with those by features, and constant ones.

    All equal, so that no factor is kept, where there are fewer cells than groups, or a stack
    without features.

    Args:
        ways_to_part: each a list of groups of cells that are left out together.
    """
    if len(cells) < FOLDS or any(stack.features is None for cell in cells for stack in cell):
        return (HeldOut(0.0, 0.0),) * 3
    nll: list[list[float]] = [[], [], []]
    off: list[list[float]] = [[], [], []]
    for fold in (fold for folds in ways_to_part for fold in folds):
        rest = [stacks for i, stacks in enumerate(cells) if i not in fold]
        for way in range(3):
            by_features = _feature_scale(rest, way == 2) if way else None
            z = [_cell(stacks, by_features) for stacks in rest]
            scale, reach = _scale(z), float(np.quantile(np.abs(np.concatenate(z)), INTERVAL))
            for stack in (stack for i in fold for stack in cells[i]):
                known = stack.features, stack.brightness
                factor = 1.0 if by_features is None else by_features.factor(*known)
                z = stack.z / factor
                nll[way].append(float(np.mean(np.log(scale * factor) + 0.5 * (z / scale) ** 2)))
                off[way].append(abs(_lit_coverage(z / reach, stack.brightness) - INTERVAL))
    scores = []
    for losses, errors in zip(nll, off, strict=True):
        gains = np.subtract(losses, nll[0])
        error = float(gains.std(ddof=1)) / math.sqrt(len(gains) / len(ways_to_part))
        scores.append(HeldOut(float(np.mean(losses)), float(np.mean(errors)), error))
    return tuple(scores)


def _structures(cells: Sequence[Sequence[CalibrationStack]]) -> list[list[int]]:
    """The cells of each structure; none where all show the same one, or an unknown one."""
    names = [cell[0].structure for cell in cells]
    groups = [[i for i, name in enumerate(names) if name == one] for one in dict.fromkeys(names)]
    return groups if len(groups) > 1 else []


def _lit_coverage(z: NDArray, brightness: NDArray | None) -> float:
    """Share of the brightest pixels of a stack within one reach; of all if unknown."""
    if brightness is not None:
        z = z[brightness >= np.quantile(brightness, 1 - LIT_SHARE)]
    return float(np.mean(np.abs(z) <= 1.0))


def _folds(cells: int) -> list[list[int]]:
    return [list(range(start, cells, FOLDS)) for start in range(min(FOLDS, cells))]


def _scale(z: Sequence[NDArray]) -> float:
    return float(np.sqrt(np.mean([variance_scale(torch.from_numpy(values)) for values in z])))


def _distribution(z: Sequence[NDArray], scale: float) -> NDArray:
    """The mean over cells of the share of pixels below each Gaussian quantile of `GRID`."""
    limits = ndtri(GRID)
    shares = [np.searchsorted(np.sort(v / scale), limits, side="right") / v.size for v in z]
    observed = np.mean(shares, axis=0)
    observed[0], observed[-1] = 0.0, 1.0
    return observed


def _held_out_errors(z: Sequence[NDArray]) -> tuple[float, float]:
    """Quantile calibration error on cells left out of the fit: scale alone, and with the map.

    Each group of cells has its own error, and the errors are averaged. (Errors of frequencies
    averaged over all groups would cancel: what one group has too much of, the map made from the
    others has too little.) Equal, so that no map is kept, where there is a single cell.
    """
    folds = _folds(len(z))
    if len(folds) < 2:
        return 0.0, 0.0
    plain, mapped = [], []
    for fold in folds:
        rest = [values for i, values in enumerate(z) if i not in fold]
        scale = _scale(rest)
        observed = _distribution(rest, scale)
        gaussian = [ndtr(z[i] / scale) for i in fold]
        plain.append(_error_of(gaussian))
        mapped.append(_error_of([np.interp(values, GRID, observed) for values in gaussian]))
    return float(np.mean(plain)), float(np.mean(mapped))


def _error_of(cdf_values: Sequence[NDArray]) -> float:
    """Quantile calibration error of some cells together, every cell with the same weight."""
    frequencies = np.mean([observed_frequency(values) for values in cdf_values], axis=0)
    return float(np.mean(np.abs(frequencies - QUANTILES)))
