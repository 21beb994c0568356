"""First reading of a movie: block means, the light of its frames, largest values, faulty pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from bayesdl_sim.dlbi.movies.pixels import FaultyPixels, faulty_pixels
from bayesdl_sim.dlbi.movies.reading import Movie

__all__ = ["BLOCKS", "Survey", "survey"]

BLOCKS = 8  # blocks of frames whose means are compared
MOST_SATURATED = 1e-3  # share of values at the largest one
# Light thins out towards the largest values. Where they were cut off, the highest of 50 bins
# between the middle and the largest value holds more than the one below, by more than chance.
BINS = 50
PILED = 1.5
TILES = 4  # parts of the field along each axis whose light is compared between frames
DARKEST = 0.01  # share of the pixels


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Measurements on the frames as they were recorded, before any correction.

    Args:
        means: (n, H, W) means of `BLOCKS` blocks of consecutive frames, fewer of a short movie.
        faulty: the pixels that are faulty.
        constant: share of all pixels that hold one value in all frames.
        brightest: largest value in the movie; faulty pixels do not count.
        saturated: share of the values that equal it; faulty pixels do not count.
        piles_up: whether more than `MOST_SATURATED` equal it, and more than just below it.
        tiles: (T, `TILES`^2) mean counts of parts of the field in each frame, float64.
        floor: counts of the darkest pixels, in the darkest part of the movie.
        repeated: (T,) whether a frame equals the one before in each value.
    """

    means: Tensor
    faulty: FaultyPixels
    constant: float
    brightest: float
    saturated: float
    piles_up: bool
    tiles: Tensor
    floor: float
    repeated: Tensor


def survey(movie: Movie) -> Survey:
    """Reads a movie once, piece by piece."""
    blocks = min(BLOCKS, movie.frames // 2)
    sums = torch.zeros((blocks, *movie.shape), dtype=torch.float64)
    counts = torch.zeros(blocks, dtype=torch.float64)
    lowest, highest = torch.full(movie.shape, torch.inf), torch.full(movie.shape, -torch.inf)
    at_highest = torch.zeros(movie.shape, dtype=torch.int64)
    squares = torch.zeros(movie.shape, dtype=torch.float64)
    tiles, repeated, before = [], [], torch.full((1, *movie.shape), torch.nan)
    start = 0
    for piece in movie.pieces():
        tiles.append(adaptive_avg_pool2d(piece.double()[:, None], TILES).flatten(1))
        repeated.append((torch.cat([before, piece[:-1]]) == piece).all(2).all(1))
        before = piece[-1:]
        if start == 0:
            first = piece.double().mean(dim=0)  # near the mean, so that no digits are lost
        squares += (piece - first).square().sum(dim=0)
        index = (torch.arange(start, start + len(piece)) * blocks) // movie.frames
        sums.index_add_(0, index, piece.double())
        counts += torch.bincount(index, minlength=blocks)
        start += len(piece)
        top = piece.amax(dim=0)
        reached = (piece == top).sum(dim=0)
        at_highest = torch.where(top > highest, 0, at_highest) + reached * (top >= highest)
        highest, lowest = torch.maximum(top, highest), torch.minimum(piece.amin(dim=0), lowest)
    constant = lowest == highest
    mean = sums.sum(dim=0) / movie.frames
    variance = squares / movie.frames - (mean - first).square()
    faulty = faulty_pixels(constant, highest, mean, variance)
    used = ~faulty.either
    brightest = highest[used].max()
    limited = at_highest[used & (highest == brightest)].sum()
    share = float(limited) / (movie.frames * int(used.sum()))
    means = (sums / counts[:, None, None]).float()
    darkest = max(1, round(DARKEST * means[0].numel()))
    return Survey(
        means=means,
        faulty=faulty,
        constant=float(constant.float().mean()),
        brightest=float(brightest),
        saturated=share,
        piles_up=share > MOST_SATURATED and _piles_up(movie, used, float(brightest), mean),
        tiles=torch.cat(tiles),
        floor=min(float(mean.flatten().kthvalue(darkest).values) for mean in means),
        repeated=torch.cat(repeated),
    )


def _piles_up(movie: Movie, used: Tensor, top: float, mean: Tensor) -> bool:
    """Whether the values end in a spike at the largest one; this reads the movie once more."""
    width = (top - float(mean[used].median())) / BINS
    last = before = 0
    for piece in movie.pieces():
        values = piece[:, used]
        if bool((values == values.round()).all()):
            width = max(width, 1.0)
        last += int((values > top - width).sum())
        before += int(((values > top - 2 * width) & (values <= top - width)).sum())
    return last > PILED * before
