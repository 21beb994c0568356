"""Folders of stacks, and folders whose files are the single frames of a stack."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bayesdl_sim.data.formats.content import image_files
from bayesdl_sim.data.formats.image_file import ImageFile
from bayesdl_sim.data.formats.opening import open_image_file
from bayesdl_sim.data.layouts import FRAMES, WANTED, FrameLayout
from bayesdl_sim.data.selection import distinct, merged
from bayesdl_sim.utils.errors import InputError

__all__ = ["file_of_frames", "find_stacks", "frame_files", "other_folders"]

NUMBER = re.compile(r"\d+")
TIME = re.compile(r"(?<![a-z])t(ime|imepoint|p)?[ _.=-]*$", re.IGNORECASE)  # before a number


def find_stacks(path: str | Path, layout: FrameLayout | None = None) -> list[Path]:
    """All stacks at `path`, in natural order, each for `read_stacks`.

    A file is itself one stack, and so is a folder of single images. In a folder of multi-page
    files each file is a stack, and so is each subfolder of nine frames. In a folder without
    image files each subfolder with images is a stack. A damaged file is listed too, so that
    `read_stacks` can report what is wrong with it.

    Args:
        layout: how the images lie in their files; with a mosaic each single image is a stack.

    Raises:
        InputError: nothing there, or no images in the folder.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} is missing: a stack or a folder of stacks was expected there")
    files = sorted_by_name(image_files(path))
    inside = sorted_by_name(item for item in path.iterdir() if item.is_dir())
    if not files:
        stacks = [folder for folder in inside if image_files(folder)]
        if not stacks:
            raise InputError(
                f"{path} holds no images (TIFF, MRC, DeltaVision, CZI, ND2): give a raw stack, a "
                "folder of nine frames or a folder of stacks"
            )
        return stacks
    if layout is not None and layout.mosaic is not None:
        return files
    counts = [_images_in(file) for file in files]
    if max(counts) <= 1 and (min(counts) == 1 or len(files) % FRAMES == 0):
        return [path]
    frames = {folder: image_files(folder) for folder in inside}
    return files + [
        folder
        for folder, single in frames.items()
        if single and len(single) % FRAMES == 0 and all(_images_in(file) == 1 for file in single)
    ]


def other_folders(path: str | Path, stacks: Iterable[Path]) -> list[Path]:
    """The subfolders of a folder that hold images, but are no stacks of it, see `find_stacks`."""
    path, known = Path(path), set(stacks)
    if not path.is_dir() or path in known:
        return []
    inside = (item for item in path.iterdir() if item.is_dir() and item not in known)
    return sorted_by_name(folder for folder in inside if image_files(folder))


def frame_files(folder: Path, layout: FrameLayout) -> dict[str, list[Path]]:
    """The files of a folder of single frames, in natural order of their names: 2.tif before 10.tif.

    Names that differ in more than their numbers are stacks of their own.

    Returns:
        Suffix that distinguishes a stack, empty if it is the only one -> its 9 T files, time
        slowest.

    Raises:
        InputError: no nine frames, or a file that is none of them; it is named.
    """
    files = sorted_by_name(image_files(folder))
    if layout.frames is not None:
        numbers = layout.chosen_frames()
        if max(numbers) >= len(files):
            raise InputError(
                f"frames: image {max(numbers) + 1} was requested, but {folder} holds {len(files)}"
            )
        return {"": [files[number] for number in numbers]}
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        groups[NUMBER.sub("#", file.name)].append(file)
    whole = {name: own for name, own in groups.items() if len(own) % FRAMES == 0}
    if whole and len(whole) < len(groups):
        others = [file.name for file in files if NUMBER.sub("#", file.name) not in whole]
        named = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        verb = "is not one" if len(others) == 1 else "are not"
        raise InputError(
            f"{folder}: {named} {verb} of nine frames with a common name: leave "
            f"{'it' if len(others) == 1 else 'them'} out"
        )
    if len(whole) > 1:
        labels = distinct([_label(name) for name in whole])
        return {
            label: _time_slowest(own) for label, own in zip(labels, whole.values(), strict=True)
        }
    if not files or len(files) % FRAMES:
        raise InputError(
            f"{folder} holds {len(files)} image files; {WANTED}: put exactly nine single frames "
            "into the folder, or name one file of nine"
        )
    return {"": _time_slowest(files)}


def file_of_frames(folder: Path, files: list[Path]) -> ImageFile:
    """Files of a single image each, as one file of that many images.

    Raises:
        InputError: a file of several images or of another size.
    """
    opened = []
    for path in files:
        file = open_image_file(path)
        largest = max(file.series, key=lambda part: part.size[0] * part.size[1])
        if largest.images != 1:
            raise InputError(
                f"{path} holds {largest.images} images, but the files of a folder are single "
                "frames of one stack: give each multi-page file by itself"
            )
        opened.append((file, largest))
    first = opened[0][1]
    for path, (_, part) in zip(files, opened, strict=True):
        if part.size != first.size:
            raise InputError(
                f"{path} is {part.size[0]}x{part.size[1]} px, but {files[0].name} is "
                f"{first.size[0]}x{first.size[1]} px: all frames of a stack have the same size"
            )
    return replace(
        opened[0][0],
        path=folder,
        format="folder of frames",
        series=(merged([part for _, part in opened]),),
        named_axes=False,
    )


def sorted_by_name(paths: Iterable[Path]) -> list[Path]:
    """Paths in natural order of their names."""
    from natsort import natsorted  # slow to load

    return natsorted(paths, key=lambda path: path.name)


def _label(pattern: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", pattern.split(".")[0].replace("#", "")).strip("_") or "C"


def _time_slowest(files: list[Path]) -> list[Path]:
    """The same files, if their names do not count nine frames before the time points.

    `p0_t0, p0_t1, ... p8_t1` count nine first and time last, so that natural order would put the
    time points of each frame together. Of nine time points, the name has to say which is the time.
    """
    numbers = [NUMBER.findall(file.name) for file in files]
    times = len(files) // FRAMES
    if times < 2 or len({len(row) for row in numbers}) > 1:
        return files
    counts = [len(set(column)) for column in zip(*numbers, strict=True)]
    varying = [place for place, count in enumerate(counts) if count > 1]
    if [counts[place] for place in varying] != [FRAMES, times]:
        return files
    if times == FRAMES and not _counts_time(files[0].name, varying[1]):
        return files
    return [files[frame * times + time] for time in range(times) for frame in range(FRAMES)]


def _counts_time(name: str, place: int) -> bool:
    """Whether the number at that place of a name counts time points, such as `_t0` or `time-0`."""
    start = list(NUMBER.finditer(name))[place].start()
    return TIME.search(name[:start]) is not None


def _images_in(path: Path) -> int:
    """Number of images of a file, 0 where it cannot be read."""
    try:
        return max(series.images for series in open_image_file(path).series)
    except (InputError, MemoryError):
        return 0
