"""Single bright spots: beads, dirt and aggregates that outshine the structure many times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label
from skimage.measure import regionprops
from torch import Tensor

from bayesdl_sim.utils.pieces.blurring import gaussian

__all__ = [
    "UNDIMMED",
    "FieldLight",
    "dimmed_weight",
    "dimming",
    "field_light",
    "fine_dimming",
    "largest_within",
    "spot_brightness",
    "spot_weight",
]

SPOT, SPOT_PERCENTILE = 2.0, 99.5  # times this percentile of the light, without spots
SPOT_POWER = 3
OUTSHINING = 4.0  # times the same percentile: no intensity scale fits spot and structure
ISOLATED = 2.2  # times the same percentile, for spots that are known to be such by shape and gap
MOST_SPOTS, GAP = 12, 2.3  # and by how much the faintest of them is brighter than all the rest
ALSO_SPOTS, GAP_TO_SPOTS = 0.35, 5.0  # the same where so much of the rest, by area, are spots
REST_HEIGHTS = (0.5, 0.35)  # of the brightest of the rest, at which its places are looked at
ENOUGH_PLACES = 200  # of them
NOTHING_ELSE = 50.0  # times the rest; that is then haze, and the spots are the structure
SEEN = 3.7  # standard deviations by which the rest exceeds its median; 2.6 for noise alone
NOISE_LEFT = 0.323  # of white noise, after the lens over what the lens takes away
HALF_HEIGHTS = (0.5, 0.35, 0.25, 0.17)  # half the height of the faintest over the brightest light
DARK_AROUND = 0.4  # of a spot, beside it, where other structure may lie
LARGEST, LONGEST = 16.0, 2.0  # raw pixels, radius of a spot at half its height; times its width
MOST_SHARE = 0.15  # of a field, that spots and what is around them fill
SPOT_REACH = 4  # raw pixels around a spot that its lens blurs it over
UNDIMMED = 0.95  # factor of a pixel that counts as structure
FLAT_REACH = 6  # raw pixels around it that are dimmed alike


class FieldLight(NamedTuple):
    """The light of a field, and how bright its structure is.

    Attributes:
        smooth: (H, W) mean of the frames without background, blurred by a lens.
        usual: brightness of the structure in it.
        has_isolated: whether isolated spots were left out of that.
    """

    smooth: Tensor
    usual: float
    has_isolated: bool


def spot_weight(light: FieldLight) -> Tensor | None:
    """Weight of the pixels (H, W) that brings single bright spots down to the structure.

    A bead or a piece of dirt many times brighter than the structure would decide on fringes and
    filters for the whole field. Where the smoothed light exceeds `SPOT` times its 99.5th
    percentile, it is weighed down below that: a single point holds no fringes, and hides them.

    Returns:
        None where there is no such spot.
    """
    limit = SPOT * light.usual
    if not float(light.smooth.max()) > limit > 0:
        return None
    around = largest_within(light.smooth, SPOT_REACH).clamp(min=1e-12)
    weight = (limit / around).clamp(max=1.0) ** SPOT_POWER
    return gaussian(weight, 0.5 * SPOT_REACH)


def dimmed_weight(factor: Tensor) -> Tensor:
    """The weight of the pixels (H, W) of frames whose spots were dimmed by a factor, 0..1.

    Dimmed spots are still the brightest points of the field. They weigh next to nothing.
    """
    return factor**SPOT_POWER


def spot_brightness(light: FieldLight) -> float:
    """The brightest point over the brightness of the structure, both smoothed by a lens."""
    return float(light.smooth.max()) / max(light.usual, 1e-12)


def dimming(light: FieldLight) -> Tensor | None:
    """Factor of the pixels (H, W), 0..1, that brings outshining spots down to the structure.

    It is flat over a spot and as far as its lens blurs it, so that a spot keeps its shape and its
    fringes. A linear filter and a network that are shown the dimmed frames make errors of the size
    of the structure there, and none that reach far.

    Only where the brightest point exceeds the structure by the factor `OUTSHINING`, or as a round
    spot with a gap to everything else by the factor `ISOLATED`. The brightest points of ordinary
    structures seldom do, and those of a few beads in an empty field sometimes.

    Returns:
        None where there is no such spot.
    """
    limit = ISOLATED if light.has_isolated else OUTSHINING
    if not float(light.smooth.max()) > limit * light.usual > 0:
        return None
    excess = (largest_within(light.smooth, FLAT_REACH) / (SPOT * light.usual)).clamp(min=1.0)
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


def largest_within(light: Tensor, reach: int) -> Tensor:
    """The largest value of an image (H, W) within so many pixels along rows and columns."""
    side, pooled = 2 * reach + 1, light[None, None]
    # Along the rows, then along the columns: a fifth of the comparisons of the square.
    for size, padding in (((side, 1), (reach, 0)), ((1, side), (0, reach))):
        pooled = torch.nn.functional.max_pool2d(pooled, size, 1, padding)
    return pooled[0, 0]


def field_light(frames: Tensor) -> FieldLight:
    """Measures the light of (n, H, W) frames without background.

    The structure is as bright as the 99.5th percentile, and as its 13th highest peak: few beads
    fill less than half a per cent of a large field. Spots that are `GAP` times as bright as
    everything else are left out of it, unless there is next to nothing else but noise. Where all
    else are spots, too, they may be the structure, and the gap has to be wider.
    """
    mean = frames.mean(dim=0)
    light = gaussian(mean, 1.0)
    fine = (mean - light).cpu().numpy()
    light = light.clamp(min=0.0)
    values = light.cpu().numpy()
    for share in HALF_HEIGHTS:
        level = share * values.max()
        spots = _spots(values, level)
        if spots is None:
            continue
        rest = np.where(spots, 0.0, values)
        if _has_gap(level, rest):
            usual = _percentile(torch.from_numpy(values[~spots]))
            noise = NOISE_LEFT * 1.48 * float(np.median(np.abs(fine[~spots])))
            is_seen = usual - np.median(values[~spots]) > SEEN * noise
            if is_seen and values.max() < NOTHING_ELSE * usual:
                return FieldLight(light, usual, True)
            break
    peaks = light * (light == largest_within(light, SPOT_REACH))
    peak = float(peaks.flatten().topk(MOST_SPOTS + 1).values[-1])
    return FieldLight(light, max(_percentile(light), peak), False)


def _has_gap(level: float, rest: NDArray) -> bool:
    """Whether spots of that half height stand out from the rest of the light (H, W)."""
    gap = 2 * level / max(rest.max(), 1e-12)
    if not GAP < gap < GAP_TO_SPOTS:
        return gap > GAP
    for height in REST_HEIGHTS:  # beads that touch are no spots at one of them
        places = _places(rest, height * rest.max(), ENOUGH_PLACES)
        alike = sum(place.area for place in places if place.is_spot)
        if alike > ALSO_SPOTS * sum(place.area for place in places):
            return False
    return True


def _spots(light: NDArray, level: float) -> NDArray | None:
    """The pixels (H, W) of all places above a level and of what is around them, if each is a spot.

    Returns:
        None where one of them is no spot, or where they fill much of the field.
    """
    if not 0 < label(light > level)[1] <= MOST_SPOTS:
        return None
    inside = np.zeros(light.shape, bool)
    for place in _places(light, level):
        if not place.is_spot:
            return None
        inside[place.around] = True
    return inside if inside.mean() < MOST_SHARE else None


class _Place(NamedTuple):
    """Connected pixels above a level; `around` are the rows and columns that they light up."""

    area: float
    is_spot: bool
    around: tuple[slice, slice]


def _places(light: NDArray, level: float, most: int = MOST_SPOTS) -> list[_Place]:
    """Places above a level, and which of them are spots.

    Beads and aggregates are round, and dark all round, but for other such places. Mitochondria and
    filaments are longer.

    Args:
        most: look at about so many places, spread over the field, if there are more.
    """
    labels, found = label(light > level)[0], []
    places = regionprops(labels, light)
    for place in places[:: max(1, len(places) // most)]:
        radius, middle = 0.5 * place.equivalent_diameter_area, place.centroid
        edge = round(1.5 * radius) + 2
        near = _square(middle, max(edge + SPOT_REACH, 2 * SPOT_REACH), light.shape)
        rows, columns = np.ogrid[near]
        away = np.maximum(abs(rows - middle[0]), abs(columns - middle[1]))
        others = (labels[near] > 0) & (labels[near] != place.label)
        others = binary_dilation(others, np.ones((3, 3)), iterations=SPOT_REACH)
        beside = light[near][(away > edge - 1) & (away <= edge) & ~others].max(initial=0)
        is_round = place.axis_major_length <= LONGEST * max(place.axis_minor_length, 1.0)
        is_dark_around = beside <= DARK_AROUND * place.intensity_max
        found.append(_Place(place.area, radius <= LARGEST and is_round and is_dark_around, near))
    return found


def _square(middle: tuple[float, float], reach: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = (
        slice(max(0, int(x) - reach), min(n, int(x) + reach + 2))
        for x, n in zip(middle, shape, strict=True)
    )
    return rows, columns


def _percentile(light: Tensor) -> float:
    rank = max(1, round(SPOT_PERCENTILE / 100 * light.numel()))
    return float(light.flatten().kthvalue(rank).values)
