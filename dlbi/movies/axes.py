"""Which images of a TIFF file are the frames of the movie: one colour, position and plane."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.data.formats.image_file import ImageFile, Series
from bayesdl_sim.data.formats.tiff import open_tiff
from bayesdl_sim.data.selection import chosen_channels, chosen_number, named_channels
from bayesdl_sim.utils.errors import InputError

__all__ = ["Choice", "images_of_movie"]

KINDS = {"C": "colours", "R": "positions", "Z": "planes"}
# Colours that a camera records one after the other. A longer axis of "colours", in a file without
# time, was the only axis that its writer knew.
MOST_COLOURS = 8


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The part of a file to take; None where there is one alone.

    Args:
        channel: colour, by its name, its wavelength or its number from 1.
        position: position of the stage, from 1.
        plane: plane of focus, from 1.
    """

    channel: str | None = None
    position: int | None = None
    plane: int | None = None


def images_of_movie(path: Path, choice: Choice) -> NDArray[np.int64] | None:
    """Numbers of the frames among the images of a file, from 0 in file order; None: all images.

    The axis of time holds the frames. A file without one has them along its longest axis, since
    programs that know no time store a movie as planes.

    Raises:
        InputError: several colours, positions or planes, and none of them is chosen; no such one;
            several axes that may be time.
    """
    file = open_tiff(path)
    starts = [0, *accumulate(part.images for part in file.series)]
    if len(file.series) > 1 and (
        not file.named_axes or all(part.images == 1 for part in file.series)
    ):
        _refuse_choice(path, choice)
        return None
    places = [
        (start + grid, part)
        for part, start in zip(file.series, starts, strict=False)
        for grid in _by_position(part, path)
    ]
    positions = chosen_number("position", len(places), choice.position, path)
    (number,) = _only("positions", positions, path)
    images, part = places[number]
    images = _of_one_colour(images, part, file, choice)
    planes = chosen_number("plane", images.shape[1], choice.plane, path)
    (plane,) = _only("planes", planes, path)
    images = images.take(plane, axis=1).ravel()
    return None if len(images) == starts[-1] else images


def _by_position(part: Series, path: Path) -> list[NDArray[np.int64]]:
    """Numbers of a series' images, (colours, planes, frames), for each of its positions."""
    axes = part.axes
    frames = _axis_of_frames(part, path)
    numbers = np.arange(part.images).reshape(part.shape[:-2])
    roles = [
        "T" if place == frames else letter if letter in KINDS else "-"
        for place, letter in enumerate(axes)
    ]
    order = sorted(range(len(axes)), key=lambda place: "-RCZT".index(roles[place]))
    counts = [
        int(np.prod([part.shape[place] for place in order if roles[place] == role], dtype=int))
        for role in "RCZT"
    ]
    return list(numbers.transpose(order).reshape(counts))


def _axis_of_frames(part: Series, path: Path) -> int | None:
    """Place of the axis of time, else of the longest one; None of a single image.

    Raises:
        InputError: several axes may be time.
    """
    sizes = part.shape[:-2]
    times = [n for n, letter in enumerate(part.axes) if letter not in KINDS and sizes[n] > 1]
    if len(times) > 1:
        listed = " x ".join(str(sizes[n]) for n in times)
        raise InputError(
            f"{path} holds {listed} images, and does not say which are the frames of one movie: "
            "save those of one colour and position as a stack of their own"
        )
    if times:
        return times[0]
    others = [
        n
        for n, letter in enumerate(part.axes)
        if sizes[n] > 1 and (letter != "C" or sizes[n] > MOST_COLOURS)
    ]
    return max(others, key=lambda n: sizes[n], default=None)


def _of_one_colour(
    images: NDArray[np.int64], part: Series, file: ImageFile, choice: Choice
) -> NDArray[np.int64]:
    """The images (1, planes, frames) of the chosen colour."""
    channels = named_channels(part, len(images))
    if len(channels) == 1 and choice.channel == "1":
        return images
    chosen = list(chosen_channels(channels, choice.channel, file.path))
    names = ", ".join(channel.name for channel in channels)
    _only("colours", chosen, file.path, f" ({names})")
    return images[chosen]


def _only(kinds: str, chosen: Iterable[int], path: Path, names: str = "") -> list[int]:
    """The one number that is chosen.

    Raises:
        InputError: there are several.
    """
    numbers = list(chosen)
    if len(numbers) > 1:
        word = "channel" if kinds == "colours" else kinds[:-1]
        raise InputError(
            f"{path} holds {len(numbers)} {kinds}{names}, but a movie of one was expected: choose "
            f"a {word}, such as {word} 1"
        )
    return numbers


def _refuse_choice(path: Path, choice: Choice) -> None:
    """Refuses a choice where the images have no axes to choose along."""
    for name in ("channel", "position", "plane"):
        value = getattr(choice, name)
        if value not in (None, 1, "1"):
            raise InputError(
                f"{name}: {path} names no axes, so that {name} {value} cannot be found: save that "
                "movie as a file of its own"
            )
