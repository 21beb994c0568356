"""The distribution-informed picture: one image that says what is there and how far to trust it.

Brightness is the super-resolved intensity, colour is the credibility. Between the two ends, blue
(trust it) and orange (do not), which people with a red-green deficiency tell apart, the colours
have one lightness in CIELAB, so that a pixel that is not trusted is not darker for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from skimage.color import lab2rgb

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.pictures import PNG, draw_scale_bar
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = ["informed_colours", "write_informed"]

_LIGHTEST = 74.0  # L* of full brightness; beyond, a screen has no strong orange or blue
_CREDIBLE, _DOUBTFUL = np.array([-10.0, -39.0]), np.array([29.0, 50.0])  # a*, b* at the lightest
_SIDE, _EM, _DPI = 900, 26, 100  # of the image and of its letters, screen pixels
_LEGEND = 7  # side of the legend, in letters


def informed_colours(brightness: ArrayLike, credibility: ArrayLike) -> NDArray[np.float64]:
    """Colours of brightness and credibility: (...) and (...) in 0..1 -> RGB (..., 3) in 0..1.

    In CIELAB `L* = 74 brightness` and `(a*, b*) = brightness ((1 - c) orange + c blue)`: half
    credible is grey, black has no colour. What lies outside 0..1 is cut.

    Raises:
        InputError: the shapes differ, or a value is not finite.
    """
    brightness, credible = (np.asarray(x, np.float64) for x in (brightness, credibility))
    if brightness.shape != credible.shape:
        raise InputError(
            f"an image {brightness.shape} and its credibility {credible.shape} are expected to "
            "have one size"
        )
    if not (np.isfinite(brightness) & np.isfinite(credible)).all():
        raise InputError("an image or its credibility holds values that are not finite")
    brightness, credible = brightness.clip(0, 1)[..., None], credible.clip(0, 1)[..., None]
    hue = (1 - credible) * _DOUBTFUL + credible * _CREDIBLE
    lab = np.concatenate([_LIGHTEST * brightness, brightness * hue], axis=-1)
    return lab2rgb(lab).clip(0, 1)


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
            the title says so; any units.
        credibility: same shape, in 0..1.
        pixel_size_nm: of the image; None: the bar is in pixels.
        label: what the legend calls the credibility.
        end: of the title.

    Raises:
        InputError: see `informed_colours`.
    """
    sr = np.asarray(sr, np.float32)
    sr = np.where(np.isnan(sr), np.nanmin(sr), sr)  # black where there are no data
    credible = np.asarray(credibility, np.float32)
    title = f"Super-resolved, coloured by credibility{end}"
    if sr.ndim == 3:
        title += f" (time point 1 of {len(sr)})" if len(sr) > 1 else ""
        sr, credible = sr[0], credible.reshape(-1, *credible.shape[-2:])[0]
    low, high = display_limits(sr)
    rgb = informed_colours((sr - low) / (high - low), credible)
    figure, axes, legend = _layout(sr.shape)
    points = _EM * 72 / _DPI
    axes.imshow(rgb, aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    # A long title over a narrow image gets smaller letters (about 0.6 em each), and starts at its
    # left, where the legend leaves room.
    fitting = min(points, figure.bbox.width * 72 / _DPI / (0.62 * len(title)))
    axes.set_title(title, fontsize=fitting, pad=0.5 * points, loc="left")
    draw_scale_bar(axes, sr.shape, pixel_size_nm, points)
    _draw_legend(legend, (low, high), label, 0.8 * points)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI, pil_kwargs=PNG)


def _layout(shape: tuple[int, ...]) -> tuple[Figure, Any, Any]:
    """A figure with the image's axes at the left and the legend's at its lower right."""
    height, width = (_SIDE * n / max(shape) for n in shape)
    square, gap = _LEGEND * _EM, 5.0 * _EM
    tall = max(height, square + 2 * _EM)
    total = (_EM + width + gap + square + _EM, tall + 5.0 * _EM)
    figure = Figure(figsize=(total[0] / _DPI, total[1] / _DPI), dpi=_DPI, facecolor="white")

    def axes(x: float, y: float, wide: float, high: float) -> Any:
        return figure.add_axes((x / total[0], y / total[1], wide / total[0], high / total[1]))

    bottom = 3.0 * _EM
    return (
        figure,
        axes(_EM, bottom + tall - height, width, height),
        axes(_EM + width + gap, bottom, square, square),
    )


def _draw_legend(axes: Any, limits: tuple[float, float], label: str, points: float) -> None:
    steps = np.linspace(0, 1, 128)
    credible, brightness = np.meshgrid(steps, steps)
    axes.imshow(
        informed_colours(brightness, credible), origin="lower", extent=(0, 1, *limits),
        aspect="auto",
    )  # fmt: skip
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.locator_params(axis="y", nbins=4)
    axes.tick_params(labelsize=points)
    axes.set_xlabel(label, fontsize=points, parse_math=False)
    axes.set_ylabel("SR intensity", fontsize=points)
