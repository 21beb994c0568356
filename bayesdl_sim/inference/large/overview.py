"""The binned maps of a large field, kept until its pictures are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.inference.large.point import TiledPoint
from bayesdl_sim.utils.files import atomic_path

__all__ = ["read_overview_maps", "write_overview_maps"]

CHANNEL, FURTHER = "channel ", "further "


def write_overview_maps(path: Path, point: TiledPoint) -> None:
    """Stores the overview's maps in one file."""
    result = point.overview
    images = {CHANNEL + name: image for name, image in result.channels.items()}
    images |= {FURTHER + name: image for name, image in result.further.items()}
    with atomic_path(path) as partial, open(partial, "wb") as file:
        np.savez(file, wide_field=result.wide_field, halvings=point.halvings, **images)


def read_overview_maps(path: Path) -> tuple[dict, dict, NDArray, int]:
    """Channels, further maps and wide field as they were stored, and how often they are halved."""
    with np.load(path) as stored:
        groups = [
            {name.removeprefix(kind): stored[name] for name in stored if name.startswith(kind)}
            for kind in (CHANNEL, FURTHER)
        ]
        return groups[0], groups[1], stored["wide_field"], int(stored["halvings"])
