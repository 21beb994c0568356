"""The picture of a profile: the image with a line on it, and what lies along the line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.bayes.credibility import interval
from bayesdl_sim.metrics.profiles import Line, profile
from bayesdl_sim.utils.drawing.canvas import Box, Canvas
from bayesdl_sim.utils.drawing.colour_maps import coloured, resized
from bayesdl_sim.utils.drawing.plot import Plot
from bayesdl_sim.utils.drawing.ticks import ticks
from bayesdl_sim.utils.pictures import draw_scale_bar
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = [
    "PROFILE",
    "Profile",
    "brightest_row",
    "draw_curve",
    "profile_of",
    "write_profile_picture",
]

PROFILE = "Profile.png"
_WIDTH, _HEIGHT, _SIDE = 1320, 480, 401  # screen pixels, of the picture and of the image
_TOP, _LEFT, _EM = 14, 33, 16  # of the image, and the height of the letters
_LINE, _OURS, _WIDE = "cyan", "#d62728", "#7f7f7f"


def brightest_row(sr: NDArray) -> Line:
    """The row of pixels (one per pixel) through the brightest point of an image (2H, 2W)."""
    row = int(np.nanargmax(sr)) // sr.shape[1]
    columns = np.arange(sr.shape[1], dtype=np.float64)
    return Line(np.full_like(columns, row), columns)


def write_profile_picture(
    path: str | Path,
    sr: NDArray,
    total: NDArray | None,
    line: Line,
    pixel_size_nm: float | None,
    level: float = 0.9,
    wide_field: NDArray | None = None,
) -> None:
    """Writes a PNG of the image with the line on it, beside its profile with the interval's band.

    Args:
        sr: (2H, 2W); NaN where there are no data, which leaves a gap.
        total: its standard deviation, same shape; None: no band.
        pixel_size_nm: pixel size of the image; None: lengths are in pixels.
        level: probability of the interval.
        wide_field: (2H, 2W), any units; drawn after the affine fit along the line that is nearest
            to the super-resolved profile.
    """
    canvas = Canvas(_WIDTH, _HEIGHT)
    height, width = (round(_SIDE * n / max(sr.shape)) for n in sr.shape)
    left, top = _LEFT + (_SIDE - width) // 2, _TOP + (_SIDE - height) // 2
    box = (left, top, left + width, top + height)
    canvas.picture(box, coloured(resized(sr, (height, width)), *display_limits(sr), "magma"))
    scale = width / sr.shape[1]
    places = np.stack([line.columns + 0.5, line.rows + 0.5], axis=1) * scale + (left, top)
    canvas.line(places[[0, -1]], _LINE, 2.5, box)
    canvas.area(_dot(places[0], 4.0), _LINE)
    draw_scale_bar(canvas, box, sr.shape, pixel_size_nm, _EM)
    curve = (_LEFT + _SIDE + 7 * _EM, _TOP, _WIDTH - 1.5 * _EM, _TOP + _SIDE)
    draw_curve(canvas, curve, profile_of(sr, total, line, pixel_size_nm, level, wide_field), _EM)
    canvas.save(path)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What lies along a line.

    Attributes:
        along: (n,), distance from its beginning.
        unit: unit of the distance.
        ours: (n,), super-resolved; NaN where there are no data.
        band: both ends of the interval; None without a standard deviation.
        wide_field: (n,), fitted to `ours`; None where it is not known.
        level: probability of the interval.
    """

    along: NDArray
    unit: str
    ours: NDArray
    band: tuple[NDArray, NDArray] | None
    wide_field: NDArray | None
    level: float


def profile_of(
    sr: NDArray,
    total: NDArray | None,
    line: Line,
    pixel_size_nm: float | None,
    level: float = 0.9,
    wide_field: NDArray | None = None,
) -> Profile:
    """The values along a line; the arguments are those of `write_profile_picture`."""
    step_px = float(np.hypot(line.rows[1] - line.rows[0], line.columns[1] - line.columns[0]))
    scale = 1 if pixel_size_nm is None else pixel_size_nm / 1000
    ours = profile(sr, line)
    return Profile(
        along=np.arange(len(line.rows)) * step_px * scale,
        unit="px" if pixel_size_nm is None else "µm",
        ours=ours,
        band=None if total is None else _band(ours, profile(total, line), level),
        wide_field=None if wide_field is None else _fitted(profile(wide_field, line), ours),
        level=level,
    )


def draw_curve(canvas: Canvas, box: Box, values: Profile, em: float) -> None:
    """Draws a profile into a box of a canvas, with letters of a height and room for them around.

    What the lines mean stands above them, along the upper side of the box.
    """
    along, band, (left, top, right, bottom) = values.along, values.band, box
    box = (left, top + 1.8 * em, right, bottom)
    curves = [
        values.ours,
        *(band or ()),
        *([] if values.wide_field is None else [values.wide_field]),
    ]
    low, high = (float(f(np.stack(curves))) for f in (np.nanmin, np.nanmax))
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    plot = Plot(canvas=canvas, box=box, x=(0.0, float(along[-1])), y=limits, size=em)
    across, up = ticks(0.0, float(along[-1]), 8), ticks(*limits, 8)
    plot.grid(across, up)
    shown = []
    if band is not None:
        plot.band(along, *band, _OURS, 0.2)
        shown.append((f"{values.level:.0%} interval", "#f4d3d4", 0.6 * em))
    plot.line(along, values.ours, _OURS, 2.0)
    shown.append(("super-resolved", _OURS, 2.0))
    if values.wide_field is not None:
        plot.line(along, values.wide_field, _WIDE, 2.0)
        shown.append(("wide field, fitted", _WIDE, 2.0))
    plot.below(across, f"along the line, from the dot, {values.unit}")
    plot.beside(up, "normalised SR intensity")
    plot.frame()
    x, y = left, top + 0.7 * em
    for words, colour, thick in shown:
        canvas.rectangle((x, y - thick / 2, x + 1.5 * em, y + thick / 2), colour)
        x = canvas.text((x + 1.9 * em, y), words, em, "lm")[2] + 1.2 * em


def _dot(centre: NDArray, radius: float) -> NDArray:
    """A disc as a polygon (n, 2)."""
    turn = np.linspace(0, 2 * np.pi, 33)
    return centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _band(ours: NDArray, total: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Both ends of the interval; NaN where there are no data."""
    valid = np.isfinite(ours) & np.isfinite(total)
    lower, upper = np.full(ours.shape, np.nan), np.full(ours.shape, np.nan)
    pair = (torch.from_numpy(np.asarray(x[valid], np.float64)) for x in (ours, total))
    for end, values in zip((lower, upper), interval(*pair, level), strict=True):
        end[valid] = values.numpy()
    return lower, upper


def _fitted(values: NDArray, target: NDArray) -> NDArray:
    """The affine function of the values nearest to the target in least squares."""
    valid = np.isfinite(values) & np.isfinite(target)
    terms = np.stack([values, np.ones_like(values)], axis=1)
    return terms @ np.linalg.lstsq(terms[valid], target[valid], rcond=None)[0]
