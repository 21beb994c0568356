"""Hot and dead pixels: values in every frame that no lens allows beside their neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cooled", "dead_among", "dead_pixels", "hot_pixels", "isolated_pixels"]

HOT = 8.0  # standard deviations above the neighbours
# A lens spreads light: the centre of the sharpest point that a 2D-SIM stand shows is 1.55 times as
# bright as the pixels beside it.
SPECKLED = 1.7
ROUNDS = 3  # the first finds the hottest, which hide others


def hot_pixels(raw: Tensor) -> Tensor:
    """Mask of the hot pixels: (H, W), true where they are.

    The mean of the frames exceeds the second brightest neighbour, above the background, by the
    factor `SPECKLED` and by `HOT` standard deviations. The second brightest, since hot pixels come
    in pairs, too; but the brightest at the border of the field, where half of a bright structure
    looks like a pair.

    Args:
        raw: (9, H, W) counts, finite.
    """
    return isolated_pixels(raw.mean(dim=0), SPECKLED)


def isolated_pixels(mean: Tensor, speckled: float) -> Tensor:
    """Mask of the pixels that are brighter than their neighbours by more than a lens allows.

    Args:
        mean: (H, W) mean of the frames, or another image of the light.
        speckled: the factor by which the second brightest neighbour is exceeded.
    """
    rank = max(1, round(0.01 * mean.numel()))
    mean = mean - mean.flatten().kthvalue(rank).values
    hot = torch.zeros_like(mean, dtype=torch.bool)
    for _ in range(ROUNDS):
        places = _places_of_hot(mean, speckled)
        if places.shape[0] == 0:
            break
        hot[places[:, 0], places[:, 1]] = True
        mean[places[:, 0], places[:, 1]] = _around(mean[None], places)[0].median(dim=-1).values
    return hot


def dead_pixels(raw: Tensor) -> Tensor:
    """Mask of the single pixels that do not respond to light: (H, W), true where they do not.

    They have the same value in all frames, which noise never has where the neighbours are brighter
    or darker by `HOT` standard deviations.

    Args:
        raw: (9, H, W) counts, finite.
    """
    return dead_among((raw == raw[:1]).all(dim=0), raw.mean(dim=0))


def dead_among(constant: Tensor, mean: Tensor) -> Tensor:
    """The dead pixels (H, W) among those that have one value in all frames.

    Args:
        constant: (H, W), those.
        mean: (H, W), of the frames.
    """
    places = constant.nonzero()
    dead = torch.zeros_like(constant)
    if places.shape[0] == 0:
        return dead
    sigma = _deviation(mean)
    around = _around(mean[None], places)[0].median(dim=-1).values
    off = (mean[places[:, 0], places[:, 1]] - around).abs() > HOT * sigma
    places = places[off & (sigma > 0)]
    dead[places[:, 0], places[:, 1]] = True
    return dead


def cooled(frames: Tensor, hot: Tensor) -> Tensor:
    """Frames (n, H, W) whose faulty pixels have the median of their neighbours that are not."""
    places = hot.nonzero()
    if places.shape[0] == 0:
        return frames
    values = _around(frames, places)
    values = torch.where(_around(hot[None].to(frames), places) > 0, torch.nan, values)
    median = values.nanmedian(dim=-1).values
    rest = frames.flatten(1).median(dim=1).values[:, None].expand_as(median)
    result = frames.clone()
    result[:, places[:, 0], places[:, 1]] = torch.where(torch.isnan(median), rest, median)
    return result


def _places_of_hot(mean: Tensor, speckled: float) -> Tensor:
    """Places (n, 2) of hot pixels of a mean frame without background."""
    rest = _beside_neighbours(mean)
    sigma = _deviation(mean)
    candidates = ((rest > HOT * sigma) & (rest > 0)).nonzero()
    if candidates.shape[0] == 0 or sigma == 0:
        return candidates[:0]
    first, second = _around(mean[None], candidates)[0].topk(2, dim=-1).values.T
    last = torch.tensor(mean.shape, device=mean.device) - 1
    at_border = ((candidates == 0) | (candidates == last)).any(dim=1)
    rival = torch.where(at_border, first, second)
    values = mean[candidates[:, 0], candidates[:, 1]]
    return candidates[(values > rival + HOT * sigma) & (values > speckled * rival)]


def _beside_neighbours(mean: Tensor) -> Tensor:
    """Each pixel less the mean of its eight neighbours."""
    padded = torch.nn.functional.pad(mean[None, None], (1,) * 4, mode="replicate")
    box = torch.nn.functional.avg_pool2d(padded, 3, 1)[0, 0]
    return mean - (9 * box - mean) / 8


def _deviation(mean: Tensor) -> float:
    """The usual standard deviation between a pixel and its neighbours, of their median modulus."""
    return 1.48 * float(_beside_neighbours(mean).abs().flatten().median())


def _around(images: Tensor, places: Tensor) -> Tensor:
    """The eight neighbours of places (n, 2): (k, H, W) -> (k, n, 8), mirrored at the border."""
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    moved = (places[:, None] + torch.tensor(steps, device=places.device)).abs()
    last = torch.tensor(images.shape[1:], device=places.device) - 1
    moved = torch.minimum(moved, 2 * last - moved)
    return images[:, moved[..., 0], moved[..., 1]]
