"""The layout of the files of a series, by its first time point, and as JSON keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bayesdl_sim.inference.output.pages import PageLayout, layout_of
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.settings import CHANGES

__all__ = ["series_layout", "stored_layout"]


def series_layout(
    first: Reconstruction, prepared: PreparedStack, maps: Sequence[str], tolerance: float
) -> PageLayout:
    """The layout of all files of a series.

    Args:
        first: its first time point, which may be binned.
        prepared: the series.
        maps: names of the maps that are requested.
        tolerance: tolerance of the credibility.
    """
    times, (height, width) = len(prepared), prepared.field
    further = {name: image for name, image in first.further.items() if name not in CHANGES}
    layout = layout_of(first.channels, further, first.pixel_size_nm, times)
    layout = replace(layout, size=(2 * height, 2 * width))
    changes = dict.fromkeys((name for name in CHANGES if name in maps), times - 1)
    limits = {"Change": (-4 * tolerance, 4 * tolerance), "Changed": (-1.0, 1.0)}
    limits = {name: limits[name] for name in changes}
    return replace(layout, further=layout.further | changes, limits=layout.limits | limits)


def stored_layout(stored: dict[str, Any]) -> PageLayout:
    """A layout as JSON gives it back."""
    lists = ("size", "channels")
    limits = {name: tuple(ends) for name, ends in stored["limits"].items()}
    return PageLayout(**stored | {name: tuple(stored[name]) for name in lists} | {"limits": limits})
