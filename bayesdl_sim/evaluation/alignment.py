"""Brings the targets of a set onto the pixel grid of the reconstructions.

Programs differ by half a super-resolved pixel in where they put the first one (see
`metrics.registration`), and a whole set by one program is shifted by one vector. It is measured
against the wide field, which involves no network, and as the median over cells, since a single
dim stack would be moved by its noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import shift

from bayesdl_sim.data.formats.opening import read_images
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.metrics.registration import LARGEST_SHIFT_PX, register
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.errors import InputError

__all__ = ["SMALLEST_PX", "moved", "shift_of_targets"]

MOST_CELLS = 12  # measured of a set, evenly picked
SMALLEST_PX = 0.2  # super-resolved pixels; conventions differ by 0.5 or 1


def shift_of_targets(tree: DatasetTree, cells: Sequence[int]) -> tuple[float, float]:
    """Rows and columns by which the targets have to be moved; (0, 0) if they lie right.

    Args:
        cells: numbers of cells; their brightest level is measured. Unreadable ones are left out.
    """
    picked = np.linspace(0, len(cells) - 1, min(len(cells), MOST_CELLS)).round().astype(int)
    shifts = []
    for cell in (cells[i] for i in picked):
        try:
            shifts.append(_shift(tree, cell))
        except InputError:
            continue  # named when the case itself is read
    if not shifts:
        return 0.0, 0.0
    rows, columns = (float(value) for value in np.median(shifts, axis=0))
    length = float(np.hypot(rows, columns))
    return (rows, columns) if SMALLEST_PX <= length <= LARGEST_SHIFT_PX else (0.0, 0.0)


def moved(target: NDArray, shift_px: tuple[float, float]) -> NDArray[np.float32]:
    """The target (2H, 2W) moved by cubic interpolation; itself where there is nothing to move."""
    if shift_px == (0.0, 0.0):
        return target
    return shift(target, shift_px, order=3, mode="nearest").astype(np.float32)


def _shift(tree: DatasetTree, cell: int) -> tuple[float, float]:
    raw = read_stack(tree.raw_folder(cell, tree.levels(cell)[-1])).raw[0]
    wide_field = wide_field_upsampled(torch.from_numpy(np.asarray(raw, np.float32))).numpy()
    target, *_ = read_images(tree.gt_path(cell))
    return register(np.squeeze(target), wide_field).shift_px
