"""The canvas that structures are drawn on: draws in nm, curves as points, sub-pixel splatting."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Canvas", "Curves", "random_curves", "spline_basis"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """Points of many curves laid end to end, one entry per point (N,)."""

    y_nm: Tensor
    x_nm: Tensor
    heading: Tensor  # rad, direction of travel, measured from +x towards +y
    owner: Tensor  # index of the curve that the point belongs to
    arc_nm: Tensor  # distance along the curve from its start
    fraction: Tensor  # arc_nm over the length of the curve, 0 to 1

    def offset(self, distance_nm: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (y, x) in nm after a shift of `distance_nm` at right angles to the curve."""
        y = self.y_nm + distance_nm * torch.cos(self.heading)
        return y, self.x_nm - distance_nm * torch.sin(self.heading)


@dataclass(frozen=True)
class Canvas:
    """A field of view and its source of randomness.

    Pixel (i, j) covers `[i, i+1) x [j, j+1)` times `pixel_size_nm`, so that the same structure
    drawn with a finer pixel covers the same nanometres.

    Args:
        shape: rows and columns of the SR grid.
        pixel_size_nm: side of one SR pixel.
        generator: CPU generator that every draw is taken from.
    """

    shape: tuple[int, int]
    pixel_size_nm: float
    generator: torch.Generator

    @property
    def height_nm(self) -> float:
        return self.shape[0] * self.pixel_size_nm

    @property
    def width_nm(self) -> float:
        return self.shape[1] * self.pixel_size_nm

    def uniform(self, low: float, high: float, *size: int) -> Tensor:
        return torch.rand(size, generator=self.generator) * (high - low) + low

    def normal(self, *size: int) -> Tensor:
        return torch.randn(size, generator=self.generator)

    def lognormal(self, median: float, spread: float, *size: int) -> Tensor:
        """Positive draws with this median; `spread` is the standard deviation of the logarithm."""
        return median * torch.exp(spread * self.normal(*size))

    def number(self, low: float, high: float) -> float:
        return float(self.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return self.number(0.0, 1.0) < probability

    def integers(self, low: int, high: int, *size: int) -> Tensor:
        """Whole numbers from `low` to `high - 1`."""
        return torch.randint(low, high, size, generator=self.generator)

    def count(self, per_um2: float, margin_nm: float = 0.0) -> int:
        """Number of objects, at least one, at this density on the field and a margin around it."""
        area = (self.height_nm + 2 * margin_nm) * (self.width_nm + 2 * margin_nm) * 1e-6
        return max(1, round(area * per_um2))

    def pixel(self, position_nm: Tensor, axis: int) -> Tensor:
        """Index of the pixel row (axis 0) or column (1) at a position, or of the nearest one."""
        index = (position_nm / self.pixel_size_nm).floor().long()
        return index.clamp(0, self.shape[axis] - 1)

    def field(self, scale_nm: float, channels: int = 1) -> Tensor:
        """Smooth random fields `(channels, H, W)`, mean 0, variance near 1.

        Cubic B-splines on random knots `scale_nm` apart: twice differentiable, and two small matrix
        products instead of a convolution.
        """
        across = [
            spline_basis(n, self.pixel_size_nm / scale_nm, self.number(0.0, 1.0))
            for n in self.shape
        ]
        knots = self.normal(channels, across[0].shape[1], across[1].shape[1])
        return (across[0] @ knots @ across[1].T) / 0.479  # the mean of a spline's squared weights

    def splat(self, y_nm: Tensor, x_nm: Tensor, weight: Tensor) -> Tensor:
        """Image `(H, W)` of points, each shared bilinearly by the four nearest pixels.

        Points outside the field are dropped. Weight is conserved away from the border.
        """
        rows, columns = self.shape
        y = y_nm / self.pixel_size_nm - 0.5
        x = x_nm / self.pixel_size_nm - 0.5
        inside = ((y > -1) & (y < rows) & (x > -1) & (x < columns)).nonzero().squeeze(1)
        y, x, weight = y[inside].float(), x[inside].float(), weight[inside].float()
        top, left = y.floor(), x.floor()
        y, x = y - top, x - left
        # One border pixel on every side takes what falls off, so that no index needs clamping.
        index = ((top + 1) * (columns + 2) + left + 1).long()
        image = torch.zeros((rows + 2) * (columns + 2))
        lower, upper = weight * y, weight * (1 - y)
        image.index_add_(0, index, upper * (1 - x))
        image.index_add_(0, index + 1, upper * x)
        image.index_add_(0, index + columns + 2, lower * (1 - x))
        image.index_add_(0, index + columns + 3, lower * x)
        return image.view(rows + 2, columns + 2)[1:-1, 1:-1]


def spline_basis(samples: int, knots_per_sample: float, offset: float = 0.0) -> Tensor:
    """Cubic B-spline weights `(samples, knots)` of pixel centres on knots of unit spacing."""
    position = (torch.arange(samples) + 0.5) * knots_per_sample + offset + 1.0
    knots = torch.arange(math.ceil(samples * knots_per_sample + offset) + 3)
    t = (position[:, None] - knots[None, :]).abs()
    near = 2 / 3 - t**2 + t**3 / 2
    far = (2 - t).clamp(min=0) ** 3 / 6
    return torch.where(t < 1, near, far)


def random_curves(
    canvas: Canvas,
    centres_nm: Tensor,
    angles: Tensor,
    lengths_nm: Tensor,
    persistence_nm: float,
    curvature_per_nm: Tensor | None = None,
    step_px: float = 0.6,
    start_here: bool = False,
) -> Curves:
    """Worm-like chains in the plane, all in one flat batch.

    The heading is a random walk whose variance grows by `step / persistence` per step (Kratky and
    Porod 1949, in two dimensions), plus a slow bend to and fro of up to `curvature_per_nm`.

    Args:
        canvas: gives the pixel size and the randomness.
        centres_nm: `(F, 2)` y, x of the middle (or, with `start_here`, of the start) of each curve.
        angles: `(F,)` heading at that point, rad.
        lengths_nm: `(F,)`.
        persistence_nm: length over which the direction is forgotten.
        curvature_per_nm: `(F,)` largest curvature of the slow bend; its period is 0.4 to 2 lengths.
        step_px: spacing of the points in SR pixels.
        start_here: whether `centres_nm` are starts.
    """
    step = step_px * canvas.pixel_size_nm
    counts = (lengths_nm / step).ceil().long().clamp(min=2)
    ends = counts.cumsum(0)
    first = ends - counts
    owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
    pivot = first if start_here else first + counts // 2
    turn = canvas.normal(len(owner)) * math.sqrt(step / persistence_nm)
    rank = (torch.arange(len(owner)) - first[owner]).float()
    if curvature_per_nm is not None:
        period = canvas.uniform(0.4, 2.0, len(counts)) * counts
        phase = 2 * math.pi * (rank / period[owner] + canvas.uniform(0, 1, len(counts))[owner])
        turn += curvature_per_nm[owner] * step * torch.cos(phase)
    # Double precision: a running sum over millions of points must not lose sub-pixel positions.
    walk = turn.cumsum(0, dtype=torch.float64)
    heading = (walk - (walk[pivot] - angles)[owner]).float()
    y = (torch.sin(heading) * step).cumsum(0, dtype=torch.float64)
    x = (torch.cos(heading) * step).cumsum(0, dtype=torch.float64)
    y = (y - (y[pivot] - centres_nm[:, 0])[owner]).float()
    x = (x - (x[pivot] - centres_nm[:, 1])[owner]).float()
    return Curves(
        y_nm=y,
        x_nm=x,
        heading=heading,
        owner=owner,
        arc_nm=rank * step,
        fraction=rank / (counts - 1)[owner],
    )
