"""The picture of a comparison: every method and both uncertainties, whole, enlarged, on a line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bayesdl_sim.metrics.images import affine_fit
from bayesdl_sim.metrics.profiles import Line, liveliest_line, profile
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.pictures import scale_bar

__all__ = ["add_scale_bar", "brightest_square", "write_comparison"]

UNCERTAINTIES = ("aleatoric", "epistemic")
COLOURS = {"wide field": "tab:gray", "Wiener": "tab:blue", "BayesDL-SIM": "tab:red"}
SHOWN = (0.5, 99.9)  # percentiles at the ends of the colours
EDGE = 0.04  # of the side; no square reaches into it, where filters ring
INCH, DPI = 4.4, 100  # of one panel


def brightest_square(image: NDArray, side: int) -> tuple[slice, slice]:
    """The square of the image around its brightest structure, clear of the edge if it fits.

    Raises:
        InputError: the square is larger than the image.
    """
    if side > min(image.shape):
        raise InputError(
            f"a zoom of {side} pixels does not fit into an image of {image.shape}: choose a "
            "smaller one"
        )
    smooth = gaussian_filter(image, side / 4)
    starts = []
    for n, centre in zip(image.shape, np.unravel_index(smooth.argmax(), image.shape), strict=True):
        edge = min(round(EDGE * n), (n - side) // 2)
        starts.append(int(np.clip(centre - side // 2, edge, n - side - edge)))
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def write_comparison(
    path: Path, panels: Mapping[str, NDArray], pixel_size_nm: float, zoom: int
) -> None:
    """Writes a PNG: a column per panel, the whole field above its brightest square, then a line.

    The square lies where the wide field is brightest, the line where the Wiener image has most
    detail; along it every image is drawn after an affine fit to the reconstruction in the square,
    with one standard deviation of the total uncertainty. Colours mean the same in both rows.

    Args:
        panels: title -> (2H, 2W): "wide field", "Wiener", "BayesDL-SIM", "aleatoric", "epistemic".
        pixel_size_nm: pixel size of the panels.
        zoom: side of the square in pixels of the panels.
    """
    square = brightest_square(panels["wide field"], zoom)
    parts = {title: image[square] for title, image in panels.items()}
    line = liveliest_line(parts["Wiener"], parts["wide field"])
    figure = Figure(figsize=(INCH * len(panels), 3.05 * INCH), dpi=DPI, facecolor="white")
    grid = figure.subplots(3, len(panels), height_ratios=(1, 1, 0.8))
    figure.subplots_adjust(0.005, 0.065, 0.995, 0.96, wspace=0.02, hspace=0.05)
    for column, (title, image) in enumerate(panels.items()):
        uncertain = title in UNCERTAINTIES
        low, high = np.percentile(image, SHOWN)
        colours = {"vmin": low, "vmax": max(high, low + 1e-9)}
        colours["cmap"] = "viridis" if uncertain else "magma"
        for axes, part in zip(grid[:2, column], (image, parts[title]), strict=True):
            shown = axes.imshow(part, **colours)
            axes.set_axis_off()
            add_scale_bar(axes, part.shape, pixel_size_nm, 16)
        grid[0, column].set_title(title, fontsize=24, pad=6)
        corner = (square[1].start - 0.5, square[0].start - 0.5)
        grid[0, column].add_patch(
            Rectangle(corner, zoom, zoom, fill=False, edgecolor="white", linewidth=2)
        )
        if title in COLOURS:
            grid[1, column].plot(line.columns, line.rows, ":", color="white", linewidth=2)
        else:
            _colour_bar(figure, grid[2, column], shown)
        grid[2, column].set_axis_off()
    _draw_profiles(figure, grid, parts, line, pixel_size_nm)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=DPI)


def add_scale_bar(
    axes: Any, shape: tuple[int, ...], pixel_size_nm: float | None, points: float
) -> None:
    """A bar of about a fifth of the width at the lower right, readable on dark and on bright.

    Args:
        axes: matplotlib's axes, which show an image of that shape (H, W).
        points: height of the letters.
    """
    height, width = shape
    length, text = scale_bar(width, pixel_size_nm)
    outline = [withStroke(linewidth=0.2 * points, foreground="black")]
    margin, thick = 0.04 * width, max(0.012 * max(height, width), 0.5)
    x, y = width - 0.5 - margin - length, height - 0.5 - 0.04 * height - thick
    axes.add_patch(
        Rectangle((x, y), length, thick, facecolor="white", edgecolor="none", path_effects=outline)
    )
    axes.annotate(
        text,
        (x + length / 2, y),
        (0, 0.35 * points),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color="white",
        fontsize=points,
        path_effects=outline,
    )


def _draw_profiles(
    figure: Figure, grid: Any, parts: Mapping[str, NDArray], line: Line, pixel_size_nm: float
) -> None:
    first, last = (grid[2, column].get_position() for column in (0, len(COLOURS) - 1))
    axes = figure.add_axes((0.05, first.y0, last.x1 - 0.06, 0.93 * first.height))
    along = np.arange(len(line.rows)) * pixel_size_nm / 1000
    ours = profile(parts["BayesDL-SIM"], line)
    total = profile(np.hypot(parts["aleatoric"], parts["epistemic"]), line)
    axes.fill_between(along, ours - total, ours + total, color="tab:red", alpha=0.15, linewidth=0)
    for title, colour in COLOURS.items():
        fitted = affine_fit(parts[title], parts["BayesDL-SIM"])
        axes.plot(along, profile(fitted, line), color=colour, linewidth=3, label=title)
    axes.set_xlim(0, along[-1])
    axes.set_xlabel("along the dotted line, µm", fontsize=16)
    axes.set_ylabel("intensity", fontsize=16)
    axes.tick_params(labelsize=14)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.22 * (high - low))  # room for the legend
    axes.legend(fontsize=16, loc="upper center", ncols=len(COLOURS), framealpha=0.8)


def _colour_bar(figure: Figure, axes: Any, shown: Any) -> None:
    """Just below the enlarged square; it explains the colours of both rows."""
    place = axes.get_position()
    left, bottom = place.x0 + 0.05 * place.width, place.y1 - 0.03
    bar = figure.add_axes((left, bottom, 0.9 * place.width, 0.018))
    figure.colorbar(shown, cax=bar, orientation="horizontal")
    bar.xaxis.set_major_locator(MaxNLocator(4))
    bar.tick_params(labelsize=16)
    bar.set_xlabel("normalised intensity", fontsize=16)
