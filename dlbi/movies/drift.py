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
from bayesdl_sim.dlbi.movies.survey import BLOCKS
from bayesdl_sim.physics.sensor.missing import filled
from bayesdl_sim.utils.errors import InputError

__all__ = ["Drift", "corrected", "first_frames", "measure_drift", "shifted"]

LARGEST_PX = 4.0  # camera pixels; beyond, too much of the field has left it
LARGEST_STEP_PX = 1.0  # from block to block; beyond, the frames between are not known well enough
LEAST_PX = 0.15  # less is not worth an interpolation
SIGNIFICANCE = 4.0  # total drift over its standard error
UPSAMPLING = 50  # a fiftieth of a pixel
# Largest displacement in camera pixels, and the misfit of the blocks, moved back one by one, over
# that after a straight drift, below which the displacements are real. Blinking pretends some, too:
# in 290 random movies at rest the misfit was at least 0.76, 0.79 and 0.61 in these classes. Of
# movies that moved by 1 to 6 pixels, on a curve or in a jump, it was at most 0.6 where a fifth of
# the fluorophores emitted, and 0.4 to 0.8 where 3 % did.
UNEVEN = ((2.5, 0.75), (8.0, 0.6), (np.inf, 0.5))
# The same over the misfit without any correction: above, the places are too uncertain.
CERTAIN = 0.5
LEAST_UNCERTAIN_PX = 1.0  # movement that is refused, and not ignored, where places are uncertain
EDGE = 4  # camera pixels that are left out of a misfit


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Movement of the sample during a movie.

    Args:
        total_px: (2,) displacement y, x from the first frame to the last, camera pixels, of a drift
            that is uniform in time.
        error_px: standard error of its length.
        corrected: whether it is large and certain enough to be corrected.
        path_px: (n, 2) displacements of n blocks of frames from their average, where the movement
            is not uniform in time; else None.
        scatter_px: largest distance between the displacements of two blocks.
    """

    total_px: NDArray[np.float64]
    error_px: float
    corrected: bool
    path_px: NDArray[np.float64] | None = None
    scatter_px: float = 0.0

    @property
    def length_px(self) -> float:
        """Largest distance between two places of the sample."""
        return float(np.hypot(*self.total_px)) if self.path_px is None else _range(self.path_px)

    @property
    def warnings(self) -> list[str]:
        """A sentence on displacements that are large, but not certain enough for a correction."""
        if self.corrected or self.scatter_px <= LARGEST_PX:
            return []
        return [
            f"parts of the movie seem displaced by up to {self.scatter_px:.1f} px from each other: "
            "few emitting fluorophores can cause this, but so can a sample that shakes"
        ]

    def at(self, frame: int, frames: int) -> NDArray[np.float64]:
        """Displacement (y, x) of a frame from the middle of the movie.

        On a path it is linear between the middles of the blocks, and beyond the outermost ones.
        """
        if self.path_px is None:
            return self.total_px * (frame / max(frames - 1, 1) - 0.5)
        blocks = len(self.path_px)
        place = (frame + 0.5) / frames * blocks - 0.5
        first = int(np.clip(np.floor(place), 0, blocks - 2))
        step = self.path_px[first + 1] - self.path_px[first]
        return self.path_px[first] + (place - first) * step


def measure_drift(means: Tensor, name: str = "movie") -> Drift:
    """Fits a straight line to the displacements of the blocks' means from their average.

    The means also move with the fluorophores that happen to emit: only a drift of `SIGNIFICANCE`
    standard errors is significant. Where the blocks agree much better after each was moved back by
    its own displacement, the movement is not uniform, and its path replaces the line.

    Args:
        means: (n, H, W), n at least 2, of blocks of equal length.

    Raises:
        InputError: a movement of more than `LARGEST_PX`, a jump, or an uneven movement that cannot
            be measured well enough.
    """
    displacement = _displacements(means)
    if displacement is None:  # a constant movie, which other checks refuse
        return Drift(total_px=np.zeros(2), error_px=0.0, corrected=False)
    time = (np.arange(len(means)) + 0.5) / len(means)
    centred = time - time.mean()
    slope = centred @ displacement / (centred @ centred)
    path = displacement - displacement.mean(axis=0)
    straight = centred[:, None] * slope
    residual = path - straight
    freedom = max(len(means) - 2, 1)
    error = float(np.sqrt((residual**2).sum() / freedom / (centred @ centred)))
    if len(means) == BLOCKS and _is_uneven(means, path, straight, name):
        return Drift(
            total_px=slope, error_px=error, corrected=True, path_px=path, scatter_px=_range(path)
        )
    length = float(np.hypot(*slope))
    certain = len(means) > 3 and length > max(LEAST_PX, SIGNIFICANCE * error)
    if certain and length > LARGEST_PX:
        raise InputError(
            f"{name}: the sample drifts by {length:.1f} camera pixels, at most {LARGEST_PX:g} can "
            "be corrected: use a part of the movie, or align its frames first"
        )
    return Drift(total_px=slope, error_px=error, corrected=certain, scatter_px=_range(path))


def _displacements(means: Tensor) -> NDArray[np.float64] | None:
    """Displacements (n, 2) of the blocks from the middle one; None where that is empty."""
    blocks = means.double().numpy()
    blocks = blocks - blocks.min(axis=(1, 2), keepdims=True)
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in blocks.shape[1:]))
    blocks = blocks / np.maximum(blocks.mean(axis=(1, 2), keepdims=True), 1e-12) * window
    middle = blocks[len(blocks) // 2]
    if not middle.any():
        return None
    shifts = [
        phase_cross_correlation(middle, block, upsample_factor=UPSAMPLING, normalization=None)[0]
        for block in blocks
    ]
    return -np.array(shifts)


def _is_uneven(means: Tensor, path: NDArray, straight: NDArray, name: str) -> bool:
    """Whether the path (n, 2) of the blocks is real, and to be corrected in place of a line.

    Raises:
        InputError: it is real, but cannot be corrected.
    """
    length = _range(path)
    if length < LEAST_PX:
        return False
    misfit = _misfit(means, path)
    limit = next(share for most, share in UNEVEN if length <= most)
    at_rest = _misfit(means, np.zeros_like(path))
    if misfit > limit * min(_misfit(means, straight), at_rest):
        return False
    advice = "use a part of the movie, or align its frames first"
    steps = np.hypot(*np.diff(path, axis=0).T)
    if length > LARGEST_PX:
        raise InputError(
            f"{name}: the sample moves by up to {length:.1f} camera pixels, at most "
            f"{LARGEST_PX:g} can be corrected: {advice}"
        )
    if steps.max() > LARGEST_STEP_PX:
        number = int(steps.argmax()) + 1
        raise InputError(
            f"{name}: the sample jumps, shakes or moves too fast, {steps.max():.2f} camera pixels "
            f"between parts {number} and {number + 1} of {BLOCKS} of the movie, at most "
            f"{LARGEST_STEP_PX:g} can be corrected: {advice}"
        )
    if misfit > CERTAIN * at_rest and length > LEAST_UNCERTAIN_PX:
        raise InputError(
            f"{name}: the sample moves by about {length:.1f} camera pixels, not along a straight "
            f"line, and too few fluorophores emit to measure its path: {advice}"
        )
    return misfit <= CERTAIN * at_rest


def _misfit(means: Tensor, path: NDArray) -> float:
    """Sum of squared differences of the blocks from their average, each moved back by its path."""
    bright = means - means.amin((1, 2), keepdim=True)
    bright = bright / bright.mean((1, 2), keepdim=True).clamp(min=1e-12)
    moved = shifted(bright, path)[:, EDGE:-EDGE, EDGE:-EDGE]
    moved = moved / moved.mean((1, 2), keepdim=True).clamp(min=1e-12)
    return float((moved - moved.mean(dim=0)).square().sum())


def _range(path: NDArray) -> float:
    """Largest distance between two of the places (n, 2)."""
    return float(np.hypot(*(path[:, None] - path[None]).T).max())


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


def corrected(movie: Movie, drift: Drift, faulty: Tensor | None = None) -> Iterator[Tensor]:
    """Pieces of the movie, corrected for faulty pixels and for drift where there is some.

    Args:
        faulty: (H, W) mask of faulty pixels, which are filled from their neighbours.
    """
    start = 0
    for piece in movie.pieces():
        if faulty is not None:
            piece = filled(piece, faulty)
        if drift.corrected:
            places = [drift.at(start + n, movie.frames) for n in range(len(piece))]
            piece = shifted(piece, np.array(places))
        yield piece
        start += len(piece)


def first_frames(movie: Movie, drift: Drift, faulty: Tensor | None, most: int) -> Tensor:
    """The first frames of the movie, at most `most`, corrected in the same way: (n, H, W)."""
    pieces, count = [], 0
    for piece in corrected(movie, drift, faulty):
        pieces.append(piece[: most - count])
        count += len(pieces[-1])
        if count == most:
            break
    return torch.cat(pieces)
