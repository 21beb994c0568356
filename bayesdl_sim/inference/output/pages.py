"""The maps of a long series as TIFFs that are filled time point by time point."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.data.formats.tiff_pages import PagedTiff
from bayesdl_sim.data.formats.tiff_writer import (
    TiffPlan,
    channels_plan,
    content_uuid,
    hyperstack_plan,
    map_plan,
    sr_counts,
)
from bayesdl_sim.inference.output.map_kinds import CHANNELS, MAPS
from bayesdl_sim.inference.output.names import HYPERSTACK, channel_colours, channel_limits

__all__ = ["PageLayout", "TiffPages", "blank_maps", "layout_of"]

NO_UUID = "00000000-0000-5000-8000-000000000000"  # until the content is known


@dataclass(frozen=True, kw_only=True)
class PageLayout:
    """The layout of a series of maps, before any of them exists.

    Attributes:
        times: number of time points.
        size: height and width of the super-resolved maps.
        channels: their names, in order.
        further: maps that are files only -> the number of their pages, T or T - 1.
        pixel_nm: pixel size of the super-resolved maps; None where unknown.
        limits: name of a map -> the values at the two ends of its colours.
    """

    times: int
    size: tuple[int, int]
    channels: tuple[str, ...]
    further: dict[str, int]
    pixel_nm: float | None
    limits: dict[str, tuple[float, float]]


def layout_of(
    channels: Mapping[str, NDArray],
    further: Mapping[str, NDArray],
    pixel_nm: float | None,
    times: int | None = None,
) -> PageLayout:
    """The layout of these maps.

    Args:
        channels: name -> (T, 2H, 2W).
        further: maps that are files only.
        times: time points of the series, where only the first of them is given.
    """
    first = next(iter(channels.values()))
    images = {**channels, **further}
    counts = {name: len(image) if times is None else times for name, image in further.items()}
    return PageLayout(
        times=len(first) if times is None else times,
        size=(first.shape[-2], first.shape[-1]),
        channels=tuple(channels),
        further=counts,
        pixel_nm=pixel_nm,
        limits={name: channel_limits(name, image) for name, image in images.items()},
    )


def blank_maps(
    layout: PageLayout, t: int, rows: int
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Channels and further maps of a time point that is left out: NaN, and not credible.

    Args:
        rows: rows of the super-resolved maps.
    """
    nothing = np.full((rows, layout.size[1]), np.nan, np.float32)
    channels = dict.fromkeys(layout.channels, nothing)
    if "Credibility" in channels:
        channels["Credibility"] = np.zeros_like(nothing)
    changes = [name for name, count in layout.further.items() if t < layout.times - count]
    further = {
        name: nothing[: rows // 2, : layout.size[1] // 2] if MAPS[name].raw_grid else nothing
        for name in layout.further
        if name not in changes
    }
    return channels, further


class TiffPages:
    """The files of a series in a folder, made empty with all their headers, or opened again.

    Args:
        folder: existing folder.
        layout: layout of the maps.
        existing: they were made before; one that is missing is an error.
    """

    def __init__(self, folder: Path, layout: PageLayout, existing: bool = False) -> None:
        self.layout, self.files = layout, {}
        for name, plan in _plans(layout).items():
            shape = (plan.shape, plan.dtype, plan.tags)
            self.files[name] = PagedTiff(folder / name, *shape, existing)

    @property
    def names(self) -> list[str]:
        """Names of the files."""
        return list(self.files)

    def write(
        self,
        t: int,
        channels: Mapping[str, NDArray],
        further: Mapping[str, NDArray],
        first: int = 0,
    ) -> str:
        """Puts the maps (H, W) of one time point in their places; returns their SHA-256.

        A change from the time point before is that of the pair that ends here.

        Args:
            first: row of the super-resolved maps that these are the rows from, where they are not
                all of them.
        """
        images, digest = {**channels, **further}, hashlib.sha256()
        for number, name in enumerate(self.layout.channels):
            page = np.ascontiguousarray(channels[name], np.float32)
            digest.update(page)
            for file in (CHANNELS, HYPERSTACK):
                if file in self.files:
                    place = t * len(self.layout.channels) + number
                    self.files[file].write_rows(place, first, page)
        for name, kind in MAPS.items():
            if name in images and f"{name}.tif" in self.files:
                page = sr_counts(images[name]) if name == "SR" else images[name]
                missing = self.layout.times - self.layout.further.get(name, self.layout.times)
                row = first // 2 if kind.raw_grid else first
                self.files[f"{name}.tif"].write_rows(t - missing, row, page)
        for file in self.files.values():
            file.flush()
        return digest.hexdigest()

    def channels_at(self, t: int) -> dict[str, NDArray]:
        """The channels of a time point, (1, 2H, 2W) each."""
        first = t * len(self.layout.channels)
        names = enumerate(self.layout.channels, start=first)
        return {name: self.files[CHANNELS].read(number)[None] for number, name in names}

    def further_at(self, t: int) -> dict[str, NDArray]:
        """Each map that is a file only, (1, ...); a change is the one from that time point on."""
        places = {name: min(t, count - 1) for name, count in self.layout.further.items()}
        return {name: self.files[f"{name}.tif"].read(t)[None] for name, t in places.items()}

    def close(self) -> None:
        """Ends the use of the files."""
        for file in self.files.values():
            file.close()

    def finish(self, digests: Iterable[str]) -> None:
        """Gives the files their UUID, now that the content is known, and closes them.

        Args:
            digests: hashes of all time points in order, as `write` returned them.
        """
        head = hashlib.sha256(repr((self.layout.channels, self.layout.pixel_nm)).encode())
        parts = [head.digest(), *map(bytes.fromhex, digests)]
        for name, file in self.files.items():
            unique = content_uuid([*parts, name.encode()])
            file.replace(NO_UUID.encode(), str(unique).encode())
            file.flush()
        self.close()


def _plans(layout: PageLayout) -> dict[str, TiffPlan]:
    """Name of a file -> how it is made."""
    shape, raw_nm = (layout.times, *layout.size), layout.pixel_nm and 2 * layout.pixel_nm
    plans = {}
    for name, kind in MAPS.items():
        if name not in (*layout.channels, *layout.further):
            continue
        pages = layout.further.get(name, layout.times)
        size = tuple(side // 2 for side in layout.size) if kind.raw_grid else layout.size
        dtype = np.dtype(np.uint16 if name == "SR" else np.float32)
        pixel = raw_nm if kind.raw_grid else layout.pixel_nm
        low, high = layout.limits[name]
        limits = (65535 * low, 65535 * high) if name == "SR" else (low, high)
        plans[f"{name}.tif"] = map_plan((pages, *size), dtype, pixel, limits, NO_UUID)
    colours = channel_colours(layout.channels)
    names, pixel = layout.channels, layout.pixel_nm
    plans[CHANNELS] = channels_plan(names, shape, pixel, colours, NO_UUID)
    hyperstack = hyperstack_plan(names, shape, pixel, colours, layout.limits)
    return plans if hyperstack is None else plans | {HYPERSTACK: hyperstack}
