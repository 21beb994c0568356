"""Raw 2D-SIM stacks as users have them: files of many kinds, time series, folders of frames."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from bayesdl_sim.data.counts import count_warnings, facts_by_time
from bayesdl_sim.data.folders import file_of_frames, frame_files
from bayesdl_sim.data.formats.image_file import Channel, ImageFile, Series
from bayesdl_sim.data.formats.opening import open_image_file
from bayesdl_sim.data.frames import FramesOnDisk, SharedPixels, frames_on_disk, too_large
from bayesdl_sim.data.layouts import Arrangement, FrameLayout
from bayesdl_sim.data.selection import (
    chosen_channels,
    chosen_number,
    distinct,
    file_warnings,
    named_channels,
    stack_series,
)
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "RawStack",
    "StackEntry",
    "list_stacks",
    "read_stack",
    "read_stacks",
]

ENDING = re.compile(r"(\.ome)?\.[A-Za-z0-9]{1,5}(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class RawStack:
    """Raw frames as read.

    Attributes:
        raw: float32 (T, 9, H, W) in counts, orientation-major; T = 1 unless a time series. NaN
            where the file holds no data. Of a stack that was opened, not read, its time points are
            read as they are needed, and have not been checked.
        pixel_size_nm: width of a pixel; None where the file does not state it.
        name: name for result files; with the colour, position and plane where the file has several.
        source: the file or folder.
        notes: what was read as what, in sentences for people.
        warnings: what may be wrong with the file, in sentences for people.
        channel: name of the colour, empty where there is none.
        wavelength_nm: wavelength of that colour; None where the file does not state it.
        emission_nm, na: wavelength of its emission and numerical aperture of the objective; None
            where the file does not state it.
        order: numbers of the frames of the file, from 0, if they were put in another order than
            the stated one.
        without_counts: time point of a series, from 0 -> why its frames cannot be counts. The
            others are as good as without it.
    """

    raw: np.ndarray | FramesOnDisk
    pixel_size_nm: float | None
    name: str
    source: Path
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    channel: str = ""
    wavelength_nm: float | None = None
    emission_nm: float | None = None
    na: float | None = None
    order: tuple[int, ...] | None = None
    without_counts: Mapping[int, str] = field(default_factory=dict)

    def window(self, t: int, rows: slice, columns: slice) -> np.ndarray:
        """The frames (9, h, w) of a time point, in some rows and columns."""
        if isinstance(self.raw, FramesOnDisk):
            return self.raw.window(t, rows, columns)
        return self.raw[t][:, rows, columns]


@dataclass(frozen=True, kw_only=True)
class StackEntry:
    """One stack of a file before it is read.

    Attributes:
        name: name of the `RawStack`.
        source: the file or folder.
        read: gives the `RawStack`; raises `InputError` where it is none.
        open: gives the same without its pixels, see `RawStack.raw`; None where its file can only be
            read whole.
        times: number of time points; 0 where that is not known.
        size: height and width of a frame.
        layout: what chooses this stack alone, but not among those of a folder with several names.
    """

    name: str
    source: Path
    read: Callable[[], RawStack]
    open: Callable[[], RawStack] | None = None
    times: int = 0
    size: tuple[int, int] = (0, 0)
    layout: FrameLayout = FrameLayout()


def read_stack(path: str | Path, layout: FrameLayout | None = None) -> RawStack:
    """Reads the one stack of a file of 9 T images, or of a folder of 9 T single images.

    Args:
        path: TIFF, MRC, DeltaVision, CZI or ND2, by content; or a folder.
        layout: order of the frames and choice of colour, position and plane.

    Raises:
        InputError: whatever makes it no 2D-SIM stack of camera counts (see `check_counts`), or
            several stacks.
    """
    entries = list_stacks(path, layout)
    if len(entries) > 1:
        names = ", ".join(entry.name for entry in entries[:6])
        more = ", ..." if len(entries) > 6 else ""
        raise InputError(
            f"{path} holds {len(entries)} stacks ({names}{more}): choose one by channel, position "
            "or plane"
        )
    return entries[0].read()


def read_stacks(path: str | Path, layout: FrameLayout | None = None) -> list[RawStack]:
    """Reads all stacks of a file or folder, each colour, position and plane; see `read_stack`."""
    return [entry.read() for entry in list_stacks(path, layout)]


def list_stacks(path: str | Path, layout: FrameLayout | None = None) -> list[StackEntry]:
    """The stacks of a file or folder by name, each to be read when it is needed.

    Raises:
        InputError: no stack of nine frames, or the layout does not fit.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"path: expected the name of a file or folder, found {type(path).__name__}; frames in "
            "memory need no reading: RawStack(raw=frames, ...)"
        )
    if not isinstance(layout, FrameLayout | None):
        raise InputError(f"layout: expected a FrameLayout, found {layout!r}")
    path, layout = Path(path), layout or FrameLayout()
    if path.is_dir():
        entries = []
        for label, files in frame_files(path, layout).items():
            whole = replace(layout, frames=None)  # `files` are those of the frames
            entries += [
                replace(entry, layout=replace(entry.layout, frames=layout.frames))
                for entry in _entries(
                    file_of_frames(path, files), whole, path.resolve().name, label
                )
            ]
        return entries
    return _entries(open_image_file(path), layout, ENDING.sub("", path.name) or path.name)


def _entries(file: ImageFile, layout: FrameLayout, stem: str, label: str = "") -> list[StackEntry]:
    """The chosen stacks of a file."""
    parts, left_out = stack_series(file, layout)
    positions = [
        (series, arrangement, inner)
        for series, arrangement in parts
        for inner in range(arrangement.count("position"))
    ]
    pixels: dict[int, SharedPixels] = {}
    entries = []
    for number in chosen_number("position", len(positions), layout.position, file.path):
        series, arrangement, inner = positions[number]
        channels = named_channels(series, arrangement.count("channel"))
        colours = distinct([_for_a_file_name(channel.name) for channel in channels])
        planes = arrangement.count("plane")
        for c in chosen_channels(channels, layout.channel, file.path):
            for z in chosen_number("plane", planes, layout.plane, file.path):
                suffix = [_for_a_file_name(label)] if label else []
                suffix += [colours[c]] if len(channels) > 1 else []
                suffix += [f"P{number + 1}"] if len(positions) > 1 else []
                suffix += [f"Z{z + 1}"] if planes > 1 else []
                chosen = {
                    "channel": channels[c].name if len(channels) > 1 else layout.channel,
                    "position": number + 1 if len(positions) > 1 else layout.position,
                    "plane": z + 1 if planes > 1 else layout.plane,
                }
                place = _Place(
                    layout=replace(layout, **chosen),
                    name="_".join([stem, *suffix]),
                    file=file,
                    arrangement=arrangement,
                    pixels=pixels.setdefault(id(series), SharedPixels(series, file.path)),
                    numbers=(c, inner, z),
                    channel=channels[c],
                    notes=(*_read_as(file, series, arrangement, len(positions)), *left_out),
                )
                place.pixels.users += 1
                entries.append(_entry(place))
    return entries


def _entry(place: _Place) -> StackEntry:
    series, arrangement = place.pixels.series, place.arrangement
    by_page = series.pages is not None and not arrangement.frames_last
    return StackEntry(
        name=place.name,
        source=place.file.path,
        layout=place.layout,
        read=partial(_read, place),
        open=partial(_open, place) if by_page else None,
        times=arrangement.count("time"),
        size=arrangement.size,
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Place of a stack in its file, and the layout that chooses it alone."""

    layout: FrameLayout
    name: str
    file: ImageFile
    arrangement: Arrangement
    pixels: SharedPixels
    numbers: tuple[int, int, int]
    channel: Channel
    notes: tuple[str, ...]


def _read(place: _Place) -> RawStack:
    path = place.file.path
    try:
        frames = place.arrangement.cut(place.pixels.take(), *place.numbers)
        facts, faults = facts_by_time(frames, path)
        raw = np.array(frames, dtype=np.float32, order="C")
    except MemoryError:
        raise too_large(place.pixels.series, path) from None
    opened = _stack(place, raw)
    warnings = (*opened.warnings, *count_warnings(facts))
    return replace(opened, warnings=warnings, without_counts=faults)


def _open(place: _Place) -> RawStack:
    series = place.pixels.series
    return _stack(place, frames_on_disk(series, place.arrangement, place.numbers))


def _stack(place: _Place, raw: np.ndarray | FramesOnDisk) -> RawStack:
    """The stack with the metadata of its file."""
    return RawStack(
        raw=raw,
        pixel_size_nm=place.file.pixel_size_nm,
        name=place.name,
        source=place.file.path,
        notes=place.notes,
        warnings=tuple(file_warnings(place.file)),
        channel=place.channel.name if place.arrangement.count("channel") > 1 else "",
        wavelength_nm=place.channel.wavelength_nm,
        emission_nm=place.channel.emission_nm,
        na=place.channel.na,
    )


def _read_as(
    file: ImageFile, series: Series, arrangement: Arrangement, positions: int
) -> Iterator[str]:
    """What was read as what, unless there was nothing to decide."""
    if positions > arrangement.count("position"):
        yield f"{len(file.series)} series read as {positions} positions"
    if len(series.shape) > 3 or str(arrangement) != "nine frames" or arrangement.frames_last:
        how = f", {arrangement.tiles[0]}x{arrangement.tiles[1]} of them in an image"
        height, width = series.size
        plain = f"{series.images} images of {height}x{width} px"
        yield (
            f"{f'axes {series}' if file.named_axes else plain} read as {arrangement}"
            + (how if arrangement.tiles != (1, 1) else "")
            + (", which lie in the last axis" if arrangement.frames_last else "")
        )


def _for_a_file_name(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")[:40] or "x"
