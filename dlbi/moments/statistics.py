"""Moments of a movie, gathered block by block, so that its length does not matter for memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from bayesdl_sim.utils.errors import InputError

__all__ = ["BLOCK", "MomentSums", "Moments", "moments_of"]

BLOCK = 50  # frames; within a block the fall of intensity by bleaching is smooth
SMOOTH_FROM = 10  # frames of a block from which the trend of its light is modelled
RUN = 10  # frames; longer than most emissions
SPOT = 6  # pixels; fluctuations of emitters correlate within it, those of a lamp everywhere
CERTAIN = 3.0  # standard errors by which a flicker has to exceed the emitters
CHECKER = 36.0  # squared norm of the outer product of (1, -2, 1) with itself


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Moments over the frames of a movie; maps are (H, W) in the movie's own units.

    Args:
        frames: number of frames T.
        mean: mean over all frames.
        halves: (2, H, W) means of the even and of the odd frames.
        turns: (2, H, W) means of two halves that take turns every `RUN` frames, in the order
            first, second, second, first; a movie too short for that has the even and odd frames.
        variance: variance around the trend of the light within blocks of `BLOCK` frames.
        lag: covariance of neighbouring frames in the same way; so are those that follow.
        across: (2, H, W) covariance within a frame of each pixel and its neighbour below, and of
            each pixel and its neighbour to the right; the last row or column repeats.
        skewness: third central moment within blocks.
        noise: variance of the part of the frames that no optics passes (a checkerboard filter of
            the differences of frames), (H - 2, W - 2).
        spectrum: (H, W // 2 + 1) power of the windowed differences of neighbouring frames, per
            pixel and frame, half plane of `rfft2`; white noise of unit variance has the value 1.
    """

    frames: int
    mean: Tensor
    halves: Tensor
    turns: Tensor
    variance: Tensor
    lag: Tensor
    across: Tensor
    skewness: Tensor
    noise: Tensor
    spectrum: Tensor


class MomentSums:
    """Gathers `Moments` from a movie that comes in pieces of any length."""

    def __init__(self, shape: tuple[int, int]) -> None:
        if min(shape) < 8:
            raise InputError(f"movie: expected frames of at least 8 x 8 pixels, found {shape}")
        self._shape, self._frames = shape, 0
        self._waiting: list[Tensor] = []
        zeros = {"dtype": torch.float64}
        self._halves = torch.zeros((2, *shape), **zeros)
        self._turns, self._turn_frames = torch.zeros((2, *shape), **zeros), [0, 0]
        self._central = torch.zeros((5, *shape), **zeros)  # variance, lag, down, right, third
        self._weights = torch.zeros(3, **zeros)  # degrees of freedom of variance, lag and third
        self._noise = torch.zeros((shape[0] - 2, shape[1] - 2), **zeros)
        self._spectrum = torch.zeros((shape[0], shape[1] // 2 + 1), **zeros)
        self._differences = 0
        window = torch.hann_window(shape[0] + 2)[1:-1, None] * torch.hann_window(shape[1] + 2)[1:-1]
        self._window = window / window.square().mean().sqrt()

    def add(self, frames: Tensor) -> None:
        """Adds frames (n, H, W)."""
        frames = frames.float()
        for frame in frames:
            self._waiting.append(frame)
            if len(self._waiting) == BLOCK:
                self._take_block()

    def finish(self) -> Moments:
        """Moments of all frames so far.

        Raises:
            InputError: fewer than four frames.
        """
        total = self._frames + len(self._waiting)
        if total < 4:
            raise InputError(
                f"movie: expected at least 4 frames of a blinking sample, found {total}; name the "
                "whole movie, not one of its frames"
            )
        if self._waiting:
            self._take_block()
        central = self._central.clone()
        central[[0, 2, 3]] /= self._weights[0]
        central[1] /= self._weights[1]
        central[4] /= self._weights[2]
        odd = self._frames // 2
        counts = torch.tensor([self._frames - odd, odd], dtype=torch.float64)
        halves = (self._halves / counts[:, None, None]).float()
        turns = halves
        if min(self._turn_frames) >= 2 * RUN:
            counts = torch.tensor(self._turn_frames, dtype=torch.float64)
            turns = (self._turns / counts[:, None, None]).float()
        differences = max(self._differences, 1)
        return Moments(
            frames=self._frames,
            mean=(self._halves.sum(0) / self._frames).float(),
            halves=halves,
            turns=turns,
            variance=central[0].float(),
            lag=central[1].float(),
            across=central[2:4].float(),
            skewness=central[4].float(),
            noise=(self._noise / differences / (2 * CHECKER)).float(),
            spectrum=(self._spectrum / differences / 2 / self._window.numel()).float(),
        )

    def _take_block(self) -> None:
        block = torch.stack(self._waiting)
        self._waiting.clear()
        first = self._frames % 2
        self._halves[first] += block[0::2].sum(0, dtype=torch.float64)
        self._halves[1 - first] += block[1::2].sum(0, dtype=torch.float64)
        for start, run in zip(range(0, len(block), RUN), block.split(RUN), strict=True):
            half = int((self._frames + start) // RUN % 4 in (1, 2))
            self._turns[half] += run.sum(0, dtype=torch.float64)
            self._turn_frames[half] += len(run)
        self._frames += len(block)
        if len(block) >= 2:
            self._take_differences(block)
        if len(block) >= 3:
            self._take_central(block)

    def _take_central(self, block: Tensor) -> None:
        """Adds the moments of the block around each pixel's share of its trend."""
        n, trend = len(block), _trend(block)
        freedom = n - len(trend)
        centred = block - torch.tensordot(trend.T, torch.tensordot(trend, block, 1), 1)
        down = torch.cat([centred[:, 1:], centred[:, -1:]], dim=1)
        right = torch.cat([centred[:, :, 1:], centred[:, :, -1:]], dim=2)
        power = centred.square().sum(0)
        self._central[0] += power
        # Subtracting the trend leaves white noise with a lag covariance of -variance times this.
        taken = float((trend[:, 1:] * trend[:, :-1]).sum())
        self._central[1] += (centred[1:] * centred[:-1]).sum(0) + power / freedom * taken
        self._central[2] += (centred * down).sum(0)
        self._central[3] += (centred * right).sum(0)
        self._central[4] += centred.pow(3).sum(0)
        self._weights += torch.tensor([freedom, n - 1, n], dtype=torch.float64)

    def _take_differences(self, block: Tensor) -> None:
        difference = block.diff(dim=0)
        shape = block.mean(0)
        shape = shape - shape.mean()
        # A flicker of the lamp changes the whole image at once, and is no signal of single
        # emitters.
        difference = difference - difference.mean((1, 2), keepdim=True)
        share = _flicker(difference, shape) / shape.square().sum().clamp(min=1e-12)
        difference = difference - share[:, None, None] * shape
        along = difference[:, :-2] - 2 * difference[:, 1:-1] + difference[:, 2:]
        checker = along[:, :, :-2] - 2 * along[:, :, 1:-1] + along[:, :, 2:]
        self._noise += checker.square().sum(0)
        self._spectrum += torch.fft.rfft2(difference * self._window).abs().square().sum(0)
        self._differences += len(difference)


def _flicker(difference: Tensor, shape: Tensor) -> Tensor:
    """Inner products (n,) of differences (n, H, W) with the image, as far as a lamp causes them.

    Emitters contribute to them, too: in a field of few structures so much that without these
    products the spots would seem too narrow. Their sum of squares is that of the products of
    neighbours; what exceeds it belongs to a lamp.
    """
    product = difference * shape
    shares = product.sum((1, 2))
    near = avg_pool2d(product[:, None], 2 * SPOT + 1, 1, SPOT, divisor_override=1)[:, 0]
    of_emitters = float((product * near).sum()) * (1 + CERTAIN * math.sqrt(2 / len(shares)))
    total = float(shares.square().sum())
    return shares * min(max(1 - of_emitters / max(total, 1e-30), 0.0), 1.0)


def _trend(block: Tensor) -> Tensor:
    """Orthonormal time courses (k, n) of a block (n, H, W) that are not blinking.

    A constant, a straight line, and the smooth (cubic) course of the whole field's light: bleaching
    follows it, at a rate that differs from place to place. A block of few frames has the first two
    alone.
    """
    n = len(block)
    time = torch.linspace(-1, 1, n, dtype=torch.float64)
    powers, _ = torch.linalg.qr(torch.stack([time**k for k in range(min(n, 4))], dim=1))
    trend = powers[:, :2]
    if n >= SMOOTH_FROM:
        bend = powers[:, 2:] @ (powers[:, 2:].T @ block.mean((1, 2), dtype=torch.float64))
        if bend.norm() > 1e-9 * block.abs().max():
            trend = torch.cat([trend, (bend / bend.norm())[:, None]], dim=1)
    return trend.T.to(block.dtype)


def moments_of(movie: Tensor) -> Moments:
    """Moments of a movie (T, H, W) that is in memory."""
    sums = MomentSums(tuple(movie.shape[1:]))
    sums.add(movie)
    return sums.finish()
