"""Single bright spots: beads, dirt and aggregates that outshine the structure many times."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdl_sim.physics.patterns.bands import gaussian

__all__ = ["dimmed_weight", "dimming", "fine_dimming", "spot_brightness", "spot_weight"]

SPOT, SPOT_PERCENTILE = 2.0, 99.5  # times this percentile of the light, without spots
SPOT_POWER = 3
OUTSHINING = 4.0  # times the same percentile: no intensity scale fits spot and structure
MOST_SPOTS, GAP = 12, 3.0  # peaks, and by how much the least of them is brighter than the next
DARK_AROUND = 0.2  # of a spot, five pixels away
SPOT_REACH = 4  # raw pixels around a spot that its lens blurs it over
FLAT_REACH = 6  # raw pixels around it that are dimmed alike


def spot_weight(frames: Tensor) -> Tensor | None:
    """Weight of the pixels (H, W) that brings single bright spots down to the structure.

    A bead or a piece of dirt many times brighter than the structure would decide on fringes and
    filters for the whole field. Where the smoothed light exceeds `SPOT` times its 99.5th
    percentile, it is weighed down below that: a single point holds no fringes, and hides them.

    Args:
        frames: (9, H, W) without background.

    Returns:
        None where there is no such spot.
    """
    light, usual = _light(frames)
    limit = SPOT * usual
    if not float(light.max()) > limit > 0:
        return None
    around = _around(light, SPOT_REACH).clamp(min=1e-12)
    weight = (limit / around).clamp(max=1.0) ** SPOT_POWER
    return gaussian(weight, 0.5 * SPOT_REACH)


def dimmed_weight(factor: Tensor) -> Tensor:
    """The weight of the pixels (H, W) of frames whose spots were dimmed by a factor, 0..1.

    Dimmed spots are still the brightest points of the field. They weigh next to nothing.
    """
    return factor**SPOT_POWER


def spot_brightness(frames: Tensor) -> float:
    """The brightest point over the 99.5th percentile of the light, both smoothed by a lens."""
    light, usual = _light(frames)
    return float(light.max()) / max(usual, 1e-12)


def dimming(frames: Tensor) -> Tensor | None:
    """Factor of the pixels (H, W), 0..1, that brings outshining spots down to the structure.

    It is flat over a spot and as far as its lens blurs it, so that a spot keeps its shape and its
    fringes. A linear filter and a network that are shown the dimmed frames make errors of the size
    of the structure there, and none that reach far.

    Only where the brightest point exceeds the structure by the factor `OUTSHINING`: the brightest
    points of ordinary structures, beads among them, stay below three times.

    Args:
        frames: (9, H, W) without background.

    Returns:
        None where there is no such spot.
    """
    light, usual = _light(frames)
    if not float(light.max()) > OUTSHINING * usual > 0:
        return None
    excess = (_around(light, FLAT_REACH) / (SPOT * usual)).clamp(min=1.0)
    return torch.exp(-gaussian(excess.log(), 0.5 * SPOT_REACH))


def fine_dimming(factor: Tensor, square: tuple[slice, slice] | None = None) -> Tensor:
    """The factor (H, W) of `dimming` on the doubled grid: (1, 1, 2H, 2W).

    Args:
        square: rows and columns of the doubled grid, from even places on; None: all.
    """
    grid = {"scale_factor": 2, "mode": "bilinear"}
    if square is None:
        return torch.nn.functional.interpolate(factor[None, None], **grid)
    around = [slice(max(part.start // 2 - 1, 0), part.stop // 2 + 1) for part in square]
    fine = torch.nn.functional.interpolate(factor[None, None, *around], **grid)
    inner = (
        slice(part.start - 2 * side.start, part.stop - 2 * side.start)
        for part, side in zip(square, around, strict=True)
    )
    return fine[..., *inner]


def _around(light: Tensor, reach: int) -> Tensor:
    """The largest value within so many pixels along rows and columns."""
    side, pooled = 2 * reach + 1, light[None, None]
    # Along the rows, then along the columns: a fifth of the comparisons of the square.
    for size, padding in (((side, 1), (reach, 0)), ((1, side), (0, reach))):
        pooled = torch.nn.functional.max_pool2d(pooled, size, 1, padding)
    return pooled[0, 0]


def _light(frames: Tensor) -> tuple[Tensor, float]:
    """The mean of the frames (H, W), smoothed by a lens, and the brightness of the structure.

    The structure is as bright as the 99.5th percentile. Where a few points are three times as
    bright as all other peaks, they are left out of it: several beads fill half a per cent of a
    small field.
    """
    light = gaussian(frames.mean(dim=0), 1.0).clamp(min=0.0)
    peaks = light * (light == _around(light, SPOT_REACH))
    highest = peaks.flatten().topk(MOST_SPOTS + 1)
    steps = (highest.values[:-1] > GAP * highest.values[1:]).nonzero()
    if steps.numel() == 0:
        return light, _percentile(light)
    places = highest.indices[: int(steps[-1]) + 1].tolist()
    spots = [divmod(place, light.shape[1]) for place in places]
    if not all(_is_point(light, *spot) for spot in spots):
        return light, _percentile(light)
    for y, x in spots:
        peaks[y, x] = torch.inf
    rest = light[_around(peaks, 2 * SPOT_REACH) < torch.inf]
    return light, _percentile(rest if rest.numel() else light)


def _is_point(light: Tensor, y: int, x: int) -> bool:
    """Whether a peak is dark all round, as a bead is; mitochondria are longer than a lens blurs."""
    rows, columns = (torch.arange(n, device=light.device) for n in light.shape)
    away = torch.maximum((rows[:, None] - y).abs(), (columns[None] - x).abs())
    return float(light[away == SPOT_REACH + 1].max()) < DARK_AROUND * float(light[y, x])


def _percentile(light: Tensor) -> float:
    rank = max(1, round(SPOT_PERCENTILE / 100 * light.numel()))
    return float(light.flatten().kthvalue(rank).values)
