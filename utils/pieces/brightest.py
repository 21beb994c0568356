"""The part of a field that holds the most light."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdl_sim.utils.pieces.spans import Square

__all__ = ["brightest_square"]


def brightest_square(raw: Tensor, side: int) -> Square:
    """Rows and columns of the square of at most `side` pixels that holds the most light."""
    light = raw.mean(dim=0, dtype=torch.float64)
    height, width = (min(side, n) for n in light.shape)
    # Sums over squares are differences of sums from the first corner on.
    whole = torch.nn.functional.pad(light, (1, 0, 1, 0)).cumsum(dim=0).cumsum(dim=1)
    sums = whole[height:, width:] - whole[:-height, width:]
    sums = (sums - whole[height:, :-width] + whole[:-height, :-width])[::8, ::8]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    return slice(8 * row, 8 * row + height), slice(8 * column, 8 * column + width)
