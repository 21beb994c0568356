"""Raw 2D-SIM stacks as users have them: files, time series, folders of frames or of stacks."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from natsort import natsorted

from bayesdl_sim.data.formats.mrc import mrc_shape, read_mrc
from bayesdl_sim.data.formats.tiff import read_tiff, tiff_header
from bayesdl_sim.utils.errors import InputError

__all__ = ["RawStack", "check_counts", "find_stacks", "read_stack"]

FRAMES = 9
MIN_SIZE = 16  # raw pixels
TIFF_ENDINGS = (".tif", ".tiff")
ENDINGS = (*TIFF_ENDINGS, ".mrc")
WANTED = "a 2D-SIM stack needs 9 (3 orientations x 3 phases) or a multiple of 9 for a time series"


class RawStack(NamedTuple):
    """Raw frames as read.

    `raw`: float32 (T, 9, H, W) in counts, orientation-major; T = 1 unless a time series.
    `pixel_size_nm`: None where the file does not say. `name`: for result files.
    """

    raw: np.ndarray
    pixel_size_nm: float | None
    name: str
    source: Path


def read_stack(path: str | Path) -> RawStack:
    """Reads one stack: a TIFF or MRC file of 9 T images, or a folder of nine single images.

    Files of a folder are taken in natural order of their names (2.tif before 10.tif).

    Raises:
        InputError: whatever makes it no 2D-SIM stack of camera counts (see `check_counts`).
    """
    path = Path(path)
    if path.is_dir():
        frames, pixel_size_nm = _read_frames(path)
    else:
        frames, pixel_size_nm = _read_file(path)
        if len(frames) == 1:
            raise InputError(f"{path} holds a single 2-D image; {WANTED}: give the raw stack")
        if len(frames) % FRAMES:
            raise InputError(
                f"{path} holds {len(frames)} images; {WANTED}: check the file or split it"
            )
    check_counts(frames, path)
    height, width = frames.shape[-2:]
    raw = frames.astype(np.float32).reshape(-1, FRAMES, height, width)
    name = path.resolve().name if path.is_dir() else path.stem
    return RawStack(raw, pixel_size_nm, name, path)


def find_stacks(path: str | Path) -> list[Path]:
    """All stacks at `path`, in natural order, each for `read_stack`.

    A file is itself one stack, and so is a folder of single images. In a folder of multi-page
    files each file is a stack, and so is each subfolder of nine frames. In a folder without
    image files each subfolder with images is a stack. A damaged file is listed too, so that
    `read_stack` can say what is wrong with it.

    Raises:
        InputError: nothing there, or no images in the folder.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} is missing: a stack or a folder of stacks was expected there")
    files = _image_files(path)
    inside = _sorted_by_name(item for item in path.iterdir() if item.is_dir())
    if not files:
        stacks = [folder for folder in inside if _image_files(folder)]
        if not stacks:
            raise InputError(
                f"{path} holds no images ({', '.join(ENDINGS)}): give a raw stack, a folder of "
                "nine frames or a folder of stacks"
            )
        return stacks
    counts = [_count(file) for file in files]
    if max(counts) <= 1 and (min(counts) == 1 or len(files) == FRAMES):
        return [path]
    nine_frames = [folder for folder in inside if len(_image_files(folder)) == FRAMES]
    return files + [
        folder for folder in nine_frames if all(_count(file) == 1 for file in _image_files(folder))
    ]


def check_counts(frames: np.ndarray, path: str | Path) -> None:
    """Refuses what cannot be raw camera counts.

    Args:
        frames: (n, H, W), any type.
        path: named in the message.

    Raises:
        InputError: frames under 16 px, NaN or infinite values, negative counts, a constant frame.
    """
    height, width = frames.shape[-2:]
    if min(height, width) < MIN_SIZE:
        raise InputError(
            f"{path} holds frames of {height}x{width} px, but at least {MIN_SIZE}x{MIN_SIZE} px "
            "are needed: check that it is an image stack"
        )
    lowest, highest = frames.min(axis=(-2, -1)), frames.max(axis=(-2, -1))  # NaN stays NaN
    odd = ~(np.isfinite(lowest) & np.isfinite(highest))
    if odd.any():
        raise InputError(
            f"{path} holds NaN or infinite values in image {_first(odd)}: SIM frames are camera "
            "counts; save the raw data again"
        )
    if (lowest < 0).any():
        raise InputError(
            f"{path} holds negative counts (down to {lowest.min():g}, first in image "
            f"{_first(lowest < 0)}): SIM frames are camera counts, 0 or more; do not subtract the "
            "background"
        )
    if (lowest == highest).any():
        frame = _first(lowest == highest)
        raise InputError(
            f"{path} is empty or constant in image {frame} (every pixel is "
            f"{lowest[frame - 1]:g}): check that all nine frames were recorded"
        )


def _first(flags: np.ndarray) -> int:
    return int(np.argmax(flags)) + 1  # people count images from 1


def _read_file(path: Path) -> tuple[np.ndarray, float | None]:
    ending = path.suffix.lower()
    if not path.exists():
        raise InputError(f"{path} is missing: a raw stack was expected there")
    if ending not in ENDINGS:
        raise InputError(f"{path} is none of {', '.join(ENDINGS)}: save the stack as TIFF")
    return read_tiff(path) if ending in TIFF_ENDINGS else read_mrc(path)


def _read_frames(folder: Path) -> tuple[np.ndarray, float | None]:
    files = _image_files(folder)
    if len(files) != FRAMES:
        raise InputError(
            f"{folder} holds {len(files)} image files; {WANTED}: put exactly nine single frames "
            "into the folder, or name one file of nine"
        )
    frames, sizes = zip(*(_read_file(file) for file in files), strict=True)
    for file, frame in zip(files, frames, strict=True):
        if len(frame) != 1:
            raise InputError(
                f"{file} holds {len(frame)} images, but the nine files of a folder are single "
                "frames of one stack: give each multi-page file by itself"
            )
        if frame.shape != frames[0].shape:
            raise InputError(
                f"{file} is {frame.shape[1]}x{frame.shape[2]} px, but {files[0].name} is "
                f"{frames[0].shape[1]}x{frames[0].shape[2]} px: all frames of a stack have one size"
            )
    return np.concatenate(frames), sizes[0]


def _image_files(folder: Path) -> list[Path]:
    return _sorted_by_name(
        item
        for item in folder.iterdir()
        if item.suffix.lower() in ENDINGS and not item.name.startswith(".") and item.is_file()
    )


def _sorted_by_name(paths: Iterable[Path]) -> list[Path]:
    return natsorted(paths, key=lambda path: path.name)


def _count(path: Path) -> int:
    """Number of images of a file, 0 where it cannot be read."""
    try:
        if path.suffix.lower() in TIFF_ENDINGS:
            return tiff_header(path)[0][0]
        return mrc_shape(path)[0]
    except InputError:
        return 0
