"""Intervals with a guarantee: conformal risk control with the cell as the exchangeable unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bayesdl_sim.utils.errors import InputError

__all__ = ["cells_needed", "conformal_factor"]


def conformal_factor(ratios: Sequence[ArrayLike], alpha: float) -> float | None:
    """The smallest half-width, in standard deviations, whose risk on a new cell is at most alpha.

    The loss of a cell is the share of its pixels outside `mean +- lambda sigma`, between 0 and 1
    and falling in lambda. With R the mean loss of n calibration cells, the smallest lambda with

        n / (n + 1) R(lambda) + 1 / (n + 1) <= alpha

    has an expected loss of at most alpha on the next cell, whatever the distribution of the cells,
    if that cell and the n are exchangeable. Pixels and signal levels of one cell need not be
    independent: only whole cells are counted. It is a statement about the average over cells (and
    over the calibration sets that could have been drawn), not about every cell or every pixel.

    Args:
        ratios: `|target - mean| / sigma` of the pixels of each calibration cell.
        alpha: the allowed share outside, between 0 and 1.

    Returns:
        lambda; None where n is too small for alpha (below `cells_needed`): only an infinite
        interval would do.

    Raises:
        InputError: no cell, an empty one, or an alpha out of range.

    Source: Angelopoulos, Bates, Fisch, Lei and Schuster, "Conformal risk control" (2022), eq. 4
    with B = 1.
    """
    number = len(ratios)
    allowed = (alpha * (number + 1) - 1) / max(number, 1)
    sizes = [np.size(values) for values in ratios]
    if not number or not min(sizes):
        raise InputError("conformal risk control needs at least one cell, and pixels from each")
    if number < cells_needed(alpha):
        return None
    values = np.concatenate([np.ravel(part) for part in ratios]).astype(np.float64)
    if np.isnan(values).any():
        raise InputError("a ratio of error to standard deviation is not a number (NaN)")
    weights = np.repeat([1 / (number * size) for size in sizes], sizes)
    order = np.argsort(values)
    values = values[order]
    outside = np.cumsum(weights[order][::-1])[::-1] - weights[order]  # beyond this pixel
    # Pixels of one value leave together; what counts is the weight beyond the last of them.
    last = np.searchsorted(values, values, side="right") - 1
    good = outside[last] <= allowed + 1e-12
    return float(values[np.argmax(good)])


def cells_needed(alpha: float) -> int:
    """The fewest calibration cells for which a finite interval can keep alpha: `1 / alpha - 1`."""
    if not 0 < alpha < 1:
        raise InputError(f"a risk alpha lies between 0 and 1, found {alpha}")
    return int(np.ceil(1 / alpha - 1 - 1e-9))
