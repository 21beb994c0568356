"""A tiny simulator of our own: points, blinking, spots, shot noise."""

from typing import NamedTuple

import numpy as np

from bayesdl_sim.dlbi.fhmm import spot_images


class Toy(NamedTuple):
    """A movie in electrons and its truth."""

    movie: np.ndarray  # (T, H, W)
    positions: np.ndarray  # (N, 2)
    states: np.ndarray  # (N, T)
    light: np.ndarray  # (N, T)


SPARSE = np.array([[0.5, 0.5, 0.0], [0.04, 0.96, 0.0], [0.0, 0.0, 1.0]])
WIDTH, BACKGROUND, BRIGHTNESS = 1.1, 4.0, 500.0


def blink(count, frames, table, generator):
    """States (count, frames) of chains that start in balance."""
    share = table[1, 0] / (table[1, 0] + table[0, 1])
    states = np.empty((count, frames), dtype=int)
    states[:, 0] = generator.random(count) >= share
    for t in range(1, frames):
        bounds = np.cumsum(table, axis=1)[states[:, t - 1]]
        states[:, t] = (generator.random((count, 1)) >= bounds[:, :2]).sum(axis=1)
    return states


def toy(positions, frames=150, shape=(20, 20), seed=0, table=SPARSE, spread=0.25):
    """Simulates emitters at positions (N, 2)."""
    generator = np.random.default_rng(seed)
    states = blink(len(positions), frames, table, generator)
    noise = generator.normal(size=states.shape)
    light = (states == 0) * BRIGHTNESS * np.exp(spread * noise - spread**2 / 2)
    expected = np.einsum("nt,nhw->thw", light, spot_images(positions, 1.0, WIDTH, shape))
    movie = generator.poisson(expected + BACKGROUND).astype(np.float64)
    return Toy(movie, np.asarray(positions), states, light)


def sparse_ring():
    """Thirty emitters on a ring of 7 camera pixels."""
    angles = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    ring = 9.5 + 7 * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return toy(ring, frames=300)


def misfit(field):
    """Mean squared residual of a `Field` over its variance; 1 where a model explains the movie."""
    used = field.weights > 0
    return float((field.weighted[used].astype(np.float64) ** 2 / field.weights[used]).mean())
