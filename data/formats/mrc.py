"""Reads MRC files, the format of BioSR; permissively, for BioSR leaves half the header empty."""

import math
import warnings
from pathlib import Path

import numpy as np
from mrcfile.mrcfile import MrcFile
from mrcfile.utils import data_dtype_from_header

from bayesdl_sim.utils.errors import InputError

__all__ = ["mrc_shape", "read_mrc"]

HEADER_BYTES = 1024
ITEM_BYTES = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}  # the modes of real grey images
PLAUSIBLE_NM = (20.0, 500.0)


def read_mrc(path: str | Path) -> tuple[np.ndarray, float | None]:
    """Reads all images of a file in file order.

    BioSR writes neither the machine stamp nor the `MAP ` mark, and its voxel size is in
    micrometres where the standard says Angstrom.

    Args:
        path: MRC file of real images (modes 0, 1, 2, 6, 12).

    Returns:
        Images (n, H, W) in the file's own type, and the pixel size in nm. The voxel size counts
        if it gives 20 to 500 nm read as micrometres, or else as Angstrom; None otherwise.

    Raises:
        InputError: missing, truncated, not an MRC file, complex values (an OTF).
    """
    path = Path(path)
    header, shape, offset = _header(path)
    try:
        dtype = data_dtype_from_header(header)
    except ValueError as error:
        raise _not_mrc(path) from error
    # The header has been checked against the length of the file, so the pixels are all there.
    data = np.fromfile(path, dtype, math.prod(shape), offset=offset).reshape(shape)
    return data.astype(dtype.newbyteorder("="), copy=False), _pixel_size_nm(header)


def mrc_shape(path: str | Path) -> tuple[int, int, int]:
    """Shape (n, H, W) of a file's images from its header; no pixel is read."""
    return _header(Path(path))[1]


def _header(path: Path) -> tuple[np.recarray, tuple[int, int, int], int]:
    """The header, the shape (n, H, W) and the byte at which the pixels begin."""
    if not path.is_file():
        raise InputError(f"{path} is missing: an MRC file was expected there")
    _check_extended_header(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # permissive mode warns of every quirk of BioSR
        try:
            # Not mrcfile.open, which would take the word of a gzip or bzip2 mark for it.
            with MrcFile(path, permissive=True, header_only=True) as file:
                header = file.header
        except (ValueError, EOFError) as error:
            raise _not_mrc(path) from error
    shape = (int(header.nz), int(header.ny), int(header.nx))
    offset = HEADER_BYTES + int(header.nsymbt)
    _check_header(path, int(header.mode), shape, offset)
    return header, shape, offset


def _check_extended_header(path: Path) -> None:
    """The size of the second header is damaged most visibly, and mrcfile would allocate it."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    sizes = [int.from_bytes(head[92:96], order, signed=True) for order in ("little", "big")]
    room = path.stat().st_size - HEADER_BYTES
    if len(head) < HEADER_BYTES or not any(0 <= size <= room for size in sizes):
        raise _not_mrc(path)


def _check_header(path: Path, mode: int, shape: tuple[int, ...], offset: int) -> None:
    if min(shape) < 1 or offset < HEADER_BYTES:
        raise _not_mrc(path)
    if mode in (3, 4):
        raise InputError(
            f"{path} holds complex values, as an OTF file does, but raw frames of camera counts "
            "were expected: check which file to use"
        )
    if mode not in ITEM_BYTES:
        raise _not_mrc(path)
    expected = offset + math.prod(shape) * ITEM_BYTES[mode]
    found = path.stat().st_size
    if found < expected:
        raise InputError(
            f"{path} is truncated: {shape[0]} images of {shape[1]}x{shape[2]} px take {expected} "
            f"bytes, the file has {found}; copy it again from its source"
        )


def _pixel_size_nm(header) -> float | None:
    if int(header.mx) < 1:
        return None
    voxel = float(header.cella.x) / int(header.mx)
    for size in (1000.0 * voxel, voxel / 10.0):  # micrometres (BioSR), Angstrom (the standard)
        if PLAUSIBLE_NM[0] <= size <= PLAUSIBLE_NM[1]:
            return size
    return None


def _not_mrc(path: Path) -> InputError:
    return InputError(
        f"{path} is not an MRC file, or its header is damaged: check its name, or copy it again"
    )
