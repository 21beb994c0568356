"""Stacks and results as layers of napari: names, micrometres, colours and contrast.

The first raw pixel has its centre at 0. A pixel of a grid that is n times finer has its centre at
`(j + 0.5) / n - 0.5` raw pixels, so that raw frames and results lie on each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.output.map_kinds import MAPS, PROBABILITIES
from bayesdl_sim.utils.report.contrast import display_limits

if TYPE_CHECKING:
    from bayesdl_sim.inference.reconstruction import Reconstruction

__all__ = [
    "MARK",
    "LayerData",
    "layer_of",
    "place_of",
    "raw_layers",
    "result_layers",
]

LayerData = tuple[NDArray, dict[str, Any], str]
MARK = "bayesdl_sim"  # entry of a layer's metadata
DOUBLED = 2
# Every kind of layer has colours of its own, so that none is taken for another.
COLOURS = {
    "raw": "gray",
    "wide field": "inferno",
    "SR": "magma",
    "Sharp": "magma",
    "Aleatoric": "viridis",
    "Epistemic": "plasma",
    "Total": "YlGn_r",
    "Credibility": "cividis",
    "movie": "gray",
    "mean image": "inferno",
    "structure": "magma",
    "probability": "cividis",
    "fluorophore uncertainty": "viridis",
}
LOWEST_FIRST = (
    "raw",
    "wide field",
    "Misfit",
    "Contradicted",
    "Lower",
    "Upper",
    "Total",
    "Epistemic",
    "Aleatoric",
    "Credibility",
)


class Place(NamedTuple):
    """Position and size of the pixels of a grid, the same for rows and columns, in micrometres or
    raw pixels."""

    scale: float
    offset: float
    unit: str


def place_of(pixel_size_nm: float | None, finer: int = 1) -> Place:
    """The place of a grid that is `finer` times finer than the raw one.

    Args:
        pixel_size_nm: pixel size of the raw frames; None: lengths are in raw pixels.
    """
    pixel = 1.0 if pixel_size_nm is None else pixel_size_nm / 1000
    unit = "pixel" if pixel_size_nm is None else "um"
    return Place(pixel / finer, pixel * (0.5 / finer - 0.5), unit)


def layer_of(
    image: NDArray,
    kind: str,
    name: str,
    place: Place,
    *,
    limits: tuple[float, float] | None = None,
    visible: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> LayerData:
    """One layer.

    Args:
        image: (..., H, W); leading axes of one element are left out.
        kind: what it shows, a key of `COLOURS` or of `MAPS`.
        name: name of the stack.
        limits: values at the ends of the colours; None: by the image.
        facts: more entries of the layer's metadata.
    """
    image = image.reshape([n for n in image.shape[:-2] if n > 1] + list(image.shape[-2:]))
    leading = image.ndim - 2
    low, high = limits or _limits(kind, image)
    metadata = {"kind": kind, "name": name, **(facts or {})}
    options = {
        "name": f"{name} {kind}",
        "scale": (*(1.0,) * leading, place.scale, place.scale),
        "translate": (*(0.0,) * leading, place.offset, place.offset),
        "units": (*("pixel",) * leading, place.unit, place.unit),
        "axis_labels": (*_leading_axes(kind, leading), "y", "x"),
        "colormap": _colours(kind),
        "contrast_limits": (float(low), float(high)),
        "visible": visible,
        "metadata": {MARK: metadata},
    }
    return image, options, "image"


def raw_layers(stack: RawStack, facts: Mapping[str, Any] | None = None) -> list[LayerData]:
    """The raw frames and their wide field.

    The frames are the first axis and the time points the second: napari matches axes from the last
    one, and results of a series have a time axis, but no frames.
    """
    metadata = {"source": str(stack.source), "pixel_size_nm": stack.pixel_size_nm, **(facts or {})}
    place = place_of(stack.pixel_size_nm)
    frames, wide_field = np.moveaxis(stack.raw, 1, 0), stack.raw.mean(axis=1)
    return [
        layer_of(frames, "raw", stack.name, place, visible=True, facts=metadata),
        layer_of(wide_field, "wide field", stack.name, place, facts=metadata),
    ]


def result_layers(result: Reconstruction, name: str) -> list[LayerData]:
    """The maps of a reconstruction, and its wide field; the SR image on top, and alone visible."""
    raw_pixel_nm = None if result.pixel_size_nm is None else DOUBLED * result.pixel_size_nm
    facts = {"pixel_size_nm": raw_pixel_nm, "decision": result.verdict and result.verdict.decision}
    images = {**result.channels, **result.further, "wide field": result.wide_field}
    return map_layers(images, name, raw_pixel_nm, facts)


def map_layers(
    images: Mapping[str, NDArray], name: str, raw_pixel_nm: float | None, facts: Mapping[str, Any]
) -> list[LayerData]:
    """Maps by name as layers, in the order in which they cover each other."""
    layers = []
    for kind in _from_below(images):
        on_raw = kind == "wide field" or (kind in MAPS and MAPS[kind].raw_grid)
        place = place_of(raw_pixel_nm, 1 if on_raw else DOUBLED)
        visible = kind == "SR"
        layers.append(layer_of(images[kind], kind, name, place, visible=visible, facts=facts))
    return layers


def _from_below(images: Mapping[str, NDArray]) -> list[str]:
    known_kinds = [kind for kind in LOWEST_FIRST if kind in images]
    others = [kind for kind in images if kind not in known_kinds and kind != "SR"]
    return [*others, *known_kinds, *(["SR"] if "SR" in images else [])]


def _leading_axes(kind: str, count: int) -> tuple[str, ...]:
    first = ("frame",) if kind in ("raw", "movie") else ()
    return (*first, "time")[:count]


def _limits(kind: str, image: NDArray) -> tuple[float, float]:
    if kind in PROBABILITIES or kind == "probability":
        return 0.0, 1.0
    style = MAPS.get(kind)
    if style is not None and style.limits is not None:
        return style.limits
    low, high = display_limits(image)
    return (-max(-low, high), max(-low, high)) if style and style.symmetric else (low, high)


def _colours(kind: str) -> str:
    """Colour map of matplotlib, which has the same name in napari."""
    return COLOURS.get(kind) or (MAPS[kind].colours if kind in MAPS else "gray")
