"""The distribution-informed picture: one image of the structure and of how far to trust it.

Brightness is the super-resolved intensity, colour is the credibility. Between the two ends, blue
(trust it) and orange (do not), which people with a red-green deficiency can distinguish, the
colours have one lightness in CIELAB, so that a pixel that is not trusted is not darker for that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.drawing.canvas import Box, Canvas, text_width
from bayesdl_sim.utils.drawing.colour_maps import resized
from bayesdl_sim.utils.drawing.plot import Plot
from bayesdl_sim.utils.drawing.ticks import ticks
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.pictures import draw_scale_bar
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = ["informed_colours", "write_informed"]

_LIGHTEST = 74.0  # L* of full brightness; beyond, a screen has no strong orange or blue
_CREDIBLE, _DOUBTFUL = np.array([-10.0, -39.0]), np.array([29.0, 50.0])  # a*, b* at the lightest
_SIDE, _EM = 900, 26  # of the image and of its letters, screen pixels
_LEGEND = 7  # side of the legend, in letters
_STEPS = 256  # of brightness and of credibility, in a picture
_WHITE = np.array([0.95047, 1.0, 1.08883])  # XYZ of the light D65
_TO_RGB = np.array(  # linear sRGB of XYZ
    [
        [3.24048134, -1.53715152, -0.49853633],
        [-0.96925495, 1.87599, 0.04155593],
        [0.05564664, -0.20404134, 1.05731107],
    ]
)


def informed_colours(brightness: ArrayLike, credibility: ArrayLike) -> NDArray[np.float64]:
    """Colours of brightness and credibility: (...) and (...) in 0..1 -> RGB (..., 3) in 0..1.

    In CIELAB `L* = 74 brightness` and `(a*, b*) = brightness ((1 - c) orange + c blue)`: half
    credible is grey, black has no colour. What lies outside 0..1 is cut.

    Raises:
        InputError: the shapes differ, or a value is not finite.
    """
    brightness, credible = (np.asarray(x, np.float64) for x in (brightness, credibility))
    _require_one_size(brightness, credible)
    for image in (brightness, credible):
        _require_finite(image)
    brightness, credible = brightness.clip(0, 1)[..., None], credible.clip(0, 1)[..., None]
    hue = (1 - credible) * _DOUBTFUL + credible * _CREDIBLE
    lab = np.concatenate([_LIGHTEST * brightness, brightness * hue], axis=-1)
    return _rgb(lab)


def _require_one_size(image: NDArray, credibility: NDArray) -> None:
    if image.shape != credibility.shape:
        raise InputError(
            f"an image {image.shape} and its credibility {credibility.shape} are expected to have "
            "one size"
        )


def _require_finite(image: NDArray) -> None:
    if not np.isfinite(image).all():
        raise InputError("an image or its credibility holds values that are not finite")


def _rgb(lab: NDArray) -> NDArray:
    """CIELAB (..., 3) under the light D65 as sRGB in 0..1; colours outside of it are cut."""
    lightness, a, b = np.moveaxis(lab, -1, 0)
    middle = (lightness + 16) / 116
    roots = np.stack([middle + a / 500, middle, middle - b / 200], axis=-1)
    linear = np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29))
    linear = ((linear * _WHITE) @ _TO_RGB.T).clip(0, 1)
    low = linear <= 0.0031308
    return np.where(low, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).clip(0, 1)


def write_informed(
    path: str | Path,
    sr: ArrayLike,
    credibility: ArrayLike,
    pixel_size_nm: float | None,
    label: str = "credibility",
    end: str = "",
) -> None:
    """Writes the picture as PNG, with its two-dimensional legend and a scale bar.

    Args:
        sr: super-resolved image (H, W), or (T, H, W), of which the first time point is shown and
            which the title states; any units.
        credibility: same shape, in 0..1.
        pixel_size_nm: pixel size of the image; None: the bar is in pixels.
        label: name of the credibility in the legend.
        end: end of the title.

    Raises:
        InputError: see `informed_colours`.
    """
    sr = np.asarray(sr, np.float32)
    sr = np.where(np.isnan(sr), np.nanmin(sr), sr)  # black where there are no data
    credible = np.asarray(credibility, np.float32)
    title = f"Super-resolved, coloured by credibility{end}"
    _require_one_size(sr, credible)
    _require_finite(credible)
    if sr.ndim == 3:
        title += f" (time point 1 of {len(sr)})" if len(sr) > 1 else ""
        sr, credible = sr[0], credible.reshape(-1, *credible.shape[-2:])[0]
    low, high = display_limits(sr)
    size, image, legend = _layout(sr.shape)
    # On the grid of the screen before the colours: a mean of colours would be another colour.
    grid = (image[3] - image[1], image[2] - image[0])
    brightness = (resized(sr, grid) - low) / (high - low)
    canvas = Canvas(*size)
    canvas.picture(image, _colours_of(brightness, resized(credible, grid)))
    # A long title over a narrow image gets smaller letters, and starts at its left, where the
    # legend leaves room.
    letters = min(_EM, _EM * (size[0] - 2 * _EM) / text_width(title, _EM))
    canvas.text((image[0], image[1] - 0.5 * _EM), title, letters, "ls")
    draw_scale_bar(canvas, image, sr.shape, pixel_size_nm, _EM)
    _draw_legend(canvas, legend, (low, high), label)
    canvas.save(path)


def _colours_of(brightness: NDArray, credibility: NDArray) -> NDArray[np.uint8]:
    """`informed_colours` as bytes, from a table of all steps of both."""
    steps = np.linspace(0, 1, _STEPS)
    rows, columns = (
        ((_STEPS - 1) * image.clip(0, 1) + 0.5).astype(np.uint8)
        for image in (brightness, credibility)
    )
    table = informed_colours(*np.meshgrid(steps, steps, indexing="ij"))
    return (255 * table).round().astype(np.uint8)[rows, columns]


def _layout(shape: tuple[int, ...]) -> tuple[tuple[float, float], Box, Box]:
    """Width and height of the picture, the image's box at the left, the legend's lower right."""
    height, width = (round(_SIDE * n / max(shape)) for n in shape)
    square, gap = _LEGEND * _EM, 5 * _EM
    top, tall = 2 * _EM, max(height, square + 2 * _EM)
    left, bottom = 2 * _EM + width + gap - _EM, top + tall
    return (
        (left + square + _EM, bottom + 3 * _EM),
        (_EM, top, _EM + width, top + height),
        (left, bottom - square, left + square, bottom),
    )


def _draw_legend(canvas: Canvas, box: Box, limits: tuple[float, float], label: str) -> None:
    steps = np.linspace(0, 1, round(box[2] - box[0]))
    credible, brightness = np.meshgrid(steps, steps[::-1])
    canvas.picture(box, _colours_of(brightness, credible))
    plot = Plot(canvas=canvas, box=box, x=(0.0, 1.0), y=limits, size=0.8 * _EM)
    plot.below((0.0, 0.5, 1.0), label, ("0", "0.5", "1"))
    plot.beside(ticks(*limits, 4), "SR intensity")
    plot.frame()
