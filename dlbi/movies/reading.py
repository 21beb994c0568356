"""Reads blinking movies piece by piece, and refuses unsuitable ones with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from natsort import natsorted
from torch import Tensor

from bayesdl_sim.data.formats.tiff import iterate_tiff, open_tiff, tiff_header
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
        counts: (T, H, W) instead of files.
    """

    name: str
    frames: int
    shape: tuple[int, int]
    pixel_size_nm: float | None = None
    files: tuple[Path, ...] = ()
    counts: Tensor | None = None

    def pieces(self) -> Iterator[Tensor]:
        """The frames, (n, H, W) float32, `PIECE` of them at a time, the last time what is left.

        Raises:
            InputError: a truncated file, or values that are not finite.
        """
        for frames in self._stored():
            if not bool(frames.isfinite().all()):
                raise InputError(f"{self.name} holds values that are not finite (NaN or infinity)")
            yield frames

    def _stored(self) -> Iterator[Tensor]:
        """The same without any check."""
        if self.counts is not None:
            yield from (frames.float() for frames in self.counts.split(PIECE))
            return
        waiting: list[np.ndarray] = []
        for file in self.files:
            for piece in iterate_tiff(file, PIECE):
                waiting.append(piece)
                if sum(map(len, waiting)) >= PIECE:
                    frames = np.concatenate(waiting)
                    yield torch.from_numpy(frames[:PIECE].astype(np.float32))
                    waiting = [frames[PIECE:]] if len(frames) > PIECE else []
        if waiting:
            yield torch.from_numpy(np.concatenate(waiting).astype(np.float32))

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


def open_movie(path: str | Path) -> Movie:
    """Opens a TIFF movie, or a folder of single frames, without reading the frames.

    Raises:
        InputError: no such file, colour, frames of several sizes, a single frame, a field that is
            too small.
    """
    path = Path(path)
    files = _files(path)
    frames, shapes = 0, set()
    for file in files:
        (count, height, width), _ = tiff_header(file)
        frames += count
        shapes.add((height, width))
    if len(shapes) > 1:
        listed = ", ".join(f"{height}x{width}" for height, width in sorted(shapes))
        raise InputError(f"{path}: expected frames of one size, found {listed}")
    (shape,) = shapes
    _require_usable(str(path), frames, shape)
    return Movie(
        name=str(path),
        frames=frames,
        shape=shape,
        pixel_size_nm=open_tiff(files[0]).pixel_size_nm,
        files=tuple(files),
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
    frames = [file for file in path.iterdir() if file.suffix.lower() in TIFF_SUFFIXES]
    if not frames:
        raise InputError(f"{path}: no frame there (expected files ending in .tif or .tiff)")
    return natsorted(frames, key=lambda file: file.name)
