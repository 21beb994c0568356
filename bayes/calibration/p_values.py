"""Conformal p-values of a new case among known cases, over many scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.utils.errors import InputError

__all__ = ["combined_p_value"]

TAIL_SHARE = 0.2  # of the cells, whose scores a tail is fitted to


def combined_p_value(
    calibration: Mapping[str, NDArray], scores: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    """Conformal p-value of a stack over all its scores together.

    Per score, the n cells and the stack itself give each of them a surprise, about `-log` of the
    share that scores as high (`_surprise`); the largest of its surprises is the number t_i of a
    cell, t of the stack. Then

        p = #{i: t_i >= t} / (n + 1),   the stack counted as well.

    Everything is computed from the n + 1 symmetrically: if the stack is exchangeable
    with the cells, `P(p <= alpha) <= alpha`, for any number of scores, however they depend on each
    other.

    Args:
        calibration: name -> (n,), one stack per cell.
        scores: name -> score of the stack; the names of `calibration`.

    Returns:
        p, and the surprise of each score.

    Source: Vovk, Gammerman, Shafer, Algorithmic learning in a random world (2005), chapter 2, for
    conformal p-values; the combination is this project's.
    """
    names = sorted(calibration)
    if names != sorted(scores):
        raise InputError(f"the gate has the scores {names}, found {sorted(scores)}")
    table = np.array([_surprise([*calibration[name], scores[name]]) for name in names])
    largest = table.max(axis=0)
    p = float((largest >= largest[-1]).mean())
    return p, dict(zip(names, table[:, -1].tolist(), strict=True))


def _surprise(values: Sequence[float]) -> NDArray[np.float64]:
    """`-log(share of values as high)`; in the highest fifth along an exponential tail.

    Ranks alone would tie: of n cells and many scores, most of the highest ranks are in different
    cells. The tail's length is the mean excess over its start, so heavy tails surprise less.
    """
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    beyond = finite.max() + 10 * max(float(np.ptp(finite)), 1e-12) if finite.size else 1.0
    values = np.nan_to_num(values, nan=beyond, posinf=beyond, neginf=-beyond)
    share = (len(values) - np.searchsorted(np.sort(values), values)) / len(values)
    start = np.quantile(values, 1 - TAIL_SHARE)
    excess = values - start
    tail = excess > 0
    length = excess[tail].mean() if tail.any() else 1.0
    return np.where(tail, -math.log(TAIL_SHARE) + excess / length, -np.log(share))
