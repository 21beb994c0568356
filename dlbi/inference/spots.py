"""Spots on the camera: Gaussians sampled at the pixel centres, their derivatives, their patches."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Patches",
    "SpotSlopes",
    "corners_of",
    "gaussian",
    "patches_of",
    "spot_slopes",
]


class SpotSlopes(NamedTuple):
    """Derivatives of spots of amplitude one: in y, in x, and in the width; each (N, H, W)."""

    y: NDArray[np.float64]
    x: NDArray[np.float64]
    width: NDArray[np.float64]


class Patches(NamedTuple):
    """Squares around blocks of fluorophores, in an image that was padded on all sides."""

    members: NDArray[np.int64]  # (B, k), indices of the fluorophores of each block
    pixels: NDArray[np.int64]  # (B, Q), flat indices into the padded image
    spots: NDArray[np.float64]  # (B, k, Q), of amplitude one


def gaussian(distance: NDArray, width: ArrayLike) -> NDArray[np.float64]:
    """Density of a normal distribution of that width (standard deviation), in one dimension."""
    scaled = distance / width
    return np.exp(-(scaled**2) / 2) / (np.sqrt(2 * np.pi) * width)


def spot_slopes(positions: NDArray, width: NDArray, shape: tuple[int, int]) -> SpotSlopes:
    """Derivatives of spots of amplitude one.

    With h the spot and (u, v) a pixel's distance from its centre: dh/dy = h u / w**2, and
    dh/dw = h (u**2 + v**2 - 2 w**2) / w**3.
    """
    rows = np.arange(shape[0]) - positions[:, :1]  # (N, H)
    columns = np.arange(shape[1]) - positions[:, 1:]
    width = width[:, None]
    along_y, along_x = gaussian(rows, width), gaussian(columns, width)
    slope_y, slope_x = along_y * rows / width**2, along_x * columns / width**2
    wider_y = along_y * (rows**2 / width**3 - 1 / width)
    wider_x = along_x * (columns**2 / width**3 - 1 / width)

    def outer(a: NDArray, b: NDArray) -> NDArray:
        return a[:, :, None] * b[:, None, :]

    return SpotSlopes(
        y=outer(slope_y, along_x),
        x=outer(along_y, slope_x),
        width=outer(wider_y, along_x) + outer(along_y, wider_x),
    )


def corners_of(positions: NDArray, radius: int, shape: tuple[int, int]) -> NDArray[np.int64]:
    """First row and column (N, 2), in the padded image, of the squares of side 2 radius + 1.

    The image is assumed to be padded by 2 radius on all sides. A fluorophore that is farther
    outside than its radius keeps a square, in which none of its light is visible.
    """
    limits = np.array(shape) - 1 + radius
    return np.clip(np.rint(positions).astype(np.int64), -radius, limits) + radius


def patches_of(
    members: NDArray[np.int64],
    positions: NDArray,
    width: NDArray,
    radius: int,
    shape: tuple[int, int],
) -> Patches:
    """The smallest squares of one size that hold the spots of every block.

    Args:
        members: (B, k), indices of the fluorophores.
        positions: (N, 2), y and x in pixels of the image without its padding.
        width: (N,), standard deviations in pixels.
        radius: pixels from the centre beyond which a spot is cut off.
        shape: (H, W) of the image without its padding of 2 radius.
    """
    corners = corners_of(positions, radius, shape)[members]  # (B, k, 2)
    low = corners.min(axis=1)
    extent = int((corners.max(axis=1) - low).max(initial=0))
    padded = np.array(shape) + 4 * radius
    low = np.minimum(low, padded - (2 * radius + 1 + extent))
    steps = np.arange(2 * radius + 1 + extent)
    grid = low[:, :, None] + steps  # (B, 2, side), in the padded image
    inside = np.abs(grid[:, None] - corners[..., None] - radius) <= radius  # (B, k, 2, side)
    distance = grid[:, None] - 2 * radius - positions[members][..., None]
    profiles = gaussian(distance, width[members][..., None, None]) * inside
    spots = profiles[:, :, 0, :, None] * profiles[:, :, 1, None, :]
    pixels = grid[:, 0, :, None] * padded[1] + grid[:, 1, None, :]
    blocks, size = members.shape
    return Patches(members, pixels.reshape(blocks, -1), spots.reshape(blocks, size, -1))
