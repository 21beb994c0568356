"""Uncertainty of a mean over cells, when the stacks of one cell are not independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.errors import InputError

__all__ = ["Estimate", "cell_means", "mean_over_cells", "table_of_means"]

REPEATS = 2000


class Estimate(NamedTuple):
    """A mean over cells and its bootstrap interval; low and high are NaN for a single cell."""

    value: float
    low: float
    high: float
    cells: int

    def __str__(self) -> str:
        """`0.899 [0.891, 0.905]`, as tables show it."""
        digits = 2 if abs(self.value) >= 10 else 3 if abs(self.value) >= 0.1 else 4
        text = f"{self.value:.{digits}f}"
        if np.isnan(self.low):
            return text
        return f"{text} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


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
        level: level of the interval.
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


def table_of_means(
    rows: Sequence[Mapping[str, Any]], by: Sequence[str], columns: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Rows of one group (equal values of the columns `by`) become one row of `Estimate`s.

    Every row needs the column "cell". NaN and infinite values are left out; None stands where
    nothing is left. Groups keep the order in which they first appear, and every entry is
    bootstrapped with the same redraws of cells.
    """
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    table = []
    for key, members in groups.items():
        cells = np.array([row["cell"] for row in members])
        entry = {**dict(zip(by, key, strict=True)), "stacks": len(members)}
        for column in columns:
            values = np.array([row[column] for row in members], dtype=np.float64)
            values[~np.isfinite(values)] = np.nan
            known = not np.isnan(values).all()
            rng = np.random.default_rng(seed)
            entry[column] = mean_over_cells(values, cells, rng) if known else None
        table.append(entry)
    return table
