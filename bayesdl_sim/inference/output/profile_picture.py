"""The picture of a profile: the image with a line on it, and what lies along the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesdl_sim.bayes.credibility import interval
from bayesdl_sim.metrics.profiles import Line, profile
from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.pictures import PNG, draw_scale_bar
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = ["PROFILE", "brightest_row", "draw_curve", "draw_profile", "write_profile_picture"]

PROFILE = "Profile.png"
DPI = 120
POINTS = 9.0  # height of the letters on the image


def brightest_row(sr: NDArray) -> Line:
    """The row of pixels (one per pixel) through the brightest point of an image (2H, 2W)."""
    row = int(np.nanargmax(sr)) // sr.shape[1]
    columns = np.arange(sr.shape[1], dtype=np.float64)
    return Line(np.full_like(columns, row), columns)


def draw_profile(
    sr: NDArray,
    total: NDArray | None,
    line: Line,
    pixel_size_nm: float | None,
    level: float = 0.9,
    wide_field: NDArray | None = None,
) -> Figure:
    """The image with the line on it, and the profile with the band of its interval.

    Args:
        sr: (2H, 2W); NaN where there are no data, which leaves a gap.
        total: its standard deviation, same shape; None: no band.
        pixel_size_nm: of the image; None: lengths are in pixels.
        level: probability of the interval.
        wide_field: (2H, 2W), any units; drawn after the affine fit along the line that is nearest
            to the super-resolved profile.
    """
    figure = Figure(figsize=(11, 4))
    # Places that are known need no layout engine, which draws everything twice to find them.
    figure.subplots_adjust(left=0.01, right=0.985, bottom=0.135, top=0.97, wspace=0.16)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.7))
    low, high = display_limits(sr)
    left.imshow(sr, cmap="magma", vmin=low, vmax=high)
    left.plot(line.columns, line.rows, color="cyan", linewidth=1.5)
    left.plot(line.columns[0], line.rows[0], "o", color="cyan", markersize=4)
    left.set_axis_off()
    draw_scale_bar(left, sr.shape, pixel_size_nm, POINTS)
    draw_curve(right, sr, total, line, pixel_size_nm, level, wide_field)
    return figure


def draw_curve(
    axes: Any,
    sr: NDArray,
    total: NDArray | None,
    line: Line,
    pixel_size_nm: float | None,
    level: float = 0.9,
    wide_field: NDArray | None = None,
) -> None:
    """The profile alone, on axes of matplotlib; see `draw_profile`."""
    apart = float(np.hypot(line.rows[1] - line.rows[0], line.columns[1] - line.columns[0]))
    scale = 1 if pixel_size_nm is None else pixel_size_nm / 1000
    along = np.arange(len(line.rows)) * apart * scale
    ours = profile(sr, line)
    if total is not None:
        lower, upper = _band(ours, profile(total, line), level)
        axes.fill_between(
            along, lower, upper, color="tab:red", alpha=0.2, linewidth=0,
            label=f"{level:.0%} interval",
        )  # fmt: skip
    axes.plot(along, ours, color="tab:red", label="super-resolved")
    if wide_field is not None:
        fitted = _fitted(profile(wide_field, line), ours)
        axes.plot(along, fitted, color="tab:gray", label="wide field, fitted")
    unit = "px" if pixel_size_nm is None else "µm"
    axes.set(xlabel=f"along the line, from the dot, {unit}", ylabel="normalised SR intensity")
    axes.set_xlim(0, along[-1])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def write_profile_picture(path: Path, figure: Figure) -> None:
    """Writes the figure of `draw_profile` as PNG, whole or not at all."""
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=DPI, pil_kwargs=PNG)


def _band(ours: NDArray, total: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Both ends of the interval; NaN where there are no data."""
    known = np.isfinite(ours) & np.isfinite(total)
    lower, upper = np.full(ours.shape, np.nan), np.full(ours.shape, np.nan)
    pair = (torch.from_numpy(np.asarray(x[known], np.float64)) for x in (ours, total))
    for end, values in zip((lower, upper), interval(*pair, level), strict=True):
        end[known] = values.numpy()
    return lower, upper


def _fitted(values: NDArray, target: NDArray) -> NDArray:
    """The affine function of the values nearest to the target in least squares."""
    known = np.isfinite(values) & np.isfinite(target)
    terms = np.stack([values, np.ones_like(values)], axis=1)
    return terms @ np.linalg.lstsq(terms[known], target[known], rcond=None)[0]
