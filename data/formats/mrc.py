"""Reads MRC and DeltaVision files; permissively, since BioSR leaves half the header empty."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bayesdl_sim.data.formats.content import DELTAVISION, opened_bytes, packed
from bayesdl_sim.data.formats.image_file import (
    Channel,
    ImageFile,
    Page,
    Series,
    plausible_wavelength,
)
from bayesdl_sim.utils.errors import InputError

__all__ = ["open_mrc"]

HEADER_BYTES = 1024
TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}  # the modes of real grey images
COMPLEX_MODES = (3, 4)
PLAUSIBLE_NM = (20.0, 500.0)
# Order of a DeltaVision file's sections, slowest first: its header counts T and W (colours) only.
SEQUENCES = {0: "CTZ", 1: "TZC", 2: "TCZ"}
IMOD_STAMP, IMOD_SIGNED = 1146047817, 1  # IMOD states whether bytes have a sign


@dataclass(frozen=True, kw_only=True)
class _Header:
    """Contents of the first 1024 bytes; `data_at`: the byte at which the pixels begin."""

    order: str
    shape: tuple[int, int, int]
    dtype: np.dtype
    data_at: int
    pixel_size_nm: float | None
    pixel_height_nm: float | None
    deltavision: bool
    times: int
    sequence: str
    wavelengths: tuple[int, ...]


def open_mrc(path: str | Path) -> ImageFile:
    """Contents of a file; a DeltaVision header also states its colours and time points.

    BioSR writes neither the machine stamp nor the `MAP ` mark, and its voxel size is in
    micrometres where the standard requires Angstrom. The voxel size counts if it gives 20 to 500 nm
    read as micrometres, or else as Angstrom.

    Args:
        path: MRC or DeltaVision file of real images (modes 0, 1, 2, 6, 12), gzip or not.

    Raises:
        InputError: missing, truncated, not an MRC file, complex values (an OTF).
    """
    path = Path(path)
    header = _header(path)
    count, *size = header.shape
    sizes = {"C": max(len(header.wavelengths), 1), "T": header.times}
    planes, rest = divmod(count, sizes["C"] * sizes["T"])
    axes, shape = "Q", (count,)
    if header.deltavision and header.sequence and planes and not rest:
        sizes["Z"] = planes
        axes, shape = header.sequence, tuple(sizes[axis] for axis in header.sequence)
    series = Series(
        axes=axes,
        shape=(*shape, *size),
        dtype=header.dtype,
        read=partial(_read, path, header, (*shape, *size)),
        channels=tuple(
            Channel(emission_nm=plausible_wavelength(float(wave))) for wave in header.wavelengths
        ),
        pages=None if packed(path) else partial(_pages, path, header),
    )
    return ImageFile(
        path=path,
        format="DeltaVision" if header.deltavision else "MRC",
        series=(series,),
        named_axes=axes != "Q",
        pixel_size_nm=header.pixel_size_nm,
        pixel_height_nm=header.pixel_height_nm,
    )


def _pages(path: Path, header: _Header) -> Page:
    """A function from the number of an image to its pixels, read as they are needed."""
    size = header.shape[1:]

    def page(number: int) -> np.ndarray:
        offset = header.data_at + number * math.prod(size) * header.dtype.itemsize
        try:
            return np.memmap(path, header.dtype, "r", offset, size)
        except (ValueError, OSError):  # the file became shorter meanwhile
            raise _not_mrc(path) from None

    return page


def _read(path: Path, header: _Header, shape: tuple[int, ...]) -> np.ndarray:
    # The header has been checked against the length of the file, so the pixels are all there.
    with opened_bytes(path) as (file, _):
        file.seek(header.data_at)
        content = file.read(math.prod(header.shape) * header.dtype.itemsize)
    try:
        data = np.frombuffer(content, header.dtype).reshape(shape)
    except ValueError as error:  # the file became shorter meanwhile
        raise _not_mrc(path) from error
    return data.astype(header.dtype.newbyteorder("="))


def _header(path: Path) -> _Header:
    if not path.is_file():
        raise InputError(f"{path} is missing: an MRC file was expected there")
    with opened_bytes(path) as (file, length):
        head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        raise _not_mrc(path)
    order = _byte_order(head)
    width, height, count, mode = struct.unpack_from(f"{order}4i", head)
    (extended,) = struct.unpack_from(f"{order}i", head, 92)
    deltavision = _is_deltavision(head, order)
    if min(width, height, count) < 1 or extended < 0:
        raise _not_mrc(path)
    if mode in COMPLEX_MODES:
        raise InputError(
            f"{path} holds complex values, as an OTF file does, but raw frames of camera counts "
            "were expected: check which file to use"
        )
    if mode not in TYPES:
        raise _not_mrc(path)
    dtype = np.dtype(order + ("u1" if mode == 0 and _unsigned(head, order) else TYPES[mode]))
    expected = HEADER_BYTES + extended + count * height * width * dtype.itemsize
    if length < expected:
        if extended > length:
            raise _not_mrc(path)
        raise InputError(
            f"{path} is truncated: {count} images of {height}x{width} px take {expected} bytes, "
            f"the file has {length}; copy it again from its source"
        )
    times, sequence, waves = 1, "", ()
    if deltavision:
        times, number = struct.unpack_from(f"{order}2h", head, 180)
        (colours,) = struct.unpack_from(f"{order}h", head, 196)
        sequence, times = SEQUENCES.get(number, ""), max(times, 1)
        waves = struct.unpack_from(f"{order}5h", head, 198)[: min(max(colours, 1), 5)]
    return _Header(
        order=order,
        shape=(count, height, width),
        dtype=dtype,
        data_at=HEADER_BYTES + extended,
        pixel_size_nm=_pixel_nm(head, order, 0, deltavision),
        pixel_height_nm=_pixel_nm(head, order, 1, deltavision),
        deltavision=deltavision,
        times=times,
        sequence=sequence,
        wavelengths=waves,
    )


def _byte_order(head: bytes) -> str:
    """Byte order by the machine stamp; without one, the order in which the mode is a mode."""
    stamp = head[212:214]
    if stamp in (b"DD", b"DA"):
        return "<"
    if stamp == b"\x11\x11":
        return ">"
    mode = {order: struct.unpack_from(f"{order}i", head, 12)[0] for order in "<>"}
    known = {*TYPES, *COMPLEX_MODES}
    return ">" if mode["<"] not in known and mode[">"] in known else "<"


def _is_deltavision(head: bytes, order: str) -> bool:
    return struct.unpack_from(f"{order}h", head, 96)[0] == DELTAVISION


def _unsigned(head: bytes, order: str) -> bool:
    """Whether bytes have no sign: in DeltaVision files, and where IMOD states so."""
    stamp, flags = struct.unpack_from(f"{order}2i", head, 152)
    return _is_deltavision(head, order) or (stamp == IMOD_STAMP and not flags & IMOD_SIGNED)


def _pixel_nm(head: bytes, order: str, axis: int, deltavision: bool) -> float | None:
    """Size of a pixel along columns (0) or rows (1)."""
    (intervals,) = struct.unpack_from(f"{order}i", head, 28 + 4 * axis)
    (length,) = struct.unpack_from(f"{order}f", head, 40 + 4 * axis)
    if deltavision:
        intervals = 1  # its header holds the size of a pixel, not that of the field
    if intervals < 1:
        return None
    voxel = length / intervals
    for size in (1000.0 * voxel, voxel / 10.0):  # micrometres (BioSR), Angstrom (the standard)
        if PLAUSIBLE_NM[0] <= size <= PLAUSIBLE_NM[1]:
            return size
    return None


def _not_mrc(path: Path) -> InputError:
    return InputError(
        f"{path} is not an MRC file, or its header is damaged: check its name, or copy it again"
    )
