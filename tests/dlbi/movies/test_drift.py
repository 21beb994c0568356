"""Drift: measured, taken out, or refused."""

import numpy as np
import pytest
import torch
from scipy.ndimage import shift

from bayesdl_sim.dlbi.movies.drift import block_means, corrected, measure_drift, shifted
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.utils.errors import InputError


def drifting(total, frames=80, noise=2.0, seed=0):
    """A smooth structure that moves at a constant speed by `total` pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :52]
    image = np.zeros((48, 52))
    for centre in rng.uniform(8, 40, (25, 2)):
        image += 60 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 1.4**2))
    time = np.arange(frames) / (frames - 1) - 0.5
    movie = np.stack([shift(image, np.array(total) * t, order=3) for t in time])
    blinking = rng.lognormal(0, 0.1, (frames, 1, 1))
    counts = movie * blinking + 100 + noise * rng.standard_normal(movie.shape)
    return Movie.of(torch.from_numpy(counts.astype(np.float32))), image


def test_a_movie_at_rest():
    movie, _ = drifting((0.0, 0.0))
    drift = measure_drift(block_means(movie))
    assert not drift.corrected
    assert np.hypot(*drift.total_px) < 0.1


@pytest.mark.parametrize("total", [(1.5, -0.8), (0.0, 2.5)])
def test_drift_is_measured(total):
    drift = measure_drift(block_means(drifting(total)[0]))
    assert drift.corrected
    np.testing.assert_allclose(drift.total_px, total, atol=0.12)


def test_drift_is_taken_out():
    movie, image = drifting((2.0, 1.0), noise=0.5)
    drift = measure_drift(block_means(movie))
    frames = torch.cat(list(corrected(movie, drift)))
    inner = (slice(8, -8), slice(8, -8))
    errors = []
    for frame in (torch.cat(list(movie.pieces()))[0], frames[0]):
        errors.append(np.corrcoef(frame.numpy()[inner].ravel(), image[inner].ravel())[0, 1])
    assert errors[1] > 0.995 > errors[0]


def test_too_much_drift_is_refused():
    with pytest.raises(InputError, match="drifts by"):
        measure_drift(block_means(drifting((7.0, 0.0))[0]), "cell.tif")


def test_whole_pixels_are_shifted_exactly():
    frames = torch.rand((2, 12, 14), generator=torch.Generator().manual_seed(0))
    moved = shifted(frames, np.array([[2.0, -1.0], [0.0, 0.0]]))
    torch.testing.assert_close(moved[0, :9, 2:], frames[0, 2:11, 1:-1], atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[1], frames[1], atol=1e-5, rtol=0)


def test_white_noise_stays_white():
    noise = torch.randn((200, 32, 32), generator=torch.Generator().manual_seed(0))
    moved = shifted(noise, np.full((200, 2), 0.5))[:, 8:-8, 8:-8]
    assert float(moved.var()) == pytest.approx(1, abs=0.08)  # without the Nyquist frequency
    neighbours = (moved[:, 1:] * moved[:, :-1]).mean()
    assert float(neighbours) == pytest.approx(0, abs=0.05)


def test_blocks_are_means_of_consecutive_frames():
    counts = torch.arange(16.0)[:, None, None].expand(16, 16, 16)
    means = block_means(Movie.of(counts))
    torch.testing.assert_close(means[:, 0, 0], torch.arange(8) * 2 + 0.5)
