"""Which files a result may have, and the colours of its channels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.inference.output.map_kinds import CHANNELS, FACTS, MAPS, OTHER, PROBABILITIES
from bayesdl_sim.inference.output.profile_picture import PROFILE
from bayesdl_sim.inference.output.stack_report import REPORT
from bayesdl_sim.utils.drawing.colour_maps import colour_map
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = [
    "BESIDE",
    "CHANGEABLE",
    "FRINGES",
    "HYPERSTACK",
    "INFORMED",
    "ON_FRAMES",
    "OVERVIEW",
    "STORE",
    "channel_colours",
    "channel_limits",
    "file_names",
    "result_names",
]

HYPERSTACK = "Channels.tif"
STORE = "Maps.ome.zarr"
ON_FRAMES = "MapsOnFrames.ome.zarr"
INFORMED = "Informed.png"
FRINGES = "Patterns.png"
BESIDE = "Overview.png"
# `tools.profile` draws it along a line that the user chooses; the result is finished all the same.
CHANGEABLE = (PROFILE,)
OVERVIEW = ("SR", "Aleatoric", "Epistemic", "Credibility")  # beside the wide field


def file_names() -> set[str]:
    """Every TIFF that may be written."""
    return {CHANNELS, HYPERSTACK, *(f"{name}.tif" for name in MAPS)}


def result_names() -> set[str]:
    """Every file that may be written."""
    return file_names() | {
        STORE,
        ON_FRAMES,
        FACTS,
        INFORMED,
        FRINGES,
        BESIDE,
        PROFILE,
        REPORT,
        *(f"{name}.png" for name in MAPS),
    }


def channel_colours(names: Iterable[str]) -> dict[str, NDArray[np.uint8]]:
    """Name of a channel -> its colours, (3, 256)."""
    return {name: colour_map(MAPS.get(name, OTHER).colours).T for name in names}


def channel_limits(name: str, image: NDArray) -> tuple[float, float]:
    """The values at the ends of a channel's colours."""
    return (0.0, 1.0) if name in PROBABILITIES else display_limits(image)
