"""How certain a mean over cells is, when the stacks of one cell are no independent witnesses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.checks import InputError

__all__ = ["Estimate", "cell_means", "mean_over_cells"]

REPEATS = 2000


class Estimate(NamedTuple):
    """A mean over cells and its bootstrap interval; low and high are NaN for a single cell."""

    value: float
    low: float
    high: float
    cells: int


def cell_means(values: ArrayLike, cells: ArrayLike) -> NDArray[np.float64]:
    """The mean of each cell's values, cells in ascending order; NaN values are left out.

    A cell all of whose values are NaN is left out too.
    """
    values, cells = np.asarray(values, dtype=np.float64), np.asarray(cells)
    if values.shape != cells.shape or values.ndim != 1:
        raise InputError(
            f"every value belongs to a cell, found {values.shape} values and {cells.shape} cells"
        )
    known = ~np.isnan(values)
    names, index = np.unique(cells[known], return_inverse=True)
    return np.bincount(index, values[known], len(names)) / np.bincount(index, minlength=len(names))


def mean_over_cells(
    values: ArrayLike,
    cells: ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    repeats: int = REPEATS,
) -> Estimate:
    """Mean of the cells' means with a percentile bootstrap interval: whole cells are redrawn.

    Args:
        values: one per stack, (n,).
        cells: the cell of each stack, (n,).
        rng: source of the redraws.
        level: of the interval.
        repeats: redraws.

    Raises:
        InputError: no value, or shapes that differ.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    means = cell_means(values, cells)
    if not means.size:
        raise InputError("a mean over cells needs at least one value, found none")
    if means.size == 1:
        return Estimate(float(means[0]), float("nan"), float("nan"), 1)
    redrawn = means[rng.integers(means.size, size=(repeats, means.size))].mean(axis=1)
    low, high = np.quantile(redrawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(means.mean()), float(low), float(high), means.size)
