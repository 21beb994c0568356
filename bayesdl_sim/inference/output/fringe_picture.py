"""The picture of the fringes: a spectrum per orientation, its carriers, and the lens's cut-off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.pictures import PNG

__all__ = ["draw_spectrum", "fringe_figure", "spectrum_title", "write_fringes"]

_SIZE, _DPI = (13.5, 6.4), 100
_RING = 0.02  # cycles per raw pixel, radius of the mark of a carrier
_SHOWN = (20.0, 99.9)  # percentiles of the logarithm of the power
_DOUBTFUL = 0.5  # probability of a pattern


def write_fringes(path: str | Path, spectra: NDArray, facts: Mapping[str, Any]) -> None:
    """Writes the picture as PNG.

    Args:
        spectra: (3, h, w), see `fringes.fringe_spectra`.
        facts: of one time point, see `fringes.fringe_facts`.
    """
    figure = fringe_figure(spectra, facts)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI, pil_kwargs=PNG)


def fringe_figure(spectra: NDArray, facts: Mapping[str, Any]) -> Figure:
    """The picture as a figure of matplotlib; see `write_fringes`."""
    figure = Figure(figsize=_SIZE, dpi=_DPI)
    # Places that are known need no layout engine, which draws everything twice to find them.
    figure.subplots_adjust(left=0.045, right=0.985, bottom=0.13, top=0.81, wspace=0.16)
    rows = facts["orientations"]
    for number, (spectrum, row) in enumerate(zip(spectra, rows, strict=True), start=1):
        axes = figure.add_subplot(1, len(rows), number)
        draw_spectrum(axes, spectrum, row, facts["cutoff_cycles_per_pixel"])
        axes.set_title(spectrum_title(number, row), fontsize=11)
    figure.suptitle("Fringes: power of the differences between the frames of each orientation")
    lines = [
        Line2D([], [], marker="o", mfc="none", color="tab:red", ls="", label="carrier, found"),
        Line2D([], [], marker="o", mfc="none", color="tab:grey", ls="", label="carrier, doubtful"),
        Line2D([], [], color="tab:cyan", ls="--", label="cut-off of the lens"),
    ]
    figure.legend(handles=lines, loc="lower center", ncols=3, frameon=False)
    return figure


def draw_spectrum(
    axes: Any, spectrum: NDArray, row: Mapping[str, Any], cutoff: float, ring: float = _RING
) -> None:
    """One spectrum (h, w) with its carriers and the cut-off, on axes of matplotlib.

    Args:
        cutoff: of the lens, cycles per raw pixel.
        ring: radius of the mark of a carrier, cycles per raw pixel.
    """
    shown = np.log10(np.maximum(spectrum, 1e-12))
    low, high = np.percentile(shown, _SHOWN)
    axes.imshow(
        shown, cmap="gray", vmin=low, vmax=max(high, low + 1e-3), extent=(-0.5, 0.5, 0.5, -0.5)
    )
    axes.add_patch(Circle((0, 0), cutoff, fill=False, color="tab:cyan", ls="--"))
    k, angle = row["frequency_cycles_per_pixel"], math.radians(row["angle_deg"])
    colour = "tab:red" if row["probability"] > _DOUBTFUL else "tab:grey"
    for sign in (1, -1):
        place = (sign * k * math.cos(angle), sign * k * math.sin(angle))
        axes.add_patch(Circle(place, ring, fill=False, color=colour, lw=1.5))
    axes.set_xlabel("cycles per raw pixel")
    axes.set_xticks([-0.4, -0.2, 0, 0.2, 0.4])
    axes.set_yticks([-0.4, -0.2, 0, 0.2, 0.4])


def spectrum_title(number: int, row: Mapping[str, Any]) -> str:
    """What was measured of one orientation, counted from 1, in three lines."""
    if row["period_nm"] is None:
        period = f"{1 / row['frequency_cycles_per_pixel']:.2f} px"
    else:
        period = f"{row['period_nm']:.0f} nm"
    phases = ", ".join(f"{phase:.0f}" for phase in row["phases_deg"])
    return (
        f"orientation {number}: period {period}, angle {row['angle_deg']:.1f}°\n"
        f"phases {phases}°, modulation {row['modulation']:.2f} ± {row['modulation_error']:.2f}\n"
        f"probability that it is real: {row['probability']:.2f}"
    )
