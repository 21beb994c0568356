"""Pictures of images: with colour bar and scale bar, one or side by side.

An image has the shape (H, W), or (T, H, W) for a time series. A pixel size is that of the image
itself (for a super-resolved map half of the raw one) in nm; None leaves it out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.drawing.canvas import Box, Canvas, text_width
from bayesdl_sim.utils.drawing.colour_maps import colour_map, coloured, resized
from bayesdl_sim.utils.drawing.plot import Plot
from bayesdl_sim.utils.drawing.ticks import ticks
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = [
    "Panel",
    "checked_image",
    "draw_scale_bar",
    "scale_bar",
    "time_points",
    "write_overview",
    "write_picture",
]

_INTENSITY, _UNCERTAINTY = "magma", "viridis"
_UNCERTAIN_WORDS = ("aleatoric", "epistemic", "total", "uncertainty", "sigma")
_POINTED = 0.03  # of the colour bar's length, at an end that values lie beyond


class Panel(NamedTuple):
    """An image of an overview: (H, W) or (T, H, W), the label of its colour bar, and colours.

    The label names the unit.
    """

    image: ArrayLike
    label: str = ""
    cmap: str = _INTENSITY


@dataclass(frozen=True, kw_only=True, eq=False)
class _Panel:
    image: NDArray
    title: str
    pixel_size_nm: float | None
    label: str
    cmap: str
    limits: tuple[float, float] | None = None
    border: int = 0


def write_picture(
    path: str | Path,
    image: ArrayLike,
    title: str,
    pixel_size_nm: float | None,
    label: str = "",
    cmap: str = _INTENSITY,
    limits: tuple[float, float] | None = None,
    border: int = 0,
) -> None:
    """Writes a PNG of an image with colour bar (``label`` gives its units) and scale bar.

    Of a time series it shows the first time point, as the title states. ``limits`` are the values
    at the ends of the colours (default: `display_limits` of the image). Within ``border`` pixels of
    the edges the image is not valid: they are hatched.
    """
    image = checked_image(image)
    longest = max(image.shape[-2:])
    # Whole screen pixels per image pixel up to 1400, so that what is seen was measured.
    side = min(longest * max(1, -(-600 // longest)), 1400)
    panel = _Panel(
        image=image,
        title=title,
        pixel_size_nm=pixel_size_nm,
        label=label,
        cmap=cmap,
        limits=limits,
        border=border,
    )
    _draw(path, [panel], side)


def write_overview(
    path: str | Path,
    panels: Mapping[str, ArrayLike | Panel],
    pixel_size_nm: float | None,
    heading: str = "",
) -> None:
    """Writes one PNG with a row of panels (title -> image) of one field, each with its bars.

    Panels may have different pixels (wide field beside a super-resolved image): ``pixel_size_nm``
    is that of the finest. Of plain images, those whose titles name an uncertainty get the
    uncertainties' colours. A ``heading`` stands above the row, in lines as long as it.
    """
    shown = {title: _as_panel(title, panel) for title, panel in panels.items()}
    images = {title: checked_image(panel.image) for title, panel in shown.items()}
    finest = max(image.shape[-1] for image in images.values())
    drawn = []
    for title, image in images.items():
        size = None if pixel_size_nm is None else pixel_size_nm * finest / image.shape[-1]
        panel = shown[title]
        drawn.append(
            _Panel(image=image, title=title, pixel_size_nm=size, label=panel.label, cmap=panel.cmap)
        )
    _draw(path, drawn, side=560, heading=heading)


def _as_panel(title: str, panel: ArrayLike | Panel) -> Panel:
    if isinstance(panel, Panel):
        return panel
    uncertain = any(word in title.lower() for word in _UNCERTAIN_WORDS)
    return Panel(panel, "", _UNCERTAINTY if uncertain else _INTENSITY)


def _draw(path: str | Path, panels: list[_Panel], side: int, heading: str = "") -> None:
    """Lays the panels out in screen pixels; ``side`` is the longer side of each image."""
    height, width = panels[0].image.shape[-2:]
    height, width = (round(side * length / max(height, width)) for length in (height, width))
    # Height of the letters; larger in a row of panels, which a page shows at a reduced size.
    em = max(14.0, min(side / (24 if len(panels) > 1 else 32), width / 14))
    labelled = any(panel.label for panel in panels)
    left, column = 0.8 * em, width + (7.0 if labelled else 5.6) * em
    wide = left + len(panels) * column
    lines = textwrap.wrap(heading, max(20, int(wide / (0.62 * em)))) if heading else []
    top = (2.2 + 1.5 * len(lines)) * em
    canvas = Canvas(wide, top + height + em)
    for number, line in enumerate(lines):
        canvas.text((left, (0.4 + 1.5 * number) * em), line, em, "la")
    for index, panel in enumerate(panels):
        x = round(left + index * column)
        _draw_panel(canvas, (x, round(top), x + width, round(top) + height), panel, em)
    canvas.save(path)


def _draw_panel(canvas: Canvas, box: Box, panel: _Panel, em: float) -> None:
    image, title = panel.image, panel.title
    if image.ndim == 3:
        title = f"{title} (time point 1 of {len(image)})"
        image = image[0]
    left, top, right, bottom = box
    low, high = panel.limits or display_limits(image)
    small = resized(image, (bottom - top, right - left))
    canvas.picture(box, coloured(small, low, high, panel.cmap))
    for strip in _border(image.shape, panel.border, box):
        canvas.hatch(strip)
    # A long name gets smaller letters rather than running into its neighbour.
    size = min(1.2 * em, 1.2 * em * (right - left) / max(text_width(title, 1.2 * em), 1.0))
    canvas.text(((left + right) / 2, top - 0.5 * em), title, size, "ms")
    draw_scale_bar(canvas, box, image.shape, panel.pixel_size_nm, em)
    beyond = np.nanmin(image) < low, np.nanmax(image) > high
    bar = (right + 0.5 * em, top, right + 1.3 * em, bottom)
    _draw_colour_bar(canvas, bar, (low, high), beyond, panel, em)


def _draw_colour_bar(
    canvas: Canvas,
    box: Box,
    limits: tuple[float, float],
    beyond: tuple[bool, bool],
    panel: _Panel,
    em: float,
) -> None:
    """The colours of the values, pointed at an end (low, high) that values lie beyond."""
    left, top, right, bottom = (round(side) for side in box)
    point = round(_POINTED * (bottom - top))
    upper, lower = top + point * beyond[1], bottom - point * beyond[0]
    colours, middle = colour_map(panel.cmap), (left + right) / 2
    values = np.linspace(255, 0, lower - upper).round().astype(int)
    canvas.picture(
        (left, upper, right, lower), colours[values][:, None].repeat(right - left, axis=1)
    )
    outline = [(left, lower), (left, upper), (right, upper), (right, lower)]
    if beyond[1]:
        corners = [(left, upper), (middle, top), (right, upper)]
        canvas.area(corners, _name(colours[255]))
        outline.insert(2, (middle, top))
    if beyond[0]:
        corners = [(left, lower), (middle, bottom), (right, lower)]
        canvas.area(corners, _name(colours[0]))
        outline.append((middle, bottom))
    canvas.line([*outline, outline[0]], "black", 1)
    inner = (left, upper, right, lower)
    plot = Plot(canvas=canvas, box=inner, x=(0.0, 1.0), y=limits, size=0.8 * em)
    plot.beside(ticks(*limits, 6), panel.label, right=True)


def _name(colour: NDArray[np.uint8]) -> str:
    red, green, blue = colour.tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


def _border(shape: tuple[int, ...], border: int, box: Box) -> list[Box]:
    """The four strips of a box that the pixels along the edges of an image take."""
    height, width = shape
    left, top, right, bottom = box
    down = round(min(border, height // 2) * (bottom - top) / height)
    along = round(min(border, width // 2) * (right - left) / width)
    if not (down and along):
        return []
    return [
        (left, top, right, top + down),
        (left, bottom - down, right, bottom),
        (left, top + down, left + along, bottom - down),
        (right - along, top + down, right, bottom - down),
    ]


def draw_scale_bar(
    canvas: Canvas, box: Box, shape: tuple[int, ...], pixel_size_nm: float | None, em: float
) -> None:
    """A bar of about a fifth of the width at the lower right, readable on dark and on bright.

    Args:
        box: where the canvas shows an image of that shape (H, W).
        em: height of the letters, screen pixels.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    length, words = scale_bar(shape[1], pixel_size_nm)
    length *= width / shape[1]
    line = max(1, round(0.1 * em))
    thick = max(0.012 * max(height, width), 2.0)
    x, y = right - 0.04 * width - length, bottom - 0.04 * height - thick
    canvas.rectangle((x, y, x + length, y + thick), "white", "black", line)
    canvas.text((x + length / 2, y - 0.5 * em), words, em, "ms", "white", line)


def scale_bar(width: int, pixel_size_nm: float | None) -> tuple[float, str]:
    """Length in pixels and its text: the 1-2-5 number nearest to a fifth of the width."""
    unit = 1.0 if pixel_size_nm is None else pixel_size_nm
    fifth = width * unit / 5
    decade = 10.0 ** np.floor(np.log10(fifth))
    length = min((decade * step for step in (1, 2, 5, 10)), key=lambda x: abs(np.log(x / fifth)))
    if pixel_size_nm is None:
        length = max(length, 1.0)
        return length, f"{length:g} px"
    text = f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm"
    return length / unit, text


def time_points(image: NDArray) -> NDArray:
    """The time points, a view of shape (T, H, W)."""
    return image if image.ndim == 3 else image[None]


def checked_image(image: ArrayLike) -> NDArray[np.float32]:
    """The image as float32 (H, W) or, for more than one time point, (T, H, W).

    NaN stands for pixels without data.
    """
    image = np.asarray(image, dtype=np.float32)
    if image.ndim == 3 and len(image) == 1:
        image = image[0]
    if image.ndim not in (2, 3) or image.size == 0:
        raise InputError(f"expected an image (H, W) or (T, H, W), found shape {image.shape}")
    if np.isinf(image).any() or np.isnan(image).all():
        raise InputError("a map holds values that are not finite (infinity, or nothing but NaN)")
    return image
