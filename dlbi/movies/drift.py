"""Drift of the sample during a movie: measured between blocks of frames, and corrected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation
from torch import Tensor

from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.utils.errors import InputError

__all__ = ["Drift", "block_means", "corrected", "measure_drift", "shifted"]

LARGEST_PX = 4.0  # camera pixels; beyond, too much of the field has left it
LEAST_PX = 0.15  # less is not worth an interpolation
SIGNIFICANCE = 4.0  # total drift over its standard error
BLOCKS = 8  # blocks of frames whose means are compared
UPSAMPLING = 50  # a fiftieth of a pixel


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A drift that is uniform in time.

    Args:
        total_px: (2,) displacement y, x from the first frame to the last, camera pixels.
        error_px: standard error of its length.
        corrected: whether it is large and certain enough to be corrected.
    """

    total_px: NDArray[np.float64]
    error_px: float
    corrected: bool

    def at(self, frame: int, frames: int) -> NDArray[np.float64]:
        """Displacement (y, x) of a frame from the middle of the movie."""
        return self.total_px * (frame / max(frames - 1, 1) - 0.5)


def block_means(movie: Movie) -> Tensor:
    """Means of `BLOCKS` blocks of consecutive frames, (n, H, W)."""
    blocks = min(BLOCKS, movie.frames // 2)
    sums = torch.zeros((blocks, *movie.shape), dtype=torch.float64)
    counts = torch.zeros(blocks, dtype=torch.float64)
    start = 0
    for piece in movie.pieces():
        index = (torch.arange(start, start + len(piece)) * blocks) // movie.frames
        sums.index_add_(0, index, piece.double())
        counts += torch.bincount(index, minlength=blocks)
        start += len(piece)
    return (sums / counts[:, None, None]).float()


def measure_drift(means: Tensor, name: str = "movie") -> Drift:
    """Fits a straight line to the displacements of the blocks' means from their average.

    The means also move with the fluorophores that happen to emit: only a drift of `SIGNIFICANCE`
    standard errors is significant.

    Args:
        means: (n, H, W), n at least 2, of blocks of equal length.

    Raises:
        InputError: a drift of more than `LARGEST_PX`.
    """
    blocks = means.double().numpy()
    blocks = blocks - blocks.min(axis=(1, 2), keepdims=True)
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in blocks.shape[1:]))
    blocks = blocks / np.maximum(blocks.mean(axis=(1, 2), keepdims=True), 1e-12) * window
    middle = blocks[len(blocks) // 2]
    if not middle.any():  # a constant movie, which other checks refuse
        return Drift(total_px=np.zeros(2), error_px=0.0, corrected=False)
    displacement = -np.array(
        [
            phase_cross_correlation(middle, block, upsample_factor=UPSAMPLING, normalization=None)[
                0
            ]
            for block in blocks
        ]
    )
    time = (np.arange(len(blocks)) + 0.5) / len(blocks)
    centred = time - time.mean()
    slope = centred @ displacement / (centred @ centred)
    residual = displacement - displacement.mean(axis=0) - centred[:, None] * slope
    freedom = max(len(blocks) - 2, 1)
    error = float(np.sqrt((residual**2).sum() / freedom / (centred @ centred)))
    length = float(np.hypot(*slope))
    certain = len(blocks) > 3 and length > max(LEAST_PX, SIGNIFICANCE * error)
    if certain and length > LARGEST_PX:
        raise InputError(
            f"{name}: the sample drifts by {length:.1f} camera pixels, at most {LARGEST_PX:g} can "
            "be corrected: use a part of the movie, or align its frames first"
        )
    return Drift(total_px=slope, error_px=error, corrected=certain)


def shifted(frames: Tensor, displacement: NDArray[np.float64]) -> Tensor:
    """Frames (n, H, W) moved back by displacements (n, 2), by Fourier interpolation.

    White noise stays white, which averaging of neighbours would not achieve. The field is mirrored,
    so that structures that leave it on one side do not reappear on the other.
    """
    height, width = frames.shape[1:]
    padded = torch.cat([frames, frames.flip(1)], dim=1)
    padded = torch.cat([padded, padded.flip(2)], dim=2)
    back = torch.from_numpy(np.asarray(displacement)).float()
    rows = torch.fft.fftfreq(2 * height)[None, :, None] * back[:, 0, None, None]
    columns = torch.fft.rfftfreq(2 * width)[None, None, :] * back[:, 1, None, None]
    phase = torch.polar(torch.ones(()), 2 * torch.pi * (rows + columns))
    moved = torch.fft.irfft2(torch.fft.rfft2(padded) * phase, s=padded.shape[1:])
    return moved[:, :height, :width]


def corrected(movie: Movie, drift: Drift) -> Iterator[Tensor]:
    """Pieces of the movie, corrected for drift where there is some."""
    start = 0
    for piece in movie.pieces():
        if drift.corrected:
            places = [drift.at(start + n, movie.frames) for n in range(len(piece))]
            piece = shifted(piece, np.array(places))
        yield piece
        start += len(piece)
