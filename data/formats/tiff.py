"""Reads TIFF files as microscopes, Fiji and Python write them, or reports what is wrong."""

import contextlib
import io
import math
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile

from bayesdl_sim.data.formats.content import opened_bytes, packed
from bayesdl_sim.data.formats.image_file import ImageFile, Page, Series
from bayesdl_sim.data.formats.tiff_axes import FORMATS, axes_of, leading_axes
from bayesdl_sim.data.formats.tiff_metadata import channels_of, pixel_sizes_nm
from bayesdl_sim.data.formats.tiff_pages import (
    block_offset,
    has_pages,
    images_of,
    opened_pages,
    tiff_faults,
)
from bayesdl_sim.utils.errors import InputError

__all__ = ["iterate_tiff", "open_tiff", "read_image", "read_tiff", "tiff_header"]

MAX_COMPRESSION = 2000  # beyond what deflate can do: the header lies about the size


COLOURS_OF_A_PICTURE = (2, 3, 4)  # samples of a pixel: grey and alpha, RGB, RGBA


def open_tiff(path: str | Path) -> ImageFile:
    """Contents of a file, its axes included; no pixel is decoded.

    Raises:
        InputError: missing, truncated, not a TIFF, RGB.
    """
    path = Path(path)
    with _opened(path) as file:
        channels, packed_whole = channels_of(file), packed(path)
        series = []
        for index, part in enumerate(file.series):
            axes, shape = axes_of(part, file)
            _check_grey(part, axes, shape, path)
            by_page = has_pages(part, file) and not packed_whole
            series.append(
                Series(
                    axes=axes,
                    shape=shape,
                    dtype=part.dtype,
                    read=partial(_read_series, path, index),
                    name=str(part.name or ""),
                    channels=channels[index] if index < len(channels) else (),
                    pages=partial(_pages, path, index) if by_page else None,
                )
            )
        if not series:
            raise ValueError("it holds no image")
        kind = file.series[0].kind
        width, height = pixel_sizes_nm(file)
        return ImageFile(
            path=path,
            format=FORMATS.get(kind, "TIFF"),
            series=tuple(series),
            named_axes=kind in FORMATS,
            pixel_size_nm=width,
            pixel_height_nm=height,
        )


def _check_grey(
    part: tifffile.TiffPageSeries, axes: str, shape: tuple[int, ...], path: str | Path
) -> None:
    if 0 in shape:
        raise ValueError("it holds no image")
    if "S" in axes and shape[axes.index("S")] in COLOURS_OF_A_PICTURE:
        raise _coloured(path)
    if part.dtype is None or part.dtype.kind not in "uif":
        raise _no_counts(part, path)


def _pages(path: Path, index: int) -> Page:
    with _opened(path) as file:
        _check_complete(file, [file.series[index]], path)
    return opened_pages(path, index)


def _read_series(path: Path, index: int) -> np.ndarray:
    with _opened(path) as file:
        part = file.series[index]
        _check_complete(file, [part], path)
        image = images_of(part, file)
        rows, columns = part.axes.rindex("Y"), part.axes.rindex("X")
        return image.transpose(*leading_axes(part.axes), rows, columns)


def read_tiff(path: str | Path) -> tuple[np.ndarray, float | None]:
    """Reads all images of a file.

    Args:
        path: plain, ImageJ or OME TIFF of grey images. Hyperstack axes (T, Z, C in any order)
            are flattened in file order.

    Returns:
        Images (n, H, W) in the file's own type, and the pixel size in nm, None where the file
        does not state one or states one outside 5 to 1000 nm (1000 nm itself is a placeholder).

    Raises:
        InputError: missing, truncated, not a TIFF, RGB, images of several sizes.
    """
    with _opened(path) as file:
        series = _grey_series(file, path)
        _check_complete(file, series, path)
        images = [images_of(part, file).reshape(-1, *part.shape[-2:]) for part in series]
        return (images[0] if len(images) == 1 else np.concatenate(images)), pixel_sizes_nm(file)[0]


def read_image(path: str | Path) -> np.ndarray:
    """Reads a file that holds a single image, (H, W); else as `read_tiff`."""
    images, _ = read_tiff(path)
    if len(images) != 1:
        raise InputError(f"{path} holds {len(images)} images, but a single one was expected")
    return images[0]


def iterate_tiff(path: str | Path, chunk: int = 50) -> Iterator[np.ndarray]:
    """Reads the images of a file piece by piece, so that a long movie never lies in memory.

    Yields:
        Images (n, H, W) of at most `chunk`, in the file's own type; errors as `read_tiff`.
    """
    with _opened(path) as file:
        series = _grey_series(file, path)
        _check_complete(file, series, path)
        for part in series:
            count = math.prod(part.shape[:-2])
            if len(part.pages) != count or block_offset(part, file) is not None:
                images = _mapped(part, file, path)
                for start in range(0, count, chunk):
                    yield np.array(images[start : start + chunk])
                continue
            for start in range(0, count, chunk):
                pages = part.pages[start : start + chunk]
                size = part.shape[-2:]  # a page of another size is damaged
                yield np.stack([np.asarray(page.asarray()).reshape(size) for page in pages])


def tiff_header(path: str | Path) -> tuple[tuple[int, int, int], np.dtype]:
    """Shape (n, H, W) and type of a file's images from its header; nothing is decoded."""
    with _opened(path) as file:
        series = _grey_series(file, path)
        count = sum(math.prod(part.shape[:-2]) for part in series)
        return (count, *series[0].shape[-2:]), series[0].dtype


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[tifffile.TiffFile]:
    """An open file; whatever goes wrong inside becomes an `InputError` of one line."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is missing: a TIFF file was expected there")
    with tiff_faults(path), opened_bytes(path) as (content, size):
        _check_chain(path, content, size)
        content.seek(0)
        # By its path where it is a file: an OME-TIFF may continue in its neighbours.
        source = content if isinstance(content, io.BytesIO) else path
        with tifffile.TiffFile(source) as file:
            yield file


def _check_chain(path: Path, file: BinaryIO, size: int) -> None:
    """Walks the chain of image headers to its end: tifffile would quietly stop at a cut."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(order + "H", head[2:4])[0] if order and len(head) >= 8 else 0
    if version not in (42, 43):
        raise InputError(f"{path} is not a TIFF file: check its name and how it was saved")
    big = version == 43
    count_form, offset_form, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    (offset,) = struct.unpack_from(order + offset_form, head, 8 if big else 4)
    offsets = set()
    while offset:
        if offset in offsets or offset >= size:
            raise ValueError(f"an image header at byte {offset} of {size}")
        offsets.add(offset)
        file.seek(offset)
        (entries,) = struct.unpack(order + count_form, file.read(struct.calcsize("=" + count_form)))
        file.seek(entries * entry, 1)
        (offset,) = struct.unpack(
            order + offset_form, file.read(struct.calcsize("=" + offset_form))
        )


def _grey_series(file: tifffile.TiffFile, path: str | Path) -> list[tifffile.TiffPageSeries]:
    series = list(file.series)
    if not series or any(len(part.shape) < 2 or 0 in part.shape for part in series):
        raise ValueError("it holds no image")
    for part in series:
        if "S" in part.axes or part.keyframe.samplesperpixel > 1:
            raise _coloured(path)
        if part.dtype is None or part.dtype.kind not in "uif":
            raise _no_counts(part, path)
    sizes = {part.shape[-2:] for part in series}
    if len(sizes) > 1:
        listed = ", ".join(f"{height}x{width}" for height, width in sorted(sizes))
        raise InputError(
            f"{path} holds images of several sizes ({listed}): all frames of a stack have the "
            "same; split the file"
        )
    return series


def _mapped(part: tifffile.TiffPageSeries, file: tifffile.TiffFile, path: str | Path) -> np.ndarray:
    """Images (n, H, W) of a series, as a map of the file where they lie in it as one block."""
    shape = (math.prod(part.shape[:-2]), *part.shape[-2:])
    offset = block_offset(part, file)
    if offset is None:
        return images_of(part, file).reshape(shape)
    return np.memmap(path, part.dtype.newbyteorder(file.byteorder), "r", offset, shape)


def _check_complete(
    file: tifffile.TiffFile, series: list[tifffile.TiffPageSeries], path: str | Path
) -> None:
    """Refuses pixel data that ends beyond its file: tifffile would fill in zeros."""
    size = file.filehandle.size
    available = size
    declared = 0
    for part in series:
        declared += part.nbytes
        if part.dataoffset is not None:
            available = part.keyframe.parent.filehandle.size
            ends = [(part.dataoffset + part.nbytes, available)]
        else:
            pages = [page for page in part.pages if page is not None]
            if len(pages) < len(part.pages):
                raise ValueError("an image of the stack is not in the file")
            ends = [
                (start + length, page.parent.filehandle.size)
                for page in pages
                for start, length in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
            available = sum(
                {id(page.parent): page.parent.filehandle.size for page in pages}.values()
            )
        if not ends or any(end > there for end, there in ends):
            last = max(ends, default=(0, size))
            raise ValueError(f"pixel data up to byte {last[0]} of {last[1]}")
    if declared > MAX_COMPRESSION * max(size, available):
        raise ValueError(f"{declared} bytes of images declared in a file of {size}")


def _coloured(path: str | Path) -> InputError:
    return InputError(
        f"{path} holds colour (RGB) images, but grey images of camera counts were expected: save "
        "the raw data, not a picture of it"
    )


def _no_counts(part: tifffile.TiffPageSeries, path: str | Path) -> InputError:
    return InputError(
        f"{path} holds values of type {part.dtype}, but camera counts were expected: save it as "
        "uint16 or float32"
    )
