"""The pixels of a file: read whole once for all of its stacks, or time point by time point."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bayesdl_sim.data.formats.image_file import Page, Series
from bayesdl_sim.data.layouts import FRAMES, Arrangement
from bayesdl_sim.utils.errors import InputError

__all__ = ["FramesOnDisk", "SharedPixels", "frames_on_disk", "too_large"]


class FramesOnDisk:
    """Counts (T, 9, H, W) with the interface of an array: `shape`, `len`, `[t]`.

    The time point that was read last is kept, no other.

    Args:
        page: number of an image -> its pixels.
        numbers: (T, 9), the frame of each place: its image, times the tiles of an image, plus its
            tile.
        tiles: rows and columns of frames in an image.
        size: height and width of a frame.
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    def __init__(
        self, page: Page, numbers: np.ndarray, tiles: tuple[int, int], size: tuple[int, int]
    ) -> None:
        self.page, self.numbers, self.tiles, self.size = page, numbers, tiles, size
        self._last: tuple[int, np.ndarray] | None = None
        self._decoded: tuple[int, list[np.ndarray]] | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, 9, H, W)."""
        return len(self.numbers), FRAMES, *self.size

    @property
    def nbytes(self) -> int:
        """Size in memory, if all of it were read."""
        return int(np.prod([float(side) for side in self.shape])) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, t: int) -> np.ndarray:
        t = range(len(self))[t]
        if self._last is None or self._last[0] != t:
            self._last = (t, self.stored(t).astype(np.float32))
        return self._last[1]

    def stored(self, t: int) -> np.ndarray:
        """One time point (9, H, W) in the type of the file."""
        return _native(np.stack(list(self._frames(t))))

    def window(self, t: int, rows: slice, columns: slice) -> np.ndarray:
        """A part (9, h, w) of one time point, in the type of the file.

        Of a plain file no more than that is read; images that have to be decoded stay in memory
        until another time point is read.
        """
        known = self._decoded is not None and self._decoded[0] == t
        parts, decoded = [], []
        for frame in self._decoded[1] if known else self._frames(t):
            parts.append(np.array(frame[rows, columns]))
            if not isinstance(frame, np.memmap):
                decoded.append(frame)
        self._decoded = (t, decoded) if decoded else None
        return _native(np.stack(parts))

    def only(self, t: int) -> FramesOnDisk:
        """The series of one time point alone."""
        return FramesOnDisk(self.page, self.numbers[t : t + 1], self.tiles, self.size)

    def _frames(self, t: int) -> Iterator[np.ndarray]:
        """The nine frames (H, W) of a time point, parts of the images that `page` gives."""
        columns = self.tiles[1]
        (height, width), count = self.size, self.tiles[0] * columns
        image, held = -1, np.empty(0)
        for number in self.numbers[t].tolist():
            if number // count != image:
                image = number // count
                held = self.page(image)
            row, column = divmod(number % count, columns)
            place = slice(row * height, (row + 1) * height)
            yield held[place, column * width : (column + 1) * width]

    def in_order(self, order: Sequence[int]) -> FramesOnDisk:
        """The same with the nine frames of every time point in another order."""
        return FramesOnDisk(self.page, self.numbers[:, list(order)], self.tiles, self.size)


def _native(images: np.ndarray) -> np.ndarray:
    """The same in the byte order of this computer."""
    return images.astype(images.dtype.newbyteorder("="), copy=False)


def frames_on_disk(
    series: Series, arrangement: Arrangement, place: tuple[int, int, int]
) -> FramesOnDisk | None:
    """The frames of one stack of a series; None where its file can only be read whole.

    Args:
        place: colour, position and plane, see `Arrangement.cut`.
    """
    if series.pages is None or arrangement.frames_last:
        return None
    # The arrangement is applied to the numbers of the frames in place of their pixels.
    rows, columns = arrangement.tiles
    numbers = np.arange(series.images * rows * columns).reshape(*series.shape[:-2], rows, columns)
    return FramesOnDisk(
        series.pages(),
        replace(arrangement, size=(1, 1)).cut(numbers, *place).reshape(-1, FRAMES),
        arrangement.tiles,
        arrangement.size,
    )


class SharedPixels:
    """The array of a series: read once, and dropped when all stacks of it have been cut out.

    Args:
        series: the series to read.
        path: path of its file, for messages.
    """

    def __init__(self, series: Series, path: Path) -> None:
        self.series, self.path, self.users = series, path, 0
        self._array: np.ndarray | None = None

    def take(self) -> np.ndarray:
        """The whole array, for one of `users` stacks.

        Raises:
            InputError: it does not fit into memory.
        """
        array = self._array
        if array is None:
            _require_memory(self.series, self.path)
            array = self.series.read()
        self.users -= 1
        self._array = array if self.users > 0 else None
        return array


def _require_memory(series: Series, path: Path) -> None:
    """Refuses what cannot fit, before the system ends the program for it."""
    whole = math.inf
    with contextlib.suppress(ValueError, OSError, AttributeError):  # not known on this system
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    pixels = math.prod(map(float, series.shape))
    if pixels * (series.dtype.itemsize + 4) > whole:  # as it is, and as float32
        raise too_large(series, path)


def too_large(series: Series, path: Path) -> InputError:
    """The error of a series that does not fit into memory."""
    return InputError(
        f"{path} does not fit into memory ({series.axes}YX "
        f"{'x'.join(map(str, series.shape))}): give a smaller part of it"
    )
