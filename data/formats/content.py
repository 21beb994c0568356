"""Format of a file by its first bytes, not by its name, and its bytes without compression."""

from __future__ import annotations

import contextlib
import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bayesdl_sim.utils.errors import InputError

__all__ = ["content_of", "image_files", "is_image_file", "opened_bytes", "packed"]

HEAD_BYTES = 1024
GZIP = b"\x1f\x8b"
MOST_COMPRESSED = 2**34  # bytes after decompression; more is no raw SIM stack
# Files with these endings are meant as images: they are listed even if damaged, and then named.
ENDINGS = (".tif", ".tiff", ".btf", ".lsm", ".mrc", ".dv", ".czi", ".nd2", ".tif.gz", ".mrc.gz")
BEGINNINGS = {
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"ZISRAWFILE": "czi",
    b"\xda\xce\xbe\x0a": "nd2",
    b"\0\0\0\x0cjP  ": "nd2",
    b"version https://git-lfs": "lfs",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"\x89HDF": "an HDF5 file",
    b"\xd0\xcf\x11\xe0": "an Olympus OIB or another OLE file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF document",
}
LIF = b"p\0\0\0"  # also the width of an MRC file of 112 columns
READ_HERE = ("tiff", "mrc", "czi", "nd2")
MRC_MODES = (0, 1, 2, 3, 4, 6, 12)
DELTAVISION = -16224  # the mark of its header


def content_of(path: str | Path) -> str:
    """The format of a file: `tiff`, `mrc`, `czi`, `nd2`, `lfs`, another one's name, or "".

    The text is empty for an unknown format. A gzip file counts as what it holds.

    Raises:
        InputError: missing, or no right to read it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is missing: an image file was expected there")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head[:2] == GZIP:
        with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as file:
            head = file.read(HEAD_BYTES)
    for beginning, content in BEGINNINGS.items():
        if head.startswith(beginning):
            return content
    if _is_mrc(head):
        return "mrc"
    return "a Leica LIF file" if head.startswith(LIF) else ""


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder, unsorted: by content, or by the ending of an image."""
    return [
        item
        for item in folder.iterdir()
        if not item.name.startswith(".") and item.is_file() and is_image_file(item)
    ]


def is_image_file(path: Path) -> bool:
    """Whether a file is an image by its content, or is meant as one by its ending."""
    return path.name.lower().endswith(ENDINGS) or content_of(path) in READ_HERE


def packed(path: str | Path) -> bool:
    """Whether a file is compressed as a whole, by gzip."""
    with Path(path).open("rb") as file:
        return file.read(2) == GZIP


@contextlib.contextmanager
def opened_bytes(path: str | Path) -> Iterator[tuple[BinaryIO, int]]:
    """The open file and its length; of a gzip file what it holds.

    Raises:
        InputError: a damaged gzip file, or one that holds more than any stack.
    """
    path = Path(path)
    with path.open("rb") as file:
        if file.read(2) != GZIP:
            file.seek(0)
            yield file, path.stat().st_size
            return
    try:
        with gzip.open(path) as unpacked:
            content = unpacked.read(MOST_COMPRESSED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be unpacked ({error}): the file is damaged or truncated; copy it again "
            "from its source"
        ) from error
    if len(content) > MOST_COMPRESSED:
        raise InputError(f"{path} unpacks to over {MOST_COMPRESSED} bytes: give the plain file")
    yield io.BytesIO(content), len(content)


def _is_mrc(head: bytes) -> bool:
    """A header with the mark of MRC or DeltaVision, or one that could be; BioSR writes no mark."""
    if len(head) < HEAD_BYTES:
        return False
    if head[208:212] == b"MAP " or any(
        struct.unpack_from(f"{order}h", head, 96)[0] == DELTAVISION for order in "<>"
    ):
        return True
    for order in "<>":
        *sizes, mode = struct.unpack_from(f"{order}4i", head)
        if mode in MRC_MODES and all(0 < size < 2**20 for size in sizes):
            return True
    return False
