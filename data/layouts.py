"""Layout of the images of a file as raw stacks: its axes, which are chosen, in what order.

The axes that a file names are used: colours, positions and planes become stacks of their own, time
stays time, and one axis or two hold the nine frames. Files without named axes hold nine frames,
or a multiple of nine as a time series, unless the user's order is another.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bayesdl_sim.data.formats.image_file import Series
from bayesdl_sim.data.frame_order import check_words, split_axis
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.number_list import numbers_of, ranges_in

__all__ = ["FRAMES", "MIN_SIZE", "WANTED", "Arrangement", "FrameLayout", "NotAStack", "arrange"]

PATTERN = (3, 3)  # orientations, phases
FRAMES = math.prod(PATTERN)
MIN_SIZE = 16  # raw pixels
WANTED = "a 2D-SIM stack needs 9 (3 orientations x 3 phases) or a multiple of 9 for a time series"
ROLES = ("channel", "position", "plane", "time", "orientation", "phase")
ROLE_OF = {"T": "time", "C": "channel", "Z": "plane", "R": "position", "Q": "time", "S": "time"}
# Which axis holds the nine frames, if several could: nine colours or samples are no colours.
EXACT = "SPAQCZT"
MULTIPLE = "QZTCS"  # of nine
REST = {"Z": "plane"}  # what the multiples of such an axis are; those of all others are time
OTHER_SIM = {
    15: "3 orientations x 5 phases, 3D-SIM: 5 phases: not supported",
    25: "5 orientations x 5 phases: 5 phases: not supported",
    7: "7 frames, hexagonal patterns: not supported",
}


class NotAStack(ValueError):
    """A series that is not a stack; the text, the reason, continues after the name of the file."""


@dataclass(frozen=True, kw_only=True)
class FrameLayout:
    """Layout of a file as the user states it; the default takes everything as the file states it.

    Attributes:
        order: order of the frames, slowest first, see `data.frame_order`; add z, time, channel or
            position where their images lie between the frames.
        frames: the images to take along the axis of the frames, counted from 1, such as `1-9`;
            None takes all.
        mosaic: `rows x columns` of frames within each image, such as `3x3`; None for plain images.
        channel: the colour to take, by its name, its wavelength or its number from 1.
        position: the position to take, from 1.
        plane: the plane to take, from 1.
    """

    order: str = "orientation,phase"
    frames: str | None = None
    mosaic: str | None = None
    channel: str | None = None
    position: int | None = None
    plane: int | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be a layout of any file."""
        check_words(self.order)
        if self.frames is not None:
            self.chosen_frames()
        rows, columns = self.tiles()
        if self.mosaic is not None and rows * columns != FRAMES:
            raise InputError(
                f"mosaic: expected nine frames such as 3x3, found {rows}x{columns}: {WANTED}"
            )
        for name in ("position", "plane"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}: expected a number from 1, found {value}")

    def chosen_frames(self) -> list[int]:
        """Numbers of the chosen images, from 0."""
        try:
            numbers = numbers_of(ranges_in(str(self.frames)))
        except ValueError:
            numbers = [0]
        if min(numbers) < 1:
            raise InputError(
                f"frames: expected numbers from 1 such as 1-9 or 1-9,11-19; found {self.frames!r}"
            )
        return [number - 1 for number in numbers]

    def tiles(self) -> tuple[int, int]:
        """Rows and columns of frames in an image; (1, 1) without a mosaic."""
        if self.mosaic is None:
            return 1, 1
        match = re.fullmatch(r"(\d{1,3})\s*x\s*(\d{1,3})", self.mosaic.strip().lower())
        if not match:
            raise InputError(f"mosaic: expected rows x columns such as 3x3, found {self.mosaic!r}")
        return int(match[1]), int(match[2])


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """The way from the array of a series to its stacks.

    Attributes:
        frames_last: whether the frames lie in the last axis, after rows and columns.
        tiles: rows and columns of frames in an image.
        chosen: axis and numbers of the images to take, None for all.
        sizes: sizes of the axes after all splitting, other than rows and columns.
        roles: what each of them is.
        size: height and width of a frame.
    """

    frames_last: bool
    tiles: tuple[int, int]
    chosen: tuple[int, tuple[int, ...]] | None
    sizes: tuple[int, ...]
    roles: tuple[str, ...]
    size: tuple[int, int]

    def count(self, role: str) -> int:
        """Number of images of a role, such as planes."""
        pairs = zip(self.roles, self.sizes, strict=True)
        return math.prod(size for name, size in pairs if name == role)

    def __str__(self) -> str:
        words = [("channel", "colours"), ("position", "positions"), ("plane", "planes")]
        words.append(("time", "time points"))
        parts = [f"{self.count(role)} {word}" for role, word in words if self.count(role) > 1]
        nine = "nine frames"
        if "orientation" in self.roles and "phase" in self.roles:
            outer = min(self.roles.index("orientation"), self.roles.index("phase"))
            nine += "" if self.roles[outer] == "orientation" else ", phase by phase"
        return f"{' x '.join(parts)} of {nine}" if parts else nine

    def cut(self, images: np.ndarray, channel: int, position: int, plane: int) -> np.ndarray:
        """One stack (T, 9, H, W) of the series' array, orientation-major, in the file's type."""
        if self.frames_last:
            images = np.moveaxis(images, -1, -3)
        rows, columns = self.tiles
        if rows * columns > 1:
            height, width = self.size
            images = images.reshape(*images.shape[:-2], rows, height, columns, width)
            images = np.moveaxis(images, -2, -3)
            images = images.reshape(*images.shape[:-4], rows * columns, height, width)
        if self.chosen is not None:
            axis, numbers = self.chosen
            if axis < 0:
                images, axis = images.reshape(-1, *images.shape[-2:]), 0
            images = images.take(numbers, axis=axis)
        images = images.reshape(*self.sizes, *self.size)
        order = sorted(range(len(self.roles)), key=lambda axis: ROLES.index(self.roles[axis]))
        images = images.transpose(*order, -2, -1)
        counts = [self.count(role) for role in ROLES[:4]]
        images = images.reshape(*counts, FRAMES, *self.size)
        return images[channel, position, plane]


def arrange(series: Series, layout: FrameLayout) -> Arrangement:
    """Decides what the axes of a series are.

    Raises:
        NotAStack: the images are no stacks of nine frames.
        InputError: the layout does not fit the file.
    """
    axes = [(letter, size) for letter, size in zip(series.axes, series.shape[:-2], strict=True)]
    height, width = series.size
    frames_last = width == FRAMES and bool(axes) and min(axes[-1][1], height) >= MIN_SIZE
    if frames_last:
        axes, (height, width) = [*axes[:-1], ("S", FRAMES)], (axes[-1][1], height)
    rows, columns = layout.tiles()
    if rows * columns > 1:
        if height % rows or width % columns:
            raise InputError(
                f"mosaic: images of {height}x{width} px cannot be cut into {rows}x{columns} frames"
            )
        height, width = height // rows, width // columns
        axes.append(("S", FRAMES))
    chosen = None
    if layout.frames is not None:
        numbers = layout.chosen_frames()
        place = _axis_to_choose_from(axes, max(numbers) + 1)
        chosen = (place, tuple(numbers))
        if place < 0:
            axes = [("Q", len(numbers))]
        else:
            axes[place] = (axes[place][0], len(numbers))
    sizes_and_roles = _roles(axes, layout)
    return Arrangement(
        frames_last=frames_last,
        tiles=(rows, columns),
        chosen=chosen,
        sizes=tuple(size for _, size in sizes_and_roles),
        roles=tuple(role for role, _ in sizes_and_roles),
        size=(height, width),
    )


def _axis_to_choose_from(axes: list[tuple[str, int]], least: int) -> int:
    """Index of the axis that `frames` counts along; -1 for all images in file order."""
    for letter in MULTIPLE:
        for place, (name, size) in enumerate(axes):
            if name == letter and size >= least:
                return place
    total = math.prod(size for _, size in axes)
    if total < least:
        raise InputError(f"frames: image {least} was requested, but there are {total}")
    return -1


def _roles(axes: list[tuple[str, int]], layout: FrameLayout) -> list[tuple[str, int]]:
    """The role and size of each axis after splitting; sizes multiply to those of the file."""
    _refuse_named_patterns(axes)
    pair = _frame_pair(axes)
    named = pair is not None and {axes[place][0] for place in pair} == {"A", "P"}
    place = None if named else _frame_axis(axes)
    if place is not None:
        letter, size = axes[place]
        middle = split_axis(layout.order, size, PATTERN, REST.get(letter, "time"))
        return [*_others(axes[:place]), *middle, *_others(axes[place + 1 :])]
    if pair is not None:
        roles = _others(axes)
        for axis, word in zip(pair, _words_of_pair(axes, pair, layout.order), strict=True):
            roles[axis] = (word, 3)
        return roles
    total = math.prod(size for _, size in axes)
    if total % FRAMES:
        raise NotAStack(_why_not(total, [size for _, size in axes]))
    return split_axis(layout.order, total, PATTERN)


def _words_of_pair(
    axes: list[tuple[str, int]], pair: tuple[int, int], order: str
) -> tuple[str, str]:
    letters = axes[pair[0]][0], axes[pair[1]][0]
    if letters[0] == "P" or letters[1] == "A":
        return "phase", "orientation"
    if letters[0] == "A" or letters[1] == "P":
        return "orientation", "phase"
    roles = [role for role, _ in check_words(order) if role in ("orientation", "phase")]
    return roles[0], roles[1]


def _refuse_named_patterns(axes: list[tuple[str, int]]) -> None:
    """Refuses orientations and phases that the file itself counts, unless they are three."""
    for letter, word in (("P", "phases"), ("A", "orientations")):
        size = dict(axes).get(letter, 1)
        if size not in (1, 3, FRAMES):
            raise NotAStack(f"holds {size} {word}: not supported; {WANTED}")


def _why_not(total: int, sizes: list[int]) -> str:
    """Says why images are no stack, and which other kind of SIM they may be."""
    for frames, kind in OTHER_SIM.items():
        if any(size % frames == 0 for size in (*sizes, total)):
            return f"holds {total} images ({kind}); {WANTED}"
    if total == 1:
        return (
            f"holds a single 2-D image; {WANTED}: give the raw stack, or the mosaic (such as 3x3) "
            "in which the frames of this image lie"
        )
    return (
        f"holds {total} images; {WANTED}: check the file or split it, or choose the frames (such "
        "as 1-9)"
    )


def _others(axes: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(ROLE_OF.get(letter, "time"), size) for letter, size in axes]


def _frame_axis(axes: list[tuple[str, int]]) -> int | None:
    for letters, fits in ((EXACT, lambda n: n == FRAMES), (MULTIPLE, lambda n: n % FRAMES == 0)):
        for letter in letters:
            for place, (name, size) in enumerate(axes):
                if name == letter and fits(size):
                    return place
    return None


def _frame_pair(axes: list[tuple[str, int]]) -> tuple[int, int] | None:
    """Two axes of three, orientations and phases; rather any others than colours or positions."""
    liking = {"A": -3, "P": -3, "Q": -1, "C": 1, "R": 3}
    threes = [place for place, (_, size) in enumerate(axes) if size == 3]
    pairs = list(combinations(threes, 2))
    return min(
        pairs, key=lambda pair: sum(liking.get(axes[axis][0], 0) for axis in pair), default=None
    )
