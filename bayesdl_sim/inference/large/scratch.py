"""Predictions of a large field, kept on the disk until its maps are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.utils.pieces.spans import Square, spans_of

__all__ = ["BAND", "Scratch"]

BAND = 512  # rows of the doubled grid that are finished and written together


class Scratch:
    """Images (H, W) of float32 in one file, read and written in parts; removed by `remove`.

    Args:
        path: file to make; an existing one is replaced.
        names: names of the images.
        size: height and width.
    """

    def __init__(self, path: Path, names: Sequence[str], size: tuple[int, int]) -> None:
        self.path, self.names, self.size = path, list(names), size
        with open(path, "wb") as file:
            file.truncate(len(self.names) * self._bytes)

    @property
    def _bytes(self) -> int:
        return 4 * self.size[0] * self.size[1]

    def _rows(self, name: str, rows: slice, mode: str) -> np.memmap:
        """A map of no more of the file than some rows."""
        width = self.size[1]
        offset = self.names.index(name) * self._bytes + 4 * rows.start * width
        return np.memmap(self.path, np.float32, mode, offset, (rows.stop - rows.start, width))

    def write(self, name: str, square: Square, image: NDArray) -> None:
        """Puts a part of an image in its place."""
        rows, columns = square
        self._rows(name, rows, "r+")[:, columns] = image

    def read(self, name: str, square: Square) -> NDArray[np.float32]:
        """A part of an image."""
        rows, columns = square
        return np.array(self._rows(name, rows, "r")[:, columns])

    def bands(self) -> Iterator[Square]:
        """Whole rows, some at a time, from the first to the last."""
        for span in spans_of(self.size[0], BAND, 0, BAND):
            yield span.write, slice(0, self.size[1])

    def remove(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)
