"""Pictures of the tabs, as arrays: made beside the window's thread, then shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bayesdl_sim.inference.output.fringe_picture import draw_spectrum, spectrum_title
from bayesdl_sim.inference.output.profile_picture import draw_curve
from bayesdl_sim.metrics.profiles import line_between
from bayesdl_sim.napari.steps.reconstructing import Outcome
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = ["fault_picture", "patterns_picture", "profile_picture", "rendered"]

LEVEL = 0.9  # of the band of a profile
RING = 0.045  # cycles per raw pixel: marks of carriers are seen in a small picture
SHOWN_SIDE = 160  # of a frame in the picture of a fault, at most


def rendered(figure: Figure) -> NDArray[np.uint8]:
    """A figure of matplotlib as an image (h, w, 4)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def patterns_picture(spectra: NDArray, patterns: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Spectrum, carriers and cut-off circle of each orientation, with their modulation."""
    figure = Figure(figsize=(4.7, 5.3), dpi=100)
    for number, (spectrum, row) in enumerate(zip(spectra, patterns["orientations"], strict=True)):
        bottom = 0.7 - 0.305 * number
        axes = figure.add_axes((0.11, bottom, 0.39, 0.28))
        draw_spectrum(axes, spectrum, row, patterns["cutoff_cycles_per_pixel"], RING)
        axes.set_xlabel("")
        axes.tick_params(labelsize=7, labelbottom=number == 2)
        words = spectrum_title(number + 1, row)
        for before in (": period", ", angle", ", modulation"):  # each in a line of its own
            words = words.replace(before, "\n" + before[2:])
        style = {"fontsize": 8.5, "va": "center", "linespacing": 1.5}
        figure.text(0.53, bottom + 0.14, words, **style)
    figure.text(0.5, 0.01, "cycles per raw pixel; circles: carriers; dashed: cut-off of the lens",
                ha="center", fontsize=7.5)  # fmt: skip
    return rendered(figure)


def profile_picture(
    sr: NDArray,
    total: NDArray,
    pixel_size_nm: float | None,
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> NDArray[np.uint8]:
    """The profile between two places, with its 90 % band.

    Args:
        sr, total: (2H, 2W) of one time point.
        pixel_size_nm: of these images.
        ends: (row, column) of each, in their pixels.

    Raises:
        InputError: the places are less than two pixels apart.
    """
    figure = Figure(figsize=(5.4, 3.0), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    draw_curve(axes, sr, total, line_between(*ends), pixel_size_nm, LEVEL)
    return rendered(figure)


def fault_picture(outcome: Outcome) -> NDArray[np.uint8]:
    """The nine frames, those at fault framed in red, and the spectra of the three orientations."""
    figure = Figure(figsize=(13.0, 8.0), dpi=75, layout="constrained")
    reasons = "\n".join(finding.reason for finding in outcome.findings[:3])
    figure.suptitle(reasons, color="#c62828", wrap=True)
    left, right = figure.subfigures(1, 2, width_ratios=(2.4, 1))
    at_fault = {frame for finding in outcome.findings for frame in finding.frames}
    frames = outcome.stack.raw[outcome.time]
    limits = display_limits(frames)
    numbers = outcome.stack.order or tuple(range(9))
    for number, (axes, frame) in enumerate(zip(left.subplots(3, 3).flat, frames, strict=True)):
        step = -(-max(frame.shape) // SHOWN_SIDE)
        axes.imshow(frame[::step, ::step], cmap="gray", vmin=limits[0], vmax=limits[1])
        axes.set_axis_off()
        moved = f" (in the file {numbers[number] + 1})" if outcome.stack.order else ""
        axes.set_title(f"frame {number + 1}{moved}", fontsize=10)
        if number + 1 in at_fault:
            axes.set_title(axes.get_title(), color="#c62828", fontsize=10, fontweight="bold")
            axes.add_patch(
                Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, ec="#c62828", lw=5)
            )
    if outcome.patterns is not None:
        rows = outcome.patterns["orientations"]
        cutoff = outcome.patterns["cutoff_cycles_per_pixel"]
        for number, axes in enumerate(right.subplots(3, 1)):
            draw_spectrum(axes, outcome.spectra[number], rows[number], cutoff, RING)
            axes.set_title(f"spectrum of frames {3 * number + 1} to {3 * number + 3}", fontsize=10)
            axes.set_xlabel("")
    return rendered(figure)
