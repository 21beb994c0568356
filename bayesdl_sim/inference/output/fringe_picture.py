"""The picture of the fringes: a spectrum per orientation, its carriers, and the lens's cut-off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.physics.patterns.estimation import FOUND
from bayesdl_sim.utils.drawing.canvas import Box, Canvas, text_width
from bayesdl_sim.utils.drawing.colour_maps import coloured, resized
from bayesdl_sim.utils.drawing.plot import Plot

__all__ = ["FREQUENCIES", "draw_spectrum", "spectrum_title", "write_fringes"]

_WIDTH, _HEIGHT, _SIDE = 1350, 620, 382  # screen pixels, of the picture and of a spectrum
_TOP, _LEFT, _STEP = 132, 62, 443  # of the first spectrum, and from one to the next
_EM = 15  # height of the letters
_RING = 0.02  # cycles per raw pixel, radius of the mark of a carrier
_SHOWN = (20.0, 99.9)  # percentiles of the logarithm of the power
_CUTOFF, _CARRIER, _DOUBT = "#17becf", "#d62728", "#7f7f7f"
FREQUENCIES = (-0.4, -0.2, 0.0, 0.2, 0.4)  # ticks, cycles per raw pixel


def write_fringes(path: str | Path, spectra: NDArray, facts: Mapping[str, Any]) -> None:
    """Writes the picture as PNG.

    Args:
        spectra: (3, h, w), see `fringes.fringe_spectra`.
        facts: entry of one time point, see `fringes.fringe_facts`.
    """
    canvas = Canvas(_WIDTH, _HEIGHT)
    heading = "Fringes: power of the differences between the frames of each orientation"
    canvas.text((_WIDTH / 2, 1.6 * _EM), heading, 1.1 * _EM, "ms")
    for number, (spectrum, row) in enumerate(zip(spectra, facts["orientations"], strict=True)):
        left = _LEFT + _STEP * number
        box = (left, _TOP, left + _SIDE, _TOP + _SIDE)
        plot = draw_spectrum(canvas, box, spectrum, row, facts["cutoff_cycles_per_pixel"])
        plot.below(FREQUENCIES, "cycles per raw pixel")
        plot.beside(FREQUENCIES)
        for line, words in enumerate(reversed(spectrum_title(number + 1, row).split("\n"))):
            place = (left + _SIDE / 2, _TOP - (0.6 + 1.25 * line) * _EM)
            canvas.text(place, words, _EM, "ms")
    _draw_legend(canvas, _HEIGHT - 1.2 * _EM)
    canvas.save(path)


def draw_spectrum(
    canvas: Canvas,
    box: Box,
    spectrum: NDArray,
    row: Mapping[str, Any],
    cutoff: float,
    ring: float = _RING,
    em: float = 0.9 * _EM,
) -> Plot:
    """Draws one spectrum (h, w) with its carriers and the cut-off into a box.

    Args:
        row: entry of the orientation, see `fringes.fringe_facts`.
        cutoff: cut-off of the lens, cycles per raw pixel.
        ring: radius of the mark of a carrier, cycles per raw pixel.
        em: height of the letters beside it.

    Returns:
        The box with its coordinates, in cycles per raw pixel.
    """
    left, top, right, bottom = box
    plot = Plot(canvas=canvas, box=box, x=(-0.5, 0.5), y=(0.5, -0.5), size=em)
    power = np.log10(np.maximum(spectrum, 1e-12))
    low, high = np.percentile(power, _SHOWN)
    shown = resized(power, (bottom - top, right - left))
    canvas.picture(box, coloured(shown, low, max(high, low + 1e-3), "gray"))
    scale = right - left
    canvas.circle(
        tuple(plot.places(0, 0)), cutoff * scale, _CUTOFF, 1.5, box, dashes=round(cutoff * 240)
    )
    k, angle = row["frequency_cycles_per_pixel"], math.radians(row["angle_deg"])
    colour = _CARRIER if row["probability"] > FOUND else _DOUBT
    for sign in (1, -1):
        centre = plot.places(sign * k * math.cos(angle), sign * k * math.sin(angle))
        canvas.circle(tuple(centre), ring * scale, colour, 2.0, box)
    plot.frame()
    return plot


def _draw_legend(canvas: Canvas, y: float) -> None:
    """What the marks mean, in one line around a height."""
    marks = {
        "carrier, found": _CARRIER,
        "carrier, doubtful": _DOUBT,
        "cut-off of the lens": _CUTOFF,
    }
    widths = [text_width(words, _EM) for words in marks]
    x = (_WIDTH - sum(widths) - 4 * _EM * len(marks)) / 2
    for (words, colour), width in zip(marks.items(), widths, strict=True):
        if colour == _CUTOFF:
            for start in (0.0, 0.8, 1.6):
                canvas.rectangle((x + start * _EM, y - 1, x + (start + 0.5) * _EM, y + 1), colour)
        else:
            canvas.circle((x + _EM, y), 0.35 * _EM, colour, 1.5)
        canvas.text((x + 2.5 * _EM, y), words, _EM, "lm")
        x += 4 * _EM + width


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
