"""What validation cells say about a posterior's uncertainty, fitted, stored and applied.

`calibration.json` lies beside the members and names them by their SHA-256: the numbers in it are
true of these members only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from bayesdl_sim.bayes.calibration.conformal import cells_needed, conformal_factor
from bayesdl_sim.bayes.calibration.held_out import variance_scale
from bayesdl_sim.bayes.calibration.image_features import Look, LookScale, fit_look_scale, look_of
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.metrics.distributions import QUANTILES, observed_frequency
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

__all__ = [
    "CALIBRATION_FILE",
    "KINDS",
    "Bounds",
    "Calibration",
    "CalibrationStack",
    "find_calibration",
    "fit_calibration",
    "read_calibration",
]

CALIBRATION_FILE = "calibration.json"
FORMAT = "BayesDL-SIM calibration"
VERSION = 2
READABLE = (1, VERSION)  # in the first one there was no factor by the look
ALPHAS = (0.05, 0.1, 0.2)
FOLDS = 5  # groups of cells that the factor by the look and the probability map are tried on
TAILS = np.array([0.0005, 0.001, 0.0025, 0.005])
GRID = np.concatenate([[0.0], TAILS, QUANTILES, 1 - TAILS[::-1], [1.0]])  # of the probability map
KINDS = {
    "conformal": "conformal risk control: on the average new cell at most the rest lies outside",
    "calibrated": "as calibrated on validation cells, without a guarantee",
    "gaussian": "Gaussian, not calibrated",
}


class Bounds(NamedTuple):
    """A central interval `[mean + low sigma, mean + high sigma]`; `kind` is a key of `KINDS`."""

    low: float
    high: float
    kind: str


class CalibrationStack(NamedTuple):
    """Pixels (n,) of one stack to fit on; without a look, the look is not asked."""

    error: ArrayLike
    sigma: ArrayLike
    look: Look | None = None


@dataclass(frozen=True)
class Calibration:
    """Corrections of the total standard deviation, and of the intervals made from it.

    Attributes:
        scale: c; aleatoric, epistemic and total are multiplied by it.
        by_look: None, or what else they are multiplied by, image by image.
        probability_map: None, or `{"expected": p, "observed": q}`: after scaling, a share q of the
            pixels lies below the Gaussian quantile p. Used for intervals.
        conformal: `{"alpha": a, "factor": lambda, "cells_needed": n}` per risk; lambda is None
            where there were too few cells.
        members: `{file name: SHA-256}` of the draws that this is true of; empty for none stored.
        fitted_on: which cells, how many pixels, and the errors before and after; for people.
    """

    scale: float = 1.0
    by_look: LookScale | None = None
    probability_map: dict[str, list[float]] | None = None
    conformal: list[dict[str, Any]] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def factor(self, look: Look | None) -> float:
        """What the standard deviations of an image of that look are multiplied by."""
        if self.by_look is None or look is None:
            return self.scale
        return self.scale * self.by_look.factor(look)

    def factors(self, prediction: Prediction) -> list[float]:
        """`factor` of every image of a batch (B, 1, 2H, 2W) as predicted."""
        pairs = zip(prediction.mean, prediction.total, strict=True)
        return [self.factor(look_of(mean, total)) for mean, total in pairs]

    def apply(self, prediction: Prediction) -> Prediction:
        """The batch (B, 1, 2H, 2W) with its three standard deviations multiplied by `factors`."""
        mean, *deviations = prediction
        factors = torch.tensor(self.factors(prediction)).to(mean)[:, None, None, None]
        return Prediction(mean, *(factors * image for image in deviations))

    def probability(self, z: ArrayLike) -> NDArray[np.float64]:
        """What is said to be the probability of a smaller value; `z = error / (factor sigma)`."""
        told = ndtr(np.asarray(z, np.float64))
        if self.probability_map is None:
            return told
        return np.interp(told, self.probability_map["expected"], self.probability_map["observed"])

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
            tails = np.interp(
                tails, self.probability_map["observed"], self.probability_map["expected"]
            )
            tails = np.clip(tails, TAILS[0], 1 - TAILS[0])
        low, high = ndtri(tails)
        return Bounds(float(low), float(high), "calibrated" if self.fitted_on else "gaussian")

    def require_members(self, members: Mapping[str, str], path: str | Path) -> None:
        """`InputError` unless these are the very members (file name -> SHA-256) it was fitted for.

        The same draws in another number are another posterior: their spread is not the same.
        """
        if dict(members) == self.members:
            return
        odd = sorted(set(members.items()) ^ set(self.members.items()))
        raise InputError(
            f"{path} was fitted for {len(self.members)} other member(s) than the {len(members)} in "
            f"use ({odd[0][0]} differs): fit it again with calibrate.py"
        )

    def in_words(self) -> list[str]:
        """What it says, a line each."""
        if not self.fitted_on:
            return ["none"]
        facts = self.fitted_on
        errors = facts["quantile_calibration_error_held_out"]
        kept = "kept" if self.probability_map else "not kept, it does not help"
        lines = [
            f"fitted on {facts['cells']} cells, {facts['pixels']} pixels",
            f"standard deviations x {self.scale:.4f}",
            f"probability map {kept} (quantile calibration error on cells left out: "
            f"{errors['scale_only']:.4f} without, {errors['with_map']:.4f} with it)",
        ]
        if tried := facts.get("nll_held_out"):
            kept = "kept" if self.by_look else "not kept, it does not help"
            lines.append(
                f"a further factor by the look of the image {kept} (NLL on cells left out: "
                f"{tried['without']:.3f} without, {tried['with_it']:.3f} with it)"
            )
        for entry in self.conformal:
            if entry["factor"] is None:
                lines.append(
                    f"risk {entry['alpha']:g}: no finite interval can keep it with "
                    f"{facts['cells']} cells; {entry['cells_needed']} or more are needed"
                )
            else:
                lines.append(
                    f"risk {entry['alpha']:g}: mean +- {entry['factor']:.3f} calibrated sigma"
                )
        return lines

    def to_json(self, path: str | Path) -> None:
        """Writes it, whole or not at all."""
        write_json(path, {"format": FORMAT, "version": VERSION, **asdict(self)})


def read_calibration(path: str | Path) -> Calibration:
    """Reads a calibration back.

    Raises:
        InputError: missing or broken file, another format, or numbers that make no sense.
    """
    payload = read_json(path)
    if payload.get("format") != FORMAT or payload.get("version") not in READABLE:
        raise InputError(
            f"{path}: expected a {FORMAT!r} of version {VERSION}, found {payload.get('format')!r} "
            f"{payload.get('version')!r}; make it again with calibrate.py"
        )
    try:
        names = ("scale", "probability_map", "conformal", "members", "fitted_on")
        by_look = payload.get("by_look")
        if by_look is not None:
            limits = (Look(*by_look[name]) for name in ("low", "high"))
            by_look = LookScale(tuple(by_look["weights"]), *limits)
        found = Calibration(by_look=by_look, **{name: payload[name] for name in names})
        good = np.isfinite(found.factor(Look(0.0, 0.0))) and found.scale > 0
        found.bounds(0.5)
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise InputError(
            f"{path} lacks entries or holds a scale that is no positive number; make it again with "
            "calibrate.py"
        )
    return found


def find_calibration(
    folder: str | Path, named: str | Path | None, members: Mapping[str, str]
) -> tuple[Calibration | None, str]:
    """The calibration to apply to the members of a folder, if there is one, and a line about it.

    Args:
        folder: of the members; its `calibration.json` is taken where no other is named.
        named: another file, or "none".
        members: file name -> SHA-256 of the members in use.

    Raises:
        InputError: the named file cannot be used, or the folder's is broken. One in the folder that
            was fitted for other members is not applied, and the line says so.
    """
    if named is not None and str(named) == "none":
        return None, "calibration: none, as asked"
    path = Path(folder) / CALIBRATION_FILE if named is None else Path(named)
    if named is None and not path.is_file():
        return None, "calibration: none beside the members (calibrate.py fits one)"
    calibration = read_calibration(path)
    try:
        calibration.require_members(members, path)
    except InputError as error:
        if named is not None:
            raise
        return None, f"WARNING: uncertainties are not calibrated: {error}"
    words = f"calibration: {path}, standard deviations x {calibration.scale:.3f}"
    if calibration.by_look is not None:
        words += " and a factor by the look of each image"
    return calibration, words


def fit_calibration(
    cells: Sequence[Sequence[CalibrationStack]],
    alphas: Sequence[float] = ALPHAS,
    members: Mapping[str, str] | None = None,
    fitted_on: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fits the scale, the probability map and the conformal factors on validation cells.

    A factor by the look of each image (`bayes.calibration.image_features`) is kept only if, fitted
    without a group of cells, it lowers the negative log-likelihood on that group; deviations are
    multiplied by it first. The scale is `c^2 = < z^2 >` (`variance_scale`), every cell with the
    same weight. The probability map is the cells' mean distribution of `Phi(z / c)`, monotone by
    construction; it is kept only if, fitted without a group of cells, it lowers the quantile
    calibration error on that group. The conformal factors are those of `conformal_factor`, of
    calibrated deviations.

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
    stacks = [[(_standardised(stack), stack.look) for stack in cell] for cell in cells]
    without, with_it = _held_out_nll(stacks)
    by_look = _look_scale(stacks) if with_it < without else None
    z = [_cell(cell, by_look) for cell in stacks]
    scale = _scale(z)
    before, after = _held_out_errors(z)
    keep = after < before
    facts = {
        "cells": len(z),
        "pixels": sum(values.size for values in z),
        "nll_held_out": {"without": without, "with_it": with_it},
        "quantile_calibration_error_held_out": {"scale_only": before, "with_map": after},
        **(fitted_on or {}),
    }
    conformal = [
        {
            "alpha": alpha,
            "factor": conformal_factor([np.abs(values) / scale for values in z], alpha),
            "cells_needed": cells_needed(alpha),
        }
        for alpha in alphas
    ]
    observed = _distribution(z, scale)
    stored = {"expected": GRID.tolist(), "observed": observed.tolist()} if keep else None
    return Calibration(scale, by_look, stored, conformal, dict(members or {}), facts)


Standardised = tuple[NDArray, Look | None]  # error / sigma of the pixels of a stack, and its look


def _standardised(stack: CalibrationStack) -> NDArray:
    return np.ravel(np.asarray(stack.error, np.float64) / stack.sigma)


def _cell(stacks: Sequence[Standardised], by_look: LookScale | None) -> NDArray:
    """Standardised errors of all stacks of a cell, after the factor by the look."""
    if by_look is None:
        return np.concatenate([z for z, _ in stacks])
    return np.concatenate([z / by_look.factor(look) for z, look in stacks])


def _look_scale(cells: Sequence[Sequence[Standardised]]) -> LookScale:
    return fit_look_scale([stack for cell in cells for stack in cell])


def _held_out_nll(cells: Sequence[Sequence[Standardised]]) -> tuple[float, float]:
    """Gaussian NLL per pixel on cells left out of the fit, without and with the factor by the look.

    Up to a term that both have. Equal, so that no factor is kept, where there are fewer cells than
    groups, or a stack without a look.
    """
    if len(cells) < FOLDS or any(look is None for cell in cells for _, look in cell):
        return 0.0, 0.0
    found: list[list[float]] = [[], []]
    for fold in _folds(len(cells)):
        rest = [stacks for i, stacks in enumerate(cells) if i not in fold]
        for values, by_look in zip(found, (None, _look_scale(rest)), strict=True):
            scale = _scale([_cell(stacks, by_look) for stacks in rest])
            for z, look in (stack for i in fold for stack in cells[i]):
                factor = scale * (1.0 if by_look is None else by_look.factor(look))
                values.append(float(np.log(factor) + 0.5 * np.mean((z / factor) ** 2)))
    return float(np.mean(found[0])), float(np.mean(found[1]))


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
        told = [ndtr(z[i] / scale) for i in fold]
        plain.append(_error_of(told))
        mapped.append(_error_of([np.interp(values, GRID, observed) for values in told]))
    return float(np.mean(plain)), float(np.mean(mapped))


def _error_of(told: Sequence[NDArray]) -> float:
    """Quantile calibration error of some cells together, every cell with the same weight."""
    found = np.mean([observed_frequency(values) for values in told], axis=0)
    return float(np.mean(np.abs(found - QUANTILES)))
