"""Pixels without data in a result: NaN in its maps, no credibility, no effect on its scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import WIDTHS, Reconstruction
from bayesdl_sim.inference.settings import CHANGES

__all__ = ["fine", "first_kept", "gaps_of", "structure_range", "with_gaps"]

RANGE_PERCENTILES = (0.5, 99.5)  # of the pixels: one bright spot is less than 0.5 % of a field


def gaps_of(prepared: PreparedStack) -> NDArray[np.bool_] | None:
    """Raw pixels (T, H, W) that hold no data, or are left out; None where all have a result."""
    left_out = np.ones(prepared.field, bool)
    gaps = np.stack(
        [
            left_out if t in prepared.left_out else prepared.missing(t).cpu().numpy()
            for t in range(len(prepared))
        ]
    )
    return gaps if gaps.any() else None


def first_kept(prepared: PreparedStack) -> int:
    """The first time point with a result, which pictures and facts of one time point show."""
    return next((t for t in range(len(prepared)) if t not in prepared.left_out), 0)


def fine(gaps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same on the doubled grid."""
    return gaps.repeat(2, axis=-2).repeat(2, axis=-1)


def structure_range(sr: NDArray, gaps: NDArray[np.bool_] | None = None) -> float:
    """Range of the structure in normalised SR intensity: 0.5 to 99.5 percentile of the pixels.

    The largest value may be that of one bead, beside which any error of the structure is small.

    Args:
        sr: (T, 2H, 2W).
        gaps: see `gaps_of`; they do not count.
    """
    values = sr if gaps is None else sr[~fine(gaps)]
    low, high = np.percentile(values, RANGE_PERCENTILES)
    return float(high - low) or 1.0


def with_gaps(
    result: Reconstruction, gaps: NDArray[np.bool_], before: NDArray[np.bool_] | None = None
) -> Reconstruction:
    """The result with NaN where there are no data, and a credibility of zero there.

    Args:
        before: gaps (1, H, W) of the time point before, where the result is the next of a series.
    """
    names = ("sr", *(name.lower() for name in WIDTHS), "wide_field")
    images = {name: getattr(result, name) for name in names}
    filled = {name: _emptied(image, gaps) for name, image in images.items() if image is not None}
    channels = {name: _emptied(image, gaps) for name, image in result.channels.items()}
    if "Credibility" in channels:
        channels["Credibility"] = np.nan_to_num(channels["Credibility"], nan=0.0)
    gaps_of_change = gaps if before is None else gaps | before
    further = {
        name: _emptied(image, gaps_of_change if name in CHANGES else gaps)
        for name, image in result.further.items()
    }
    return replace(result, **filled, channels=channels, further=further)


def _emptied(image: NDArray, gaps: NDArray[np.bool_]) -> NDArray:
    """A copy with NaN in the gaps; a change between two time points has those of both."""
    if len(image) == len(gaps) - 1:
        gaps = gaps[1:] | gaps[:-1]
    mask = gaps if image.shape == gaps.shape else fine(gaps)
    return np.where(mask, np.float32("nan"), image).astype(np.float32)
