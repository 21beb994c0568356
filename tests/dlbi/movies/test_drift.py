"""Drift: measured, taken out, or refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import shift

from bayesdl_sim.dlbi.movies.drift import (
    LARGEST_PX,
    Drift,
    corrected,
    first_frames,
    measure_drift,
    shifted,
)
from bayesdl_sim.dlbi.movies.reading import Movie
from bayesdl_sim.dlbi.movies.survey import survey
from bayesdl_sim.utils.errors import InputError


def moving(places, noise=2.0, seed=0):
    """A smooth structure at places (T, 2), in camera pixels, and the structure at (0, 0)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :52]
    image = np.zeros((48, 52))
    for centre in rng.uniform(8, 40, (25, 2)):
        image += 60 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 1.4**2))
    movie = np.stack([shift(image, place, order=3) for place in places])
    blinking = rng.lognormal(0, 0.1, (len(movie), 1, 1))
    counts = movie * blinking + 100 + noise * rng.standard_normal(movie.shape)
    return Movie.of(torch.from_numpy(counts.astype(np.float32))), image


def drifting(total, frames=80, noise=2.0):
    """A smooth structure that moves at a constant speed by `total` pixels."""
    return moving(np.outer(np.arange(frames) / (frames - 1) - 0.5, total), noise)


def along_y(places):
    return np.stack([places, np.zeros(len(places))], axis=1)


def test_a_movie_at_rest():
    movie, _ = drifting((0.0, 0.0))
    drift = measure_drift(survey(movie).means)
    assert not drift.corrected
    assert np.hypot(*drift.total_px) < 0.1


@pytest.mark.parametrize("total", [(1.5, -0.8), (0.0, 2.5)])
def test_drift_is_measured(total):
    drift = measure_drift(survey(drifting(total)[0]).means)
    assert drift.corrected
    np.testing.assert_allclose(drift.total_px, total, atol=0.12)


def test_drift_is_taken_out():
    movie, image = drifting((2.0, 1.0), noise=0.5)
    drift = measure_drift(survey(movie).means)
    frames = torch.cat(list(corrected(movie, drift)))
    inner = (slice(8, -8), slice(8, -8))
    errors = []
    for frame in (torch.cat(list(movie.pieces()))[0], frames[0]):
        errors.append(np.corrcoef(frame.numpy()[inner].ravel(), image[inner].ravel())[0, 1])
    assert errors[1] > 0.995 > errors[0]


def test_too_much_drift_is_refused():
    with pytest.raises(InputError, match="drifts by"):
        measure_drift(survey(drifting((7.0, 0.0))[0]).means, "cell.tif")


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
    means = survey(Movie.of(counts)).means
    torch.testing.assert_close(means[:, 0, 0], torch.arange(8) * 2 + 0.5)


def test_a_drift_there_and_back_is_taken_out():
    """A straight line through it has no slope: it used to be accepted without a correction."""
    places = along_y(2.5 * (1 - np.abs(np.arange(96) - 48) / 48))
    movie, _ = moving(places, noise=0.5)
    drift = measure_drift(survey(movie).means)
    assert drift.corrected
    assert drift.length_px == pytest.approx(2.5 * 0.75, abs=0.2)  # between means of blocks
    found = np.array([drift.at(frame, 96) for frame in range(96)])
    off = found - places - (found - places).mean(axis=0)
    assert np.abs(off).max() < 0.4
    frames = torch.cat(list(corrected(movie, drift))).numpy()[:, 8:-8, 8:-8]
    steady = np.corrcoef(frames[2].ravel(), frames[48].ravel())[0, 1]
    raw = movie.counts.numpy()[:, 8:-8, 8:-8]
    assert steady > 0.97 > 0.8 > np.corrcoef(raw[2].ravel(), raw[48].ravel())[0, 1]


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (6.0 * (np.arange(96) >= 12), r"moves by up to 5.8 camera pixels, at most 4"),
        (6.0 * (1 - np.abs(np.arange(96) - 48) / 48), "moves by up to 4.5 camera pixels"),
        (2.0 * (np.arange(96) >= 48), r"fast, 1.9\d camera pixels between parts 4 and 5 of 8"),
        (2.0 * np.sin(np.arange(96) / 8), "jumps, shakes or moves too fast"),
    ],
)
def test_jumps_and_shaking_are_refused(places, words):
    with pytest.raises(InputError, match=words) as caught:
        measure_drift(survey(moving(along_y(places))[0]).means, "cell.tif")
    assert str(caught.value).startswith("cell.tif: the sample ")


def test_fast_shaking_is_mentioned_where_it_cannot_be_told_from_blinking():
    drift = Drift(total_px=np.ones(2), error_px=3.0, corrected=False, scatter_px=24.0)
    (warning,) = drift.warnings
    assert warning.startswith("parts of the movie seem displaced by up to 24.0 px")
    assert replace(drift, scatter_px=0.5).warnings == []
    assert replace(drift, corrected=True).warnings == []


def test_displacements_that_blinking_pretends_are_no_drift():
    """Few fluorophores emit at a time, and the means of blocks differ by which they are."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:40, :40]
    means = np.zeros((8, 40, 40))
    for block in means:
        for centre in rng.uniform(6, 34, (4, 2)):
            block += 50 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 3)
    means += 20 + rng.standard_normal(means.shape)
    drift = measure_drift(torch.from_numpy(means.astype(np.float32)))
    assert not drift.corrected
    assert bool(drift.warnings) == (drift.scatter_px > LARGEST_PX)


def test_the_first_frames():
    movie, _ = drifting((2.0, 0.0))
    drift = measure_drift(survey(movie).means)
    whole = torch.cat(list(corrected(movie, drift)))
    assert torch.equal(first_frames(movie, drift, None, 60), whole[:60])
    assert torch.equal(first_frames(movie, drift, None, 400), whole)


def test_a_faulty_pixel_is_filled_before_the_frames_are_moved():
    movie, _ = moving(np.zeros((16, 2)))
    stuck = torch.zeros(movie.shape, dtype=torch.bool)
    stuck[20, 22] = True
    broken = movie.counts.clone()
    broken[:, 20, 22] = 60000.0
    rest = Drift(total_px=np.zeros(2), error_px=0.0, corrected=False)
    filled = torch.cat(list(corrected(Movie.of(broken), rest, stuck)))
    usual = movie.counts.mean(dim=0)
    assert abs(float(filled.mean(dim=0)[20, 22] - usual[20, 22])) < 0.3 * float(usual.std())
    assert torch.equal(filled[:, ~stuck], broken[:, ~stuck])
