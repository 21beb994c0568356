"""Reads blinking movies piece by piece, and refuses unsuitable ones with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.data.formats.tiff import iterate_tiff, open_tiff, tiff_header
from bayesdl_sim.dlbi.movies.axes import Choice, images_of_movie
from bayesdl_sim.dlbi.movies.folders import continuation_note, movie_files
from bayesdl_sim.utils.errors import InputError

__all__ = ["FEWEST", "PIECE", "SMALLEST", "Movie", "open_movie"]

PIECE = 50  # frames in memory at a time
FEWEST = 4
SMALLEST = 16  # camera pixels
TIFF_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, kw_only=True)
class Movie:
    """A movie on disk, or in memory where there is no path.

    Args:
        name: name in messages.
        frames: number of frames.
        shape: (H, W).
        pixel_size_nm: pixel size of the camera; None where the file does not state it.
        files: TIFF files in the order of the frames.
        chosen: for each file the numbers of its images that are frames, from 0; None: all.
        counts: (T, H, W) instead of files.
        left_out: numbers of the frames, from 0, that are not used and not counted.
        notes: sentences on what was left out when the movie was opened.
    """

    name: str
    frames: int
    shape: tuple[int, int]
    pixel_size_nm: float | None = None
    files: tuple[Path, ...] = ()
    chosen: tuple[NDArray[np.int64] | None, ...] = ()
    counts: Tensor | None = None
    left_out: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def pieces(self) -> Iterator[Tensor]:
        """The frames, (n, H, W) float32, `PIECE` of them at a time, the last time what is left.

        Raises:
            InputError: a truncated file, or values that are not finite.
        """
        for frames in self._stored():
            if not bool(frames.isfinite().all()):
                raise InputError(f"{self.name} holds values that are not finite (NaN or infinity)")
            yield frames

    def without(self, frames: Sequence[int]) -> Movie:
        """The movie without some of its frames, numbered from 0."""
        left_out = sorted({*self.left_out, *frames})
        count = self.frames + len(self.left_out) - len(left_out)
        return replace(self, frames=count, left_out=tuple(left_out))

    def _stored(self) -> Iterator[Tensor]:
        """The same without any check."""
        if self.counts is not None:
            counts = self.counts
            if self.left_out:
                kept = torch.ones(len(counts), dtype=torch.bool)
                kept[list(self.left_out)] = False
                counts = counts[kept]
            yield from (frames.float() for frames in counts.split(PIECE))
            return
        waiting: list[np.ndarray] = []
        for piece in self._kept():
            waiting.append(piece)
            if sum(map(len, waiting)) >= PIECE:
                frames = np.concatenate(waiting)
                yield torch.from_numpy(frames[:PIECE].astype(np.float32))
                waiting = [frames[PIECE:]] if len(frames) > PIECE else []
        if waiting:
            yield torch.from_numpy(np.concatenate(waiting).astype(np.float32))

    def _kept(self) -> Iterator[np.ndarray]:
        """Images of the files that are frames of the movie, and not left out."""
        frame = 0
        for number, file in enumerate(self.files):
            chosen = self.chosen[number] if self.chosen else None
            image = 0
            for piece in iterate_tiff(file, PIECE):
                images = np.arange(image, image + len(piece))
                image += len(piece)
                if chosen is not None:
                    piece = piece[np.isin(images, chosen)]
                frames = np.arange(frame, frame + len(piece))
                frame += len(piece)
                if self.left_out:
                    piece = piece[~np.isin(frames, self.left_out)]
                if len(piece) > 0:
                    yield piece

    @staticmethod
    def of(counts: Tensor, name: str = "movie") -> Movie:
        """A movie (T, H, W) in memory.

        Raises:
            InputError: another number of dimensions, too few frames, a field that is too small.
        """
        if counts.ndim != 3:
            raise InputError(
                f"{name}: expected (frames, height, width), found the shape {tuple(counts.shape)}"
            )
        frames, *shape = counts.shape
        _require_usable(name, frames, tuple(shape))
        return Movie(name=name, frames=frames, shape=tuple(shape), counts=counts)


def open_movie(path: str | Path, choice: Choice | None = None) -> Movie:
    """Opens a TIFF movie, or a folder of single frames, without reading the frames.

    Args:
        choice: colour, position and plane, where there are several.

    Raises:
        InputError: no such file, colour, frames of several sizes, a single frame, a field that is
            too small; several colours, positions or planes without a choice.
    """
    path, choice = Path(path), choice or Choice()
    headers = {file: tiff_header(file)[0] for file in _files(path)}
    files, notes = list(headers), []
    if path.is_dir():
        files, notes = movie_files(path, {file: count for file, (count, *_) in headers.items()})
    shapes = {headers[file][1:] for file in files}
    if len(shapes) > 1:
        listed = ", ".join(f"{height}x{width}" for height, width in sorted(shapes))
        raise InputError(f"{path}: expected frames of one size, found {listed}")
    (shape,) = shapes
    # A folder of single frames has no axes, and opening each of them again would take long.
    several = choice != Choice() or not path.is_dir()
    chosen = [
        images_of_movie(file, choice) if several or headers[file][0] > 1 else None for file in files
    ]
    frames = sum(
        headers[file][0] if images is None else len(images)
        for file, images in zip(files, chosen, strict=True)
    )
    _require_usable(str(path), frames, shape)
    first = open_tiff(files[0])
    if first.series[0].size != shape:
        raise InputError(
            f"{files[0]}: rows and columns were expected to be the last axes, found "
            f"{first.series[0]}: save the movie from Fiji as a TIFF stack"
        )
    if not path.is_dir() and first.format != "OME-TIFF":  # which names its other files itself
        notes += [text for text in (continuation_note(path),) if text]
    return Movie(
        name=str(path),
        frames=frames,
        shape=shape,
        pixel_size_nm=first.pixel_size_nm,
        files=tuple(files),
        chosen=tuple(chosen),
        notes=tuple(notes),
    )


def _require_usable(name: str, frames: int, shape: tuple[int, int]) -> None:
    """Refuses a single frame, and a field that is too small."""
    if frames < FEWEST:
        raise InputError(
            f"{name} holds {frames} frame{'s' * (frames != 1)}, but a movie of a blinking sample "
            f"(at least {FEWEST} frames, better 100 or more) was expected: name the whole movie"
        )
    if min(shape) < SMALLEST:
        raise InputError(
            f"{name}: expected frames of at least {SMALLEST} x {SMALLEST} pixels, found "
            f"{shape[0]} x {shape[1]}"
        )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    frames = sorted(file for file in path.iterdir() if file.suffix.lower() in TIFF_SUFFIXES)
    if not frames:
        raise InputError(f"{path}: no frame there (expected files ending in .tif or .tiff)")
    return frames
