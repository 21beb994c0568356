"""Pictures of the tabs, as arrays: made beside the window's thread, then shown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.inference.output.fringe_picture import FREQUENCIES, draw_spectrum, spectrum_title
from bayesdl_sim.inference.output.profile_picture import draw_curve, profile_of
from bayesdl_sim.metrics.profiles import line_between
from bayesdl_sim.napari.steps.reconstructing import Outcome
from bayesdl_sim.utils.drawing.canvas import Canvas
from bayesdl_sim.utils.drawing.colour_maps import coloured, resized
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = ["fault_picture", "patterns_picture", "profile_picture"]

LEVEL = 0.9  # of the band of a profile
RING = 0.045  # cycles per raw pixel: marks of carriers are visible in a small picture
FAULT = "#c62828"
REASON_LINES = 6  # room for three reasons of two lines
FRAME, SPECTRUM, GAP = 200, 165, 26  # screen pixels, of the picture of a fault


def patterns_picture(spectra: NDArray, patterns: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Spectrum, carriers and cut-off circle of each orientation, with their modulation."""
    canvas = Canvas(470, 530)
    for number, (spectrum, row) in enumerate(zip(spectra, patterns["orientations"], strict=True)):
        top = 10 + 162 * number
        box = (50, top, 200, top + 150)
        cutoff = patterns["cutoff_cycles_per_pixel"]
        plot = draw_spectrum(canvas, box, spectrum, row, cutoff, RING, 10)
        plot.beside(FREQUENCIES)
        if number == 2:
            plot.below(FREQUENCIES)
        words = spectrum_title(number + 1, row)
        for heading in (": period", ", angle", ", modulation"):  # each in a line of its own
            words = words.replace(heading, "\n" + heading[2:])
        for line, text in enumerate(words.split("\n")):
            canvas.text((215, top + 26 + 20 * line), text, 12, "lm")
    words = "cycles per raw pixel; circles: carriers; dashed: cut-off of the lens"
    canvas.text((235, 524), words, 10.5, "ms")
    return canvas.pixels


def profile_picture(
    sr: NDArray,
    total: NDArray,
    pixel_size_nm: float | None,
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> NDArray[np.uint8]:
    """The profile between two places, with its 90 % band.

    Args:
        sr, total: (2H, 2W) of one time point.
        pixel_size_nm: pixel size of these images.
        ends: (row, column) of each, in their pixels.

    Raises:
        InputError: the places are less than two pixels apart.
    """
    canvas = Canvas(486, 270)
    values = profile_of(sr, total, line_between(*ends), pixel_size_nm, LEVEL)
    draw_curve(canvas, (72, 8, 474, 222), values, 12)
    return canvas.pixels


def fault_picture(outcome: Outcome) -> NDArray[np.uint8]:
    """The nine frames, those at fault framed in red, and the spectra of the three orientations."""
    reasons = [finding.reason for finding in outcome.findings[:3]]
    lines = [line for reason in reasons for line in textwrap.wrap(reason, 118)]
    top = 10 + REASON_LINES * 18
    canvas = Canvas(960, top + 6 + 3 * (FRAME + GAP))
    for number, line in enumerate(lines[:REASON_LINES]):
        canvas.text((480, 8 + 18 * number), line, 13, "ma", FAULT)
    _draw_frames(canvas, top, outcome)
    if outcome.patterns is not None:
        rows = outcome.patterns["orientations"]
        cutoff = outcome.patterns["cutoff_cycles_per_pixel"]
        for number, (spectrum, row) in enumerate(zip(outcome.spectra, rows, strict=True)):
            y = top + GAP + (FRAME + GAP) * number
            box = (770, y, 770 + SPECTRUM, y + SPECTRUM)
            plot = draw_spectrum(canvas, box, spectrum, row, cutoff, RING, 10)
            plot.beside(FREQUENCIES)
            plot.below(FREQUENCIES)
            words = f"spectrum of frames {3 * number + 1} to {3 * number + 3}"
            canvas.text((770 + SPECTRUM / 2, y - 7), words, 11, "ms")
    return canvas.pixels


def _draw_frames(canvas: Canvas, top: float, outcome: Outcome) -> None:
    """The nine frames in three rows, each under its number."""
    at_fault = {frame for finding in outcome.findings for frame in finding.frames}
    frames = outcome.stack.raw[outcome.time]
    limits = display_limits(frames)
    height, width = (round(FRAME * n / max(frames.shape[1:])) for n in frames.shape[1:])
    numbers = outcome.stack.order or tuple(range(9))
    for number, frame in enumerate(frames):
        row, column = divmod(number, 3)
        x = 30 + (FRAME + GAP) * column + (FRAME - width) // 2
        y = round(top + GAP + (FRAME + GAP) * row) + (FRAME - height) // 2
        box = (x, y, x + width, y + height)
        canvas.picture(box, coloured(resized(frame, (height, width)), *limits, "gray"))
        moved = f" (in the file {numbers[number] + 1})" if outcome.stack.order else ""
        faulty = number + 1 in at_fault
        colour = FAULT if faulty else "black"
        canvas.text((x + width / 2, y - 7), f"frame {number + 1}{moved}", 12, "ms", colour)
        if faulty:
            canvas.frame(box, FAULT, 4)
