"""Rows that are displaced from one row on in a single frame: a torn frame, lost or doubled rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.checks.agreement.correlations import RowCorrelation

__all__ = ["Displacement", "displaced_rows"]

LEAST = 2  # raw pixels; less may be drift of the sample
EDGE = 12  # rows on either side that a displacement needs
# Of the evidence on both sides of the row: standard errors of the noise, and the root of the number
# of rows that agree. The weaker of the two reaches 0.9 of them in 650 good stacks, and 1.48 in nine
# frames that have nothing in common.
SIGMAS, ROOT_ROWS = 8.0, 2.4


class Displacement(NamedTuple):
    """A part of a frame that lies elsewhere than the other frames have it.

    Attributes:
        frame: counted from 1.
        row: first one of the lower part, counted from 1.
        moved: raw pixels to the right and down by which the lower part is displaced against the
            upper one.
        clearness: of the evidence, over the least that counts.
    """

    frame: int
    row: int
    moved: tuple[int, int]
    clearness: float


def displaced_rows(sideways: RowCorrelation, upwards: RowCorrelation) -> tuple[Displacement, ...]:
    """The frames of which one part agrees with the other frames only if it is moved.

    The evidence of a row for a shift s is that of its gradient g against the one w of the others:

        e(s) = sum over x of g(x) [w(x + s) - w(x)].

    It is negative in rows that are in place. A frame is torn at a row where the evidence for one
    and the same shift is clearly positive on one side, and clearly negative on the other: in units
    of the noise, and in most rows alike.

    Args:
        sideways, upwards: of `row_correlations`.

    Returns:
        At most one displacement a frame, the clearest first.
    """
    found = []
    for frame, pair in enumerate(zip(_torn(*sideways), _torn(*upwards), strict=True)):
        clearness, row, shift = max(pair)
        if clearness > 1:
            moved = (shift, 0) if clearness == pair[0][0] else (0, shift)
            found.append(Displacement(frame + 1, row + 1, moved, clearness))
    return tuple(sorted(found, key=lambda one: -one.clearness))


def _torn(products: Tensor, norms: Tensor, first: int) -> list[tuple[float, int, int]]:
    """Clearness (above 1: torn), row and shift of the clearest displacement of each frame.

    Args:
        products, norms, first: of a `RowCorrelation`.
    """
    middle = products.shape[1] // 2
    evidence = products - products[:, middle : middle + 1]
    usual = norms[:, :2].prod(dim=1).sqrt().mean(dim=1)[:, None, None].clamp(min=1e-30)
    totals = _sides(evidence)
    noise, alike = [], []
    for total, square, powers in zip(
        totals, _sides((evidence / usual).square()), _sides(norms), strict=True
    ):
        ours, theirs, count = powers[:, :, None].unbind(dim=1)
        noise.append(total * (count / (2 * ours * theirs).clamp(min=1e-30)).sqrt())
        alike.append(total / usual / square.clamp(min=1e-12).sqrt())
    # Of the part above and the part below, one has moved and the other has not.
    clear = torch.stack(
        [
            torch.minimum(
                torch.minimum(sign * noise[1], -sign * noise[0]) / SIGMAS,
                torch.minimum(sign * alike[1], -sign * alike[0]) / ROOT_ROWS,
            )
            for sign in (1, -1)
        ],
        dim=1,
    )
    clear[:, :, middle - LEAST + 1 : middle + LEAST] = -math.inf
    clear[..., : EDGE - first] = clear[..., clear.shape[-1] - EDGE + first :] = -math.inf
    best = []
    for frame, values in enumerate(clear):
        upper, rest = divmod(int(values.argmax()), values[0].numel())
        sign = -1 if upper else 1
        before = sign * totals[0][frame, rest // values.shape[2]]
        row = int(before[EDGE - first : first - EDGE or None].argmin()) + EDGE - first
        shift = int(totals[1 - upper][frame, :, row].argmax()) - middle
        best.append((float(values.max()), row + first, sign * shift))
    return best


def _sides(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sums (..., rows) over the rows before each row, and over it and those after it."""
    before = values.cumsum(dim=-1) - values
    return before, values.sum(dim=-1, keepdim=True) - before
