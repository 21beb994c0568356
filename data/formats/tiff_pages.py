"""TIFF files page by page: read as the pages are needed, written each in its place.

Of a file that is read, whatever is wrong becomes an error of one line.

A file that is written has its final size and all its headers from the start, so that pages may come
in any order, from several processes, and again after an interruption: the bytes are the same.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import ArrayLike

from bayesdl_sim.data.formats.image_file import Page
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path

__all__ = ["PagedTiff", "block_offset", "has_pages", "images_of", "opened_pages", "tiff_faults"]


@contextlib.contextmanager
def tiff_faults(path: str | Path) -> Iterator[None]:
    """Whatever goes wrong inside while a file is read becomes an `InputError` of one line."""
    log = logging.getLogger("tifffile")  # it would print its own lines before our error
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    except (InputError, PermissionError, MemoryError):
        raise
    except Exception as error:  # a broken file makes tifffile raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        if "imagecodecs" in reason:
            raise InputError(
                f"{path} uses a compression that cannot be read here: save it again in Fiji "
                "without compression, or pip install imagecodecs"
            ) from error
        raise InputError(
            f"{path} cannot be read as TIFF ({reason[:120]}): the file is damaged or truncated; "
            "copy it again from its source"
        ) from error
    finally:
        log.setLevel(level)


def block_offset(part: tifffile.TiffPageSeries, file: tifffile.TiffFile) -> int | None:
    """Where in a file the pixels of a series begin, if they lie there as they are, in one block.

    The series of an OME-TIFF may lie in a neighbour of the file that was opened.
    """
    here = part.keyframe.parent is file and file.filehandle.is_file
    return part.dataoffset if here else None


def images_of(part: tifffile.TiffPageSeries, file: tifffile.TiffFile) -> np.ndarray:
    """All pixels of a series, in its shape."""
    if part.keyframe.parent is not file and len(part.pages) == math.prod(part.shape[:-2]):
        # `part.asarray` would look for one block of them in the file that was opened.
        return np.stack([_pixels(page) for page in part.pages]).reshape(part.shape)
    return np.asarray(part.asarray()).reshape(part.shape)


def _pixels(page: tifffile.TiffPage) -> np.ndarray:
    """The pixels of one image; tifffile keeps the neighbours of an OME-TIFF closed."""
    handle = page.parent.filehandle
    if not handle.closed:
        return np.asarray(page.asarray())
    handle.open()
    with handle:
        return np.asarray(page.asarray())


def has_pages(part: tifffile.TiffPageSeries, file: tifffile.TiffFile) -> bool:
    """Whether the images of a series follow each other as the file names its axes."""
    in_order = block_offset(part, file) is not None or len(part.pages) == math.prod(part.shape[:-2])
    return part.axes.endswith("YX") and in_order


def opened_pages(path: Path, index: int) -> Page:
    """A function from the number of an image of a series to its (H, W) pixels.

    The file stays open as long as the function lives. Pixels that lie in it as they are come as a
    map of the file, of which only what is used is read.

    Args:
        path: path of a file whose series has been checked, see `tiff.open_tiff` and `has_pages`.
        index: index of the series.
    """
    file = tifffile.TiffFile(path)
    part = file.series[index]
    size, offset = part.shape[-2:], block_offset(part, file)
    stored = part.dtype.newbyteorder(file.byteorder)

    def page(number: int) -> np.ndarray:
        if offset is None:
            with tiff_faults(path):
                return _pixels(part.pages[number]).reshape(size)
        start = offset + number * math.prod(size) * stored.itemsize
        try:
            return np.memmap(path, stored, "r", start, size)
        except (ValueError, OSError):
            raise InputError(
                f"{path} became shorter while it was read (image {number + 1} is missing): copy it "
                "again from its source"
            ) from None

    return page


class PagedTiff:
    """An uncompressed TIFF of (pages, H, W), made whole and empty, and filled page by page.

    Args:
        path: made if it is missing; else it must be of the same shape and type.
        shape: shape of all images, rows and columns last.
        dtype: number type of the pixels.
        tags: arguments of `tifffile.imwrite` that make the header.
        existing: it was made before; where it is missing, that is an error.

    Raises:
        InputError: the file is of another shape or type, or missing although it was made before.
    """

    def __init__(
        self,
        path: str | Path,
        shape: tuple[int, ...],
        dtype: Any,
        tags: Mapping[str, Any],
        existing: bool = False,
    ) -> None:
        self.path, self.size = Path(path), shape[-2:]
        if not self.path.exists():
            if existing:
                raise InputError(
                    f"{self.path} is missing, though this run began it: delete its folder and run "
                    "again"
                )
            with atomic_path(self.path) as partial:
                tifffile.imwrite(partial, shape=shape, dtype=dtype, **tags)
        with tifffile.TiffFile(self.path) as file:
            part = file.series[0]
            self.offset = part.dataoffset
            self.stored = np.dtype(dtype).newbyteorder(file.byteorder)
            self.nbytes = math.prod(shape) * self.stored.itemsize
            same = part.dtype == np.dtype(dtype) and _sides(part.shape) == _sides(shape)
            if self.offset is None or not same:
                raise InputError(
                    f"{self.path} is not the file that this run began: delete its folder and run "
                    "again"
                )
        # Not buffered: what `write` has returned from outlives this process.
        self._file = open(self.path, "r+b", buffering=0)  # noqa: SIM115

    def write(self, number: int, image: ArrayLike) -> None:
        """Puts one page in its place."""
        values = np.ascontiguousarray(image, self.stored)
        if values.shape != self.size:
            raise ValueError(f"expected a page {self.size}, found {values.shape}")
        _write_all(self._file, memoryview(values).cast("B"), self.offset + number * values.nbytes)

    def write_rows(self, number: int, first: int, rows: ArrayLike) -> None:
        """Puts some whole rows of a page in their place, from row `first` on."""
        values = np.ascontiguousarray(rows, self.stored)
        if values.shape[1:] != self.size[1:] or first + len(values) > self.size[0]:
            raise ValueError(f"expected rows of a page {self.size}, found {values.shape}")
        start = (number * self.size[0] + first) * self.size[1] * self.stored.itemsize
        _write_all(self._file, memoryview(values).cast("B"), self.offset + start)

    def read(self, number: int) -> np.ndarray:
        """One page, in the type of this computer."""
        count = math.prod(self.size)
        start = self.offset + number * count * self.stored.itemsize
        values = np.fromfile(self.path, self.stored, count, offset=start).reshape(self.size)
        return values.astype(self.stored.newbyteorder("="), copy=False)

    def replace(self, old: bytes, new: bytes) -> None:
        """Replaces a text of the header, wherever it stands before or after the pixels, by one of
        the same length."""
        if len(old) != len(new):
            raise ValueError("a header keeps its length")
        for first, stop in ((0, self.offset), (self.offset + self.nbytes, None)):
            self._file.seek(first)
            text = self._file.read(-1 if stop is None else stop - first)
            place = text.find(old)
            while place >= 0:
                _write_all(self._file, memoryview(new), first + place)
                place = text.find(old, place + len(old))

    def flush(self) -> None:
        """Returns when all pages that were written are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Ends the use of the file."""
        self._file.close()


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without axes of length one, which a file does not keep."""
    return tuple(side for side in shape if side > 1)


def _write_all(file: FileIO, content: memoryview, start: int) -> None:
    file.seek(start)
    while content:
        content = content[file.write(content) :]
