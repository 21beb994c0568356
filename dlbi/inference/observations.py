"""Checks of the arguments of the exact core."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.dlbi.conventions import STATES
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "dark_residual",
    "log_odds_of",
    "noise_of",
    "numpy_generator",
    "one_draw_of",
    "per_spot",
    "positions_of",
    "radius_of",
    "shape_of",
    "states_of",
    "widths_of",
]

# Beyond it, products of four of these numbers leave the range of float64 (1e308).
LARGEST = 1e60
# Widths from the centre at which a spot is cut off: its height is then 4e-6 of the maximum.
REACH = 5.0
LARGEST_RADIUS = 1000  # pixels; every field is padded by twice the radius, on every side


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
    """One finite number for all spots or one for each, as (N,); `InputError` otherwise."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape not in ((), (1,), (count,)):
        raise InputError(f"{name}: expected one number or {count}, found the shape {values.shape}")
    _require_finite(values, name)
    return np.broadcast_to(values, (count,))


def widths_of(width: ArrayLike, count: int) -> NDArray[np.float64]:
    """Standard deviations of the spots (N,), checked to be positive."""
    width = per_spot(width, count, "width")
    if not np.all(width >= 1 / LARGEST):
        raise InputError(
            f"width: expected positive numbers, {1 / LARGEST:g} or more, found {width.min()}"
        )
    return width


def radius_of(radius: int | None, width: NDArray[np.float64]) -> int:
    """Pixels at which spots are cut off: `REACH` of the largest width where none is given.

    Raises:
        InputError: not a whole number from 1 to `LARGEST_RADIUS`.
    """
    if radius is None:
        widest = float(width.max(initial=1.0))
        if REACH * widest > LARGEST_RADIUS:
            raise InputError(
                f"width: expected at most {LARGEST_RADIUS / REACH:g} pixels, found {widest:g}"
            )
        return math.ceil(REACH * widest)
    whole = isinstance(radius, int | np.integer) and not isinstance(radius, bool)
    if not whole or not 1 <= radius <= LARGEST_RADIUS:
        raise InputError(
            f"radius: expected a whole number of pixels from 1 to {LARGEST_RADIUS}, found "
            f"{radius!r}; leave it out for {REACH:g} widths"
        )
    return int(radius)


def dark_residual(movie: ArrayLike, background: ArrayLike) -> NDArray[np.float64]:
    """Movie (T, H, W) minus its background, which broadcasts to it; `InputError` otherwise."""
    movie = np.asarray(movie, dtype=np.float64)
    if movie.ndim != 3 or not movie.size:
        raise InputError(f"movie: expected (frames, height, width), found the shape {movie.shape}")
    background = np.asarray(background, dtype=np.float64)
    try:
        background = np.broadcast_to(background, movie.shape)
    except ValueError:
        raise InputError(
            f"background: expected one number, {movie.shape[1:]} or {movie.shape} of them, as the "
            f"movie has, found the shape {background.shape}"
        ) from None
    _require_finite(movie, "movie")
    _require_finite(background, "background")
    return movie - background


def noise_of(sigma: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Standard deviation of the noise (H, W), checked to be positive and finite."""
    sigma = np.asarray(sigma, dtype=np.float64)
    if sigma.shape not in ((), tuple(shape)):
        raise InputError(
            f"sigma: expected one number or {tuple(shape)} of them, found the shape {sigma.shape}"
        )
    _require_finite(sigma, "sigma")
    if not np.all(sigma >= 1 / LARGEST):
        raise InputError(
            f"sigma: expected positive numbers, {1 / LARGEST:g} or more, found {sigma.min()}"
        )
    return np.broadcast_to(sigma, shape)


def shape_of(shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a field, checked to be whole positive numbers."""
    sizes = np.asarray(shape)
    if sizes.shape != (2,) or sizes.dtype.kind not in "iu" or np.any(sizes < 1):
        raise InputError(f"shape: expected height and width in whole pixels, found {shape}")
    return int(sizes[0]), int(sizes[1])


def states_of(states: ArrayLike, count: int, frames: int) -> NDArray[np.int8]:
    """States (..., count, frames), checked to be codes 0, 1 or 2; `InputError` otherwise."""
    try:
        states = np.asarray(states)
    except ValueError:  # rows of several lengths
        raise InputError(
            f"states: expected (..., {count}, {frames}), found rows of several lengths"
        ) from None
    if states.shape[-2:] != (count, frames) or 0 in states.shape[:-2]:
        raise InputError(
            f"states: expected (..., {count}, {frames}), found the shape {states.shape}"
        )
    if not np.all(np.isin(states, np.arange(STATES))):
        raise InputError("states: expected 0 emitting, 1 dark or 2 bleached, found other values")
    return states.astype(np.int8)


def one_draw_of(states: ArrayLike, count: int, frames: int) -> NDArray[np.int8]:
    """States (count, frames) of one draw, checked as by `states_of`."""
    checked = states_of(states, count, frames)
    if checked.ndim != 2:
        raise InputError(f"states: expected ({count}, {frames}), found the shape {checked.shape}")
    return checked


def log_odds_of(log_odds: ArrayLike) -> NDArray[np.float64]:
    """Log odds (..., T) of emission, of at least one frame; -inf where emission is impossible."""
    log_odds = np.asarray(log_odds, dtype=np.float64)
    if log_odds.ndim < 1 or log_odds.shape[-1] < 1:
        raise InputError(f"log_odds: expected (..., T), found the shape {log_odds.shape}")
    if not np.all(log_odds < np.inf):  # false for NaN
        raise InputError("log_odds: expected numbers or -inf, found NaN or +inf")
    return log_odds


def _require_finite(values: NDArray, name: str) -> None:
    count = values.size - np.count_nonzero(np.isfinite(values))
    if count:
        raise InputError(f"{name}: expected finite numbers, found {count} that are not")
    largest = np.abs(values).max(initial=0.0)
    if largest > LARGEST:
        raise InputError(
            f"{name}: expected numbers of at most {LARGEST:g}, found {largest:g}; choose another "
            "unit"
        )


def numpy_generator(generator: np.random.Generator | torch.Generator) -> np.random.Generator:
    """The generator itself, or one that is seeded from a torch generator.

    Raises:
        InputError: neither of them, a seed for example.
    """
    if isinstance(generator, torch.Generator):
        return np.random.default_rng(
            torch.randint(2**62, (), generator=generator, device=generator.device).item()
        )
    if not isinstance(generator, np.random.Generator):
        raise InputError(
            "generator: expected a numpy.random.Generator or a torch.Generator, found "
            f"{generator!r}; np.random.default_rng(seed) makes one"
        )
    return generator
