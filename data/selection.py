"""Stacks of a file and the choice among them: series, colours, positions, planes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bayesdl_sim.data.formats.image_file import Channel, ImageFile, Page, Series
from bayesdl_sim.data.layouts import Arrangement, FrameLayout, NotAStack, arrange
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "chosen_channels",
    "chosen_number",
    "distinct",
    "file_warnings",
    "merged",
    "named_channels",
    "stack_series",
]

SQUARE = 0.01  # relative difference of width and height of a pixel that is still square


def stack_series(
    file: ImageFile, layout: FrameLayout
) -> tuple[list[tuple[Series, Arrangement]], tuple[str, ...]]:
    """The series that are stacks, each with its arrangement, and a sentence for what is left out.

    Series of a file without named axes, and series of a single image, are frames of one stack if
    they have one size.

    Raises:
        InputError: none of them is a stack; the reason of the largest.
    """
    series = list(file.series)
    if not file.named_axes:
        series = _by_size(series)
    try:
        stacks, reasons = _arranged(series, layout)
        if not stacks and len(series) > 1:
            series = _by_size(series)
            stacks, reasons = _arranged(series, layout)
    except InputError as error:
        raise InputError(f"{file.path}: {error}") from None
    if not stacks:
        if len(series) > 1:
            kinds = sorted((*part.size, str(part.dtype)) for part in series)
            listed = ", ".join(f"{height}x{width} {dtype}" for height, width, dtype in kinds)
            raise InputError(
                f"{file.path} holds images of several kinds ({listed}), none of them a stack: all "
                "frames of a stack have the same size and type; split the file"
            )
        raise InputError(f"{file.path} {reasons[0]}")
    used = [part for part, _ in stacks]
    left_out = tuple(
        f"left out: {_count(part)} of {part.size[0]}x{part.size[1]} px, no frames of a stack"
        f"{' (a thumbnail or preview)' if part.size < used[0].size else ''}"
        for part in series
        if part not in used
    )
    return stacks, left_out


def merged(parts: list[Series]) -> Series:
    """Series of one size and type as one, in their order."""
    if len(parts) == 1:
        return parts[0]

    def read() -> np.ndarray:
        return np.concatenate([part.read().reshape(-1, *part.size) for part in parts])

    shape = (sum(part.images for part in parts), *parts[0].size)
    pages = partial(_merged_pages, parts) if all(part.images == 1 for part in parts) else None
    return Series(axes="Q", shape=shape, dtype=parts[0].dtype, read=read, pages=pages)


def _merged_pages(parts: list[Series]) -> Page:
    return lambda number: parts[number].read().reshape(parts[number].size)


def named_channels(series: Series, count: int) -> list[Channel]:
    """The colours of a series, each with a name of its own."""
    known = list(series.channels[:count]) if len(series.channels) >= count else []
    known += [Channel()] * (count - len(known))
    names = [
        channel.name or (f"{channel.wavelength_nm:.0f}" if channel.wavelength_nm else f"C{n + 1}")
        for n, channel in enumerate(known)
    ]
    return [
        replace(channel, name=name) for channel, name in zip(known, distinct(names), strict=True)
    ]


def distinct(names: list[str]) -> list[str]:
    """The names, with a number behind each that occurs again; many disks ignore the case."""
    times = Counter(name.casefold() for name in names)
    taken, unique = {name for name, count in times.items() if count == 1}, []
    for number, name in enumerate(names, start=1):
        own = name
        while times[name.casefold()] > 1 and (own == name or own.casefold() in taken):
            own, number = f"{name}-{number}", number + 1
        taken.add(own.casefold())
        unique.append(own)
    return unique


def chosen_channels(channels: list[Channel], wanted: str | None, path: Path) -> Iterable[int]:
    """Numbers, from 0, of the chosen colours: by name, by wavelength in nm or by number from 1.

    Raises:
        InputError: there is no such colour.
    """
    if wanted is None:
        return range(len(channels))
    word = wanted.strip().lower()
    names = [channel.name.lower() for channel in channels]
    if word in names:
        return [names.index(word)]
    waves = [
        f"{channel.wavelength_nm:.0f}" if channel.wavelength_nm else "" for channel in channels
    ]
    if word in waves:
        return [waves.index(word)]
    if word.isdecimal() and 1 <= int(word[:9]) <= len(channels):
        return [int(word) - 1]
    alike = [n for n, name in enumerate(names) if re.search(rf"\b{re.escape(word)}\b", name)]
    if len(alike) == 1:
        return alike
    listed = ", ".join(channel.name for channel in channels)
    raise InputError(
        f"channel: {path} has no colour {wanted!r}; found {listed} (or their numbers, 1 to "
        f"{len(channels)})"
    )


def chosen_number(what: str, count: int, wanted: int | None, path: Path) -> Iterable[int]:
    """Numbers, from 0, of the chosen planes or positions; `wanted` counts from 1.

    Raises:
        InputError: there are not so many.
    """
    if wanted is None:
        return range(count)
    if not 1 <= wanted <= count:
        raise InputError(f"{what}: {path} has {what}s 1 to {count}, found {wanted}")
    return [wanted - 1]


def _arranged(
    series: list[Series], layout: FrameLayout
) -> tuple[list[tuple[Series, Arrangement]], list[str]]:
    """The series that are stacks; the reasons of those that are not, that of the largest first."""
    stacks, reasons = [], []
    for part in series:
        try:
            stacks.append((part, arrange(part, layout)))
        except NotAStack as error:
            reasons.append((-part.size[0] * part.size[1], str(error)))
    return stacks, [reason for _, reason in sorted(reasons)]


def _by_size(series: list[Series]) -> list[Series]:
    groups: dict[tuple, list[Series]] = {}
    for part in series:
        groups.setdefault((part.size, part.dtype), []).append(part)
    return [merged(parts) for parts in groups.values()]


def _count(part: Series) -> str:
    return "1 image" if part.images == 1 else f"{part.images} images"


def file_warnings(file: ImageFile) -> Iterator[str]:
    """Statements of a file that cannot be right, in sentences for people."""
    width, height = file.pixel_size_nm, file.pixel_height_nm
    if width and height and abs(width / height - 1) > SQUARE:
        yield (
            f"pixels are {width:g} nm wide and {height:g} nm high, but square ones are expected: "
            "check the pixel size of the file"
        )
