"""Rows that are displaced from one row on in a single frame: a torn frame, lost or doubled rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import scipy.fft
import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES

__all__ = ["Displacement", "displaced_rows"]

SIDEWAYS, UPWARDS = 24, 6  # raw pixels, of the largest displacement that is looked for
LEAST = 2  # raw pixels; less may be drift of the sample
EDGE = 12  # rows on either side that a displacement needs
COLUMNS = 256  # of a wide field, which suffice
SMALLEST = 64  # raw pixels a side, below which nothing is measured
# Of the evidence on both sides of the row: standard errors of the noise, and the root of the number
# of rows that agree. The weaker of the two reaches 0.9 of them in 330 good stacks.
SIGMAS, ROOT_ROWS = 8.0, 2.4


class Displacement(NamedTuple):
    """A part of a frame that lies elsewhere than the other frames have it.

    Attributes:
        frame: counted from 1.
        row: first one of the lower part, counted from 1.
        right, down: raw pixels by which the lower part is displaced against the upper one.
    """

    frame: int
    row: int
    right: int
    down: int


def displaced_rows(frames: Tensor) -> tuple[Displacement, ...]:
    """The frames of which one part agrees with the other frames only if it is moved.

    Each row of the gradient of a frame is correlated with that of the mean of the six frames of the
    other orientations, in which the fringes cancel, for shifts s. The evidence of a row for s is

        e(s) = sum over x of g(x) [w(x + s) - w(x)].

    It is negative in rows that are in place. A frame is torn at a row where the evidence for one
    and the same shift is clearly positive on one side, and clearly negative on the other: in units
    of the noise, and in most rows alike.

    Args:
        frames: (9, H, W) without background, orientation-major.

    Returns:
        At most one displacement a frame, the clearest first; none in a small field.
    """
    if min(frames.shape[1:]) < SMALLEST:
        return ()
    frames = _brightest_columns(frames)
    sideways = _torn(*_sideways(frames), 0)
    upwards = _torn(*_upwards(frames), UPWARDS + 1)
    found = []
    for frame, pair in enumerate(zip(sideways, upwards, strict=True)):
        clearness, row, shift = max(pair)
        if clearness > 1:
            moved = (shift, 0) if clearness == pair[0][0] else (0, shift)
            found.append((clearness, Displacement(frame + 1, row + 1, *moved)))
    return tuple(one for _, one in sorted(found, reverse=True))


def _brightest_columns(frames: Tensor) -> Tensor:
    """The columns of a wide field that hold most of the light: (9, H, `COLUMNS`)."""
    light = frames.sum(dim=(0, 1)).cumsum(dim=0)
    if len(light) <= COLUMNS:
        return frames
    start = int((light[COLUMNS:] - light[:-COLUMNS]).argmax()) + 1
    return frames[:, :, start : start + COLUMNS]


def _others(images: Tensor) -> Tensor:
    """The mean of the six images of the other orientations, for each of nine: (9, ...)."""
    sums = images.unflatten(0, (ORIENTATIONS, PHASES)).sum(dim=1)
    others = (sums.sum(dim=0) - sums) / ((ORIENTATIONS - 1) * PHASES)
    return others.repeat_interleave(PHASES, dim=0)


def _sideways(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation of each row with the other frames, for shifts along it, and norms of the rows.

    Returns:
        (9, s, rows), and `_norms` (9, 3, rows).
    """
    ours = frames[:, :, 2:] - frames[:, :, :-2]
    size = scipy.fft.next_fast_len(ours.shape[2] + SIDEWAYS, real=True)  # no shift wraps around
    spectrum = torch.fft.rfft(ours, n=size)
    products = torch.fft.irfft(_others(spectrum).conj() * spectrum, n=size)
    shifts = torch.arange(-SIDEWAYS, SIDEWAYS + 1, device=frames.device) % size
    return products[..., shifts].transpose(1, 2), _norms(ours, _others(ours))


def _upwards(frames: Tensor) -> tuple[Tensor, Tensor]:
    """The same for shifts across the rows, without the rows whose partners lie outside.

    Half the power of the partner is taken off, so that no row agrees with a brighter one.
    """
    ours = frames[:, 2:] - frames[:, :-2]
    theirs, count = _others(ours), ours.shape[1] - 2 * UPWARDS
    inner, window = ours[:, UPWARDS : UPWARDS + count], 2 * UPWARDS + 1
    # Views of the rows around each one: (9, rows, columns, s) and (9, rows, s).
    partners, powers = theirs.unfold(1, window, 1), theirs.square().sum(dim=2).unfold(1, window, 1)
    products = torch.matmul(inner[:, :, None], partners)[:, :, 0] - powers / 2
    norms = _norms(inner, theirs[:, UPWARDS : UPWARDS + count])
    return products.transpose(1, 2).flip(1), norms


def _norms(ours: Tensor, theirs: Tensor) -> Tensor:
    """Powers of the rows of frames and others, and their numbers of pixels: (9, 3, rows)."""
    powers = (part.square().sum(dim=2) for part in (ours, theirs))
    return torch.stack([*powers, torch.full_like(ours[..., 0], ours.shape[2])], dim=1)


def _torn(products: Tensor, norms: Tensor, first: int) -> list[tuple[float, int, int]]:
    """Clearness (above 1: torn), row and shift of the clearest displacement of each frame.

    Args:
        products: (9, s, rows), correlation of the rows, with the middle s in place.
        norms: (9, 3, rows), of `_norms`.
        first: number of the first row.
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
