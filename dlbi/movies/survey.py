"""First reading of a movie: block means, the light of its frames, largest values, faulty pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from bayesdl_sim.dlbi.movies.reading import Movie

__all__ = ["BLOCKS", "Survey", "survey"]

BLOCKS = 8  # blocks of frames whose means are compared
# Share of the field; where more pixels never change, their values were cut off on purpose.
MOST_STUCK = 0.01
TILES = 4  # parts of the field along each axis whose light is compared between frames
DARKEST = 0.01  # share of the pixels


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Measurements on the frames as they were recorded, before any correction.

    Args:
        means: (n, H, W) means of `BLOCKS` blocks of consecutive frames, fewer of a short movie.
        stuck: (H, W) mask of faulty pixels: they hold one value in all frames, which is not the
            largest of the others, and they are at most `MOST_STUCK` of the field.
        constant: share of all pixels that hold one value in all frames.
        brightest: largest value in the movie; stuck pixels do not count.
        saturated: share of the values that equal it; stuck pixels do not count.
        tiles: (T, `TILES`^2) mean counts of parts of the field in each frame, float64.
        floor: counts of the darkest pixels, in the darkest part of the movie.
        repeated: (T,) whether a frame equals the one before in each value.
    """

    means: Tensor
    stuck: Tensor
    constant: float
    brightest: float
    saturated: float
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
    tiles, repeated, before = [], [], torch.full((1, *movie.shape), torch.nan)
    start = 0
    for piece in movie.pieces():
        tiles.append(adaptive_avg_pool2d(piece.double()[:, None], TILES).flatten(1))
        repeated.append((torch.cat([before, piece[:-1]]) == piece).all(2).all(1))
        before = piece[-1:]
        index = (torch.arange(start, start + len(piece)) * blocks) // movie.frames
        sums.index_add_(0, index, piece.double())
        counts += torch.bincount(index, minlength=blocks)
        start += len(piece)
        top = piece.amax(dim=0)
        reached = (piece == top).sum(dim=0)
        at_highest = torch.where(top > highest, 0, at_highest) + reached * (top >= highest)
        highest, lowest = torch.maximum(top, highest), torch.minimum(piece.amin(dim=0), lowest)
    constant = lowest == highest
    stuck = _stuck(constant, highest)
    brightest = highest[~stuck].max()
    limited = at_highest[~stuck & (highest == brightest)].sum()
    means = (sums / counts[:, None, None]).float()
    darkest = max(1, round(DARKEST * means[0].numel()))
    return Survey(
        means=means,
        stuck=stuck,
        constant=float(constant.float().mean()),
        brightest=float(brightest),
        saturated=float(limited) / (movie.frames * int((~stuck).sum())),
        tiles=torch.cat(tiles),
        floor=min(float(mean.flatten().kthvalue(darkest).values) for mean in means),
        repeated=torch.cat(repeated),
    )


def _stuck(constant: Tensor, values: Tensor) -> Tensor:
    """Constant pixels (H, W) that are faulty; a value that others reach, too, is saturation."""
    if bool(constant.all()) or float(constant.float().mean()) > MOST_STUCK:
        return torch.zeros_like(constant)
    return constant & (values != values[~constant].max())
