"""Pictures of images: with colour bar and scale bar, one or side by side.

An image has the shape (H, W), or (T, H, W) for a time series. A pixel size is that of the image
itself (for a super-resolved map half of the raw one) in nm; None leaves it out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = [
    "PNG",
    "Panel",
    "checked_image",
    "draw_scale_bar",
    "time_points",
    "write_overview",
    "write_picture",
]

_INTENSITY, _UNCERTAINTY = "magma", "viridis"
_UNCERTAIN_WORDS = ("aleatoric", "epistemic", "total", "uncertainty", "sigma")
_DPI = 100
# A third of the time of the usual 6, and a sixth more bytes; of these, runs of equal bytes (3, RLE)
# save a fifth and a tenth.
PNG = {"compress_level": 1, "compress_type": 3}


class Panel(NamedTuple):
    """An image of an overview: (H, W) or (T, H, W), the label of its colour bar, and colours.

    The label names the unit.
    """

    image: ArrayLike
    label: str = ""
    cmap: str = _INTENSITY


class _Panel(NamedTuple):
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
    """Writes a PNG of an image with colour bar (``label`` tells its units) and scale bar.

    Of a time series it shows the first time point, and the title says so. ``limits`` are the values
    at the ends of the colours (default: `display_limits` of the image). Within ``border`` pixels of
    the edges the image says nothing: they are hatched.
    """
    image = checked_image(image)
    longest = max(image.shape[-2:])
    # Whole screen pixels per image pixel up to 1400, so that what is seen was measured.
    side = min(longest * max(1, -(-600 // longest)), 1400)
    _draw(path, [_Panel(image, title, pixel_size_nm, label, cmap, limits, border)], side)


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
        drawn.append(_Panel(image, title, size, shown[title].label, shown[title].cmap))
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
    total = (wide, height + (3.2 + 1.5 * len(lines)) * em)
    figure = Figure(figsize=(total[0] / _DPI, total[1] / _DPI), dpi=_DPI, facecolor="white")

    def axes(x: float, wide: float):
        return figure.add_axes((x / total[0], em / total[1], wide / total[0], height / total[1]))

    for index, panel in enumerate(panels):
        x = left + index * column
        _draw_panel(axes(x, width), axes(x + width + 0.5 * em, 0.8 * em), panel, width, em)
    if lines:
        points, top = em * 72 / _DPI, 1 - 0.4 * em / total[1]
        style = {"fontsize": points, "va": "top", "linespacing": 1.3, "parse_math": False}
        figure.text(left / total[0], top, "\n".join(lines), **style)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI, pil_kwargs=PNG)


def _draw_panel(axes: Any, bar_axes: Any, panel: _Panel, width: float, em: float) -> None:
    image, title = panel.image, panel.title
    if image.ndim == 3:
        title = f"{title} (time point 1 of {len(image)})"
        image = image[0]
    points = em * 72 / _DPI
    low, high = panel.limits or display_limits(image)
    cmap = colormaps[panel.cmap].with_extremes(bad="silver")  # no data
    colours = ScalarMappable(Normalize(low, high), cmap)
    axes.imshow(image, cmap=cmap, vmin=low, vmax=high, aspect="auto")
    axes.set_axis_off()
    _hatch_border(axes, image.shape, panel.border)
    # A long name gets smaller letters (about 0.6 em each) rather than running into its neighbour.
    fitting = min(1.2 * points, (width + em) * 72 / _DPI / (0.62 * max(len(title), 1)))
    axes.set_title(title, fontsize=fitting, pad=0.5 * points, parse_math=False)
    draw_scale_bar(axes, image.shape, panel.pixel_size_nm, points)
    below, above = np.nanmin(image) < low, np.nanmax(image) > high
    extend = ("both" if above else "min") if below else ("max" if above else "neither")
    bar = axes.figure.colorbar(colours, cax=bar_axes, extend=extend, extendfrac=0.03)
    bar.locator = MaxNLocator(5)
    bar.formatter = ScalarFormatter(useOffset=False)
    bar.formatter.set_powerlimits((-3, 5))
    bar.update_ticks()
    bar.ax.tick_params(labelsize=0.8 * points)
    bar.ax.yaxis.get_offset_text().set_fontsize(0.8 * points)
    if panel.label:
        bar.set_label(panel.label, fontsize=0.9 * points, parse_math=False)


def _hatch_border(axes: Any, shape: tuple[int, ...], border: int) -> None:
    """Hatches the pixels along the four edges."""
    height, width = shape
    across, along = min(border, height // 2), min(border, width // 2)
    if across and along:
        inner = height - 2 * across
        for x, y, wide, high in (
            (0, 0, width, across),
            (0, height - across, width, across),
            (0, across, along, inner),
            (width - along, across, along, inner),
        ):
            style = {"facecolor": "lightgrey", "edgecolor": "dimgrey", "linewidth": 0}
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), wide, high, hatch="////", **style))


def draw_scale_bar(
    axes: Any, shape: tuple[int, ...], pixel_size_nm: float | None, points: float
) -> None:
    """A bar of about a fifth of the width at the lower right, readable on dark and on bright.

    Args:
        axes: of matplotlib, which show an image of that shape (H, W).
        points: height of the letters.
    """
    height, width = shape
    length, text = _scale_bar(width, pixel_size_nm)
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


def _scale_bar(width: int, pixel_size_nm: float | None) -> tuple[float, str]:
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
