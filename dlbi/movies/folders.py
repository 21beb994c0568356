"""Files of a movie: frames in a folder, odd files, missing numbers, and parts side by side."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from natsort import natsorted

from bayesdl_sim.utils.errors import InputError

__all__ = ["continuation_note", "movie_files"]

NUMBER = re.compile(r"\d+(?:\.\d+)?")  # 0.5 s is one number
MOST_ODD = 0.1  # share of the files; more are no leftovers, but a second movie
REGULAR = 0.9  # share of the steps between numbers that are one and the same where they count
MOST_MISSING = 0.5  # of the numbers; where more are missing, they do not count frames
MOST_NAMED = 4  # files or runs of numbers in a message
# What cameras and programs add to the name of a file that a movie continues in: Andor and Fiji,
# Hamamatsu, Micro-Manager, Nikon.
CONTINUED = r"(?:_X|_|-|@|-file|_part)0*[12]"
ADVICE = "put the frames of each movie, or colour, into a folder of their own"


def movie_files(folder: Path, images: Mapping[Path, int]) -> tuple[list[Path], list[str]]:
    """The files of the movie in natural order of their names: 2.tif before 10.tif.

    The first part of a movie has no number: movie.tif before movie-1.tif.

    Single frames have names that differ in their numbers alone. A few files of one image with
    other names, such as an average beside the frames, are left out and named. Files of several
    frames may have any names.

    Args:
        images: number of images of each file of the folder.

    Returns:
        The files, and sentences on those that are left out or missing.

    Raises:
        InputError: single frames of several names, or numbers that count two things.
    """
    files = natsorted(images, key=_stem)
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        groups[NUMBER.sub("#", file.stem.lower())].append(file)
    parts = {name for name, own in groups.items() if any(images[file] > 1 for file in own)}
    single = {name: own for name, own in groups.items() if name not in parts}
    if not parts and len(single) < len(files):  # else there are no numbers to go by
        usual = max(single, key=lambda name: len(single[name]))
        kept = single.pop(usual)
    else:
        kept = [file for name in parts for file in groups[name]]
    if not kept:
        return files, []
    odd = [file for file in files if any(file in own for own in single.values())]
    if len(odd) > max(1, MOST_ODD * len(files)):
        raise InputError(
            f"{folder} holds files of several names ({kept[0].name}, {_listed(odd)}), but the "
            f"frames of one movie were expected: {ADVICE}"
        )
    kept = natsorted(kept, key=_stem)
    notes = [f"left out, since the other files have another name: {_listed(odd)}"] if odd else []
    if len({NUMBER.sub("#", file.stem.lower()) for file in kept}) == 1:
        notes += _missing(folder, kept)
    return kept, notes


def continuation_note(path: Path) -> str:
    """A sentence on a file beside a movie that seems to continue it; empty where there is none.

    Cameras begin another file where one has reached 2 or 4 GB. The first ones are the largest.
    """
    pattern = re.compile(re.escape(_stem(path)) + CONTINUED, re.IGNORECASE)
    beside = [
        file
        for file in natsorted(path.parent.iterdir(), key=_stem)
        if file.suffix.lower() == path.suffix.lower()
        and pattern.fullmatch(_stem(file))
        and file.is_file()
        and file.stat().st_size <= path.stat().st_size
    ]
    if not beside:
        return ""
    return (
        f"{beside[0].name} beside it seems to continue this movie, and is not read: {ADVICE}, and "
        "name that folder"
    )


def _stem(file: Path) -> str:
    """The name of a file without its endings, so that movie comes before movie-1."""
    return re.sub(r"(\.ome)?\.tiff?$", "", file.name, flags=re.IGNORECASE)


def _missing(folder: Path, files: list[Path]) -> list[str]:
    """A sentence on the numbers that the names of the files leave out.

    Raises:
        InputError: two numbers in the names count independently.
    """
    columns = list(zip(*(NUMBER.findall(file.stem) for file in files), strict=True))
    counters = [column for column in columns if len(set(column)) > 1]
    unique = [column for column in counters if len(set(column)) == len(files)]
    sizes = [len(set(column)) for column in counters]
    if not unique and len(counters) > 1 and math.prod(sizes) == len(files):
        listed = " x ".join(map(str, sizes))
        raise InputError(
            f"{folder}: the names of its {len(files)} files ({files[0].name}, ...) count "
            f"{listed}, as for several colours, positions or runs: {ADVICE}"
        )
    if len(counters) != 1 or not unique or not all(text.isdecimal() for text in unique[0]):
        return []
    numbers = sorted(map(int, unique[0]))
    steps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    step, often = Counter(steps).most_common(1)[0]
    if often < REGULAR * len(steps) or any(size % step for size in steps):
        return []
    gaps = [
        (before + step, after - step)
        for before, after in zip(numbers, numbers[1:], strict=False)
        if after > before + step
    ]
    count = sum((last - first) // step + 1 for first, last in gaps)
    if not gaps or count > MOST_MISSING * (count + len(files)):
        return []
    named = ", ".join(
        f"{first}" if first == last else f"{first} to {last}" for first, last in gaps[:MOST_NAMED]
    )
    more = " and more" if len(gaps) > MOST_NAMED else ""
    what = "file of this number is" if count == 1 else "files of these numbers are"
    return [f"{what} missing in the folder: {named}{more}; frames beside a gap are no neighbours"]


def _listed(files: list[Path]) -> str:
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return ", ".join(file.name for file in files[:MOST_NAMED]) + more
