"""Single frames that lie elsewhere than the others of their orientation: vibration, a shock."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from bayesdl_sim.physics.checks.agreement.correlations import RowCorrelation
from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES

__all__ = ["MovedFrame", "moved_frame"]

REACH = 4  # raw pixels, of the largest shift that is looked for
CLEAR = 8.0  # standard errors of its curvature, from which on a peak is measured


class MovedFrame(NamedTuple):
    """The frame that moved most.

    Attributes:
        frame: counted from 1.
        moved_px: raw pixels from the median of the three frames of its orientation.
        error_px: standard error; infinite where the light is too dim.
    """

    frame: int
    moved_px: float
    error_px: float


def moved_frame(sideways: RowCorrelation, upwards: RowCorrelation) -> MovedFrame:
    """Measures each frame against the other orientations, and takes off what its own have alike.

    The place of a frame is the peak of its correlation, by a parabola over three shifts. Drift
    between the orientations moves all three frames of one.

    Args:
        sideways, upwards: of `row_correlations`.
    """
    places, errors, clear = zip(*map(_places, (sideways, upwards)), strict=True)
    place, error = torch.stack(places, dim=1), torch.stack(errors, dim=1)
    grouped = place.unflatten(0, (ORIENTATIONS, PHASES))
    moved = (grouped - grouped.median(dim=1, keepdim=True).values).flatten(0, 1)
    distance, total = moved.norm(dim=1), error.square().sum(dim=1).sqrt()
    if not bool(torch.stack(clear).all()):
        return MovedFrame(int(distance.argmax()) + 1, float(distance.max()), math.inf)
    most = int(distance.argmax())
    return MovedFrame(most + 1, float(distance[most]), float(total[most]))


def _places(rows: RowCorrelation) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Shift of each frame in raw pixels, its standard error, and whether it is clear: (9,) each."""
    middle = rows.products.shape[1] // 2
    near = rows.products[:, middle - REACH : middle + REACH + 1].sum(dim=2)
    peak = near.argmax(dim=1).clamp(1, 2 * REACH - 1)
    before, top, after = (near.gather(1, (peak + step)[:, None])[:, 0] for step in (-1, 0, 1))
    curvature = (2 * top - before - after).clamp(min=1e-30)
    ours, theirs, count = rows.norms.unbind(dim=1)
    noise = (ours * theirs / count).sum(dim=1).sqrt().clamp(min=1e-30)
    place = peak - REACH + (after - before) / (2 * curvature)
    return place, noise / curvature, curvature > CLEAR * noise
