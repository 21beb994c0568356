"""Opens any image file that is read here, by its content; TIFF family, MRC, and vendors' files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bayesdl_sim.data.formats.content import content_of
from bayesdl_sim.data.formats.image_file import ImageFile
from bayesdl_sim.data.formats.mrc import open_mrc
from bayesdl_sim.data.formats.tiff import open_tiff
from bayesdl_sim.data.formats.vendors import open_czi, open_nd2
from bayesdl_sim.utils.errors import InputError

__all__ = ["open_image_file", "read_images"]

OPENERS = {"tiff": open_tiff, "mrc": open_mrc, "czi": open_czi, "nd2": open_nd2}
# A damaged file is opened by its ending.
ENDINGS = {".tif": "tiff", ".tiff": "tiff", ".btf": "tiff", ".lsm": "tiff", ".mrc": "mrc"}


def open_image_file(path: str | Path) -> ImageFile:
    """Contents of a file, by its first bytes; its name does not matter.

    Raises:
        InputError: missing, damaged, a Git LFS pointer, or a format that is not read here.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, but an image file was expected there")
    content = content_of(path)
    if content == "lfs":
        raise InputError(
            f"{path} is a Git LFS pointer, a line of text in place of the image: run `git lfs "
            "pull` in its repository to get the image itself"
        )
    if content not in OPENERS:
        if not content and path.suffix.lower() in ENDINGS:
            content = ENDINGS[path.suffix.lower()]
        else:
            description = content or "no format that is known"
            raise InputError(
                f"{path} is {description}, but TIFF, MRC, DeltaVision, CZI or ND2 was expected: "
                "save the raw stack as TIFF"
            )
    try:
        return OPENERS[content](path)
    except OSError as error:  # a bad disk or a lost right concerns this file, not all of them
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}): copy it again from its source"
        ) from error


def read_images(path: str | Path) -> tuple[np.ndarray, float | None]:
    """All images of a file's largest series in file order, (n, H, W), and the pixel size in nm.

    Series of the same size follow each other; smaller ones are thumbnails.

    Raises:
        InputError: as `open_image_file`; or not enough memory.
    """
    file = open_image_file(path)
    largest = max(series.size[0] * series.size[1] for series in file.series)
    parts = [s for s in file.series if s.size[0] * s.size[1] == largest]
    parts = [s for s in parts if s.size == parts[0].size]
    try:
        images = [part.read().reshape(-1, *part.size) for part in parts]
        return (images[0] if len(images) == 1 else np.concatenate(images)), file.pixel_size_nm
    except MemoryError:
        raise InputError(f"{path} does not fit into memory: give a smaller part of it") from None
