"""The maps of one time point on their way to the pages of a series; also one that is left out."""

from __future__ import annotations

from hashlib import sha256

from numpy.typing import NDArray

from bayesdl_sim.inference.large.point import TiledPoint
from bayesdl_sim.inference.output.pages import TiffPages, blank_maps
from bayesdl_sim.inference.output.zarr_pages import ZarrPages
from bayesdl_sim.inference.reconstruction import Reconstruction

__all__ = ["BAND", "write_blank", "write_point"]

BAND = 512  # rows of a blank map that are written at a time: a multiple of the levels of a pyramid


def write_point(pages: TiffPages | ZarrPages, t: int, made: Reconstruction | TiledPoint) -> str:
    """Writes the maps of a time point; returns their SHA-256."""
    if not isinstance(made, TiledPoint):
        return pages.write(t, *_pages_of(made))
    parts = [pages.write(t, *_pages_of(band), first) for first, band in made.bands()]
    return sha256("".join(parts).encode()).hexdigest()


def write_blank(pages: TiffPages | ZarrPages, t: int, band: int | None) -> str:
    """Writes the maps of a time point that is left out, see `blank_maps`; returns their SHA-256.

    Args:
        band: rows at a time; None: all of them.
    """
    layout = pages.layout
    height = layout.size[0]
    parts = []
    for first in range(0, height, band or height):
        rows = min(band or height, height - first)
        parts.append(pages.write(t, *blank_maps(layout, t, rows), first))
    return sha256("".join(parts).encode()).hexdigest()


def _pages_of(result: Reconstruction) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Channels and further maps of a single time point, without the axis of time."""
    channels = {name: image[0] for name, image in result.channels.items()}
    return channels, {name: image[0] for name, image in result.further.items()}
