"""The maps of a stack as OME-Zarr 0.5, for fields and series beyond TIFF.

`Maps.ome.zarr` holds all maps on the super-resolved grid as named channels (t, c, y, x) of float32,
in levels of half the size; `MapsOnFrames.ome.zarr` those on the pixels of the raw frames. A change
stands at the later of its two time points. zarr is an optional dependency, loaded only when needed.

Source: https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.inference.output.map_kinds import MAPS
from bayesdl_sim.inference.output.names import ON_FRAMES, STORE, channel_colours
from bayesdl_sim.inference.output.pages import PageLayout
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.pieces.halving import halved

__all__ = ["ZarrPages", "require_zarr"]

CHUNK = 512  # pixels a side
SMALLEST = 256  # pixels, of the longer side of the last level


def require_zarr() -> None:
    """`InputError` where zarr is not installed."""
    if importlib.util.find_spec("zarr") is None:
        raise InputError(
            "format zarr needs the package zarr: pip install 'bayesdl-sim[zarr]', or choose tiff"
        )


class ZarrPages:
    """The stores of a result in a folder, made empty with all their metadata, or opened again.

    Args:
        folder: existing folder.
        layout: layout of the maps.
        existing: they were made before; one that is missing is an error.
    """

    def __init__(self, folder: Path, layout: PageLayout, existing: bool = False) -> None:
        self.layout, self.stores = layout, {}
        fine = [name for name in layout.further if not MAPS[name].raw_grid]
        coarse = [name for name in layout.further if MAPS[name].raw_grid]
        channels = {STORE: (*layout.channels, *fine), ON_FRAMES: tuple(coarse)}
        for name, coarser in ((STORE, 1), (ON_FRAMES, 2)):
            if channels[name]:
                arguments = (layout, channels[name], coarser, existing)
                self.stores[name] = _Store(folder / name, *arguments)

    @property
    def names(self) -> list[str]:
        """Names of the stores."""
        return list(self.stores)

    def write(
        self,
        t: int,
        channels: Mapping[str, NDArray],
        further: Mapping[str, NDArray],
        first: int = 0,
    ) -> str:
        """Puts the maps (H, W) of one time point in their places; returns their SHA-256.

        Args:
            first: row of the super-resolved maps that these are the rows from, where they are not
                all of them: a multiple of 2 to the power of the levels.
        """
        images, digest = {**channels, **further}, hashlib.sha256()
        for store in self.stores.values():
            row = first // 2 if store is self.stores.get(ON_FRAMES) else first
            for number, name in enumerate(store.channels):
                if name in images:
                    page = np.ascontiguousarray(images[name], np.float32)
                    digest.update(page)
                    store.write(t, number, page, row)
        return digest.hexdigest()

    def channels_at(self, t: int) -> dict[str, NDArray]:
        """The channels of a time point, (1, 2H, 2W) each."""
        return {name: self._read(name, t) for name in self.layout.channels}

    def further_at(self, t: int) -> dict[str, NDArray]:
        """Each map that is a file only, (1, ...); a change is the one from that time point on."""
        last = self.layout.times - 1
        places = {n: min(last, t + last + 1 - count) for n, count in self.layout.further.items()}
        return {name: self._read(name, place) for name, place in places.items()}

    def _read(self, name: str, t: int) -> NDArray:
        store = next(store for store in self.stores.values() if name in store.channels)
        return store.levels[0][t : t + 1, store.channels.index(name)]

    def close(self) -> None:
        """Does nothing: no file is held open."""

    def finish(self, digests: Iterable[str]) -> None:
        """Does nothing: a store has no UUID."""


class _Store:
    """One group of levels; level 0 is the map itself, each further one has means of 2x2."""

    def __init__(
        self,
        path: Path,
        layout: PageLayout,
        channels: tuple[str, ...],
        coarser: int,
        existing: bool,
    ) -> None:
        import zarr

        self.channels = channels
        sizes = _sizes(tuple(side // coarser for side in layout.size))
        if not _is_whole(path):
            if existing:
                raise InputError(
                    f"{path} is missing, though this run began it: delete its folder and run again"
                )
            group = zarr.create_group(path, zarr_format=3, overwrite=True)
            for level, size in enumerate(sizes):
                group.create_array(
                    str(level),
                    shape=(layout.times, len(channels), *size),
                    chunks=(1, 1, *(min(side, CHUNK) for side in size)),
                    dtype="float32",
                    fill_value=float("nan"),
                    dimension_names=("t", "c", "y", "x"),
                )
            # The metadata come last: without them, the store is made again.
            pixel = layout.pixel_nm and coarser * layout.pixel_nm
            group.update_attributes({"ome": _metadata(layout, channels, len(sizes), pixel)})
        group = zarr.open_group(path, mode="r+")
        self.levels = [group[str(level)] for level in range(len(sizes))]

    def write(self, t: int, number: int, page: NDArray, first: int) -> None:
        for level in self.levels:
            level[t, number, first : first + len(page)] = page
            page, first = halved(page), first // 2


def _is_whole(path: Path) -> bool:
    """Whether a store has all of its metadata; a group without attributes was cut off by a kill."""
    try:
        record = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return "ome" in record.get("attributes", {})


def _sizes(size: tuple[int, ...]) -> list[tuple[int, int]]:
    """Sizes of the levels, each half of the one before."""
    sizes = [(size[0], size[1])]
    while max(sizes[-1]) > SMALLEST:
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def _metadata(
    layout: PageLayout, channels: tuple[str, ...], levels: int, pixel_nm: float | None
) -> dict[str, Any]:
    """The attribute `ome` of the group."""
    size, unit = (1.0, {}) if pixel_nm is None else (pixel_nm / 1000, {"unit": "micrometer"})
    axes: list[dict[str, Any]] = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", **unit} for name in "yx"]
    datasets = []
    for level in range(levels):
        pixel, shift = size * 2**level, size * (2**level - 1) / 2
        moves = [{"type": "scale", "scale": [1.0, 1.0, pixel, pixel]}]
        if level:
            moves.append({"type": "translation", "translation": [0.0, 0.0, shift, shift]})
        datasets.append({"path": str(level), "coordinateTransformations": moves})
    colours = channel_colours(channels)
    shown = []
    for name in channels:
        low, high = (float(end) for end in layout.limits.get(name, (0.0, 1.0)))
        red, green, blue = (int(value) for value in colours[name][:, -1])
        window = {"min": low, "max": high, "start": low, "end": high}
        colour = f"{red:02X}{green:02X}{blue:02X}"
        active = name == channels[0]
        shown.append({"label": name, "color": colour, "window": window, "active": active})
    scales = {"name": "BayesDL-SIM", "axes": axes, "datasets": datasets, "type": "mean"}
    return {"version": "0.5", "multiscales": [scales], "omero": {"channels": shown}}
