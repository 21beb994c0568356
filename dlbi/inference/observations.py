"""Checks of the arguments of the exact core."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.errors import InputError

__all__ = ["dark_residual", "noise_of", "numpy_generator", "per_spot", "positions_of", "widths_of"]


def positions_of(positions: ArrayLike) -> NDArray[np.float64]:
    """Positions (N, 2), y and x, checked; `InputError` otherwise."""
    positions = np.asarray(positions, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] != 2 or not np.all(np.isfinite(positions)):
        raise InputError(
            f"positions: expected finite numbers (N, 2), y and x in pixels, found the shape "
            f"{positions.shape}"
        )
    return positions


def per_spot(values: ArrayLike, count: int, name: str) -> NDArray[np.float64]:
    """One number for all spots or one for each, as (N,)."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape not in ((), (1,), (count,)):
        raise InputError(f"{name}: expected one number or {count}, found the shape {values.shape}")
    return np.broadcast_to(values, (count,))


def widths_of(width: ArrayLike, count: int) -> NDArray[np.float64]:
    """Standard deviations of the spots (N,), checked to be positive."""
    width = per_spot(width, count, "width")
    if not np.all(width > 0):
        raise InputError(f"width: expected positive numbers, found {width.min()}")
    return width


def dark_residual(movie: ArrayLike, background: ArrayLike) -> NDArray[np.float64]:
    """Movie (T, H, W) minus its background."""
    movie = np.asarray(movie, dtype=np.float64)
    if movie.ndim != 3 or not movie.size:
        raise InputError(f"movie: expected (frames, height, width), found the shape {movie.shape}")
    return movie - np.asarray(background, dtype=np.float64)


def noise_of(sigma: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Standard deviation of the noise (H, W), checked to be positive."""
    sigma = np.asarray(sigma, dtype=np.float64)
    if sigma.shape not in ((), tuple(shape)) or not np.all(sigma > 0):
        raise InputError(
            f"sigma: expected one positive number or {tuple(shape)} of them, found the shape "
            f"{sigma.shape} and the smallest value {sigma.min()}"
        )
    return np.broadcast_to(sigma, shape)


def numpy_generator(generator: np.random.Generator | torch.Generator) -> np.random.Generator:
    """The generator itself, or one that is seeded from a torch generator."""
    if isinstance(generator, torch.Generator):
        return np.random.default_rng(
            torch.randint(2**62, (), generator=generator, device=generator.device).item()
        )
    return generator
