"""What programs leave in the noise of a movie, and what a camera does not."""

import io

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter

from bayesdl_sim.dlbi.blinking import Microscopy, simulate_movie
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.movies.processing import noise_colour, noise_memory, processing_notes
from bayesdl_sim.dlbi.simulation.scenes import draw_density
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES

SIGMA = 1.1


def simulated(fluorophore, seed=2):
    generator = torch.Generator().manual_seed(seed)
    density = draw_density("MT", (40, 44), 20.0, generator, 0.6)
    microscopy = Microscopy(fwhm_px=2.6, photons=300.0)
    switching = FLUOROPHORES[fluorophore]
    return simulate_movie(density, 2000.0, 80, generator, switching, microscopy).counts


@pytest.fixture(scope="module")
def counts():
    return simulated("mEos3.2")


def notes(frames):
    return processing_notes(frames[:50], moments_of(frames), SIGMA)


def filtered(counts, how):
    return torch.from_numpy(np.stack([how(frame) for frame in counts.numpy()])).float()


def eight_bits(counts):
    low, high = counts.min(), counts.max()
    return ((counts - low) / (high - low) * 255).round()


def compressed(frame):
    file = io.BytesIO()
    iio.imwrite(file, frame.astype(np.uint8), extension=".jpg", quality=60)
    return iio.imread(file.getvalue())


@pytest.mark.parametrize("fluorophore", ["mEos3.2", "slow", "sparse-bleaching"])
def test_a_camera_leaves_nothing(fluorophore):
    frames = simulated(fluorophore, seed=5)
    assert notes(frames) == []
    assert notes(eight_bits(frames)) == []  # one scale for all frames changes nothing


def test_a_running_average(counts):
    for length in (2, 3):
        averaged = counts.unfold(0, length, 1).mean(dim=-1)
        (note,) = notes(averaged)
        assert note.startswith("neighbouring frames share their noise")


def test_interpolated_frames(counts):
    between = (counts[1:] + counts[:-1]) / 2
    frames = torch.stack([counts[:-1], between], dim=1).flatten(0, 1)
    assert any("share their noise" in note for note in notes(frames))
    assert noise_memory(frames)[0] == pytest.approx(0.4, abs=0.1)


def test_averages_that_share_no_frame_are_counts(counts):
    assert notes(counts[:80].view(40, 2, *counts.shape[1:]).sum(dim=1)) == []


def test_smoothing(counts):
    (note,) = notes(filtered(counts, lambda frame: gaussian_filter(frame, 1.0)))
    assert "smoothing, denoising or compression" in note


def test_compression(counts):
    found = notes(filtered(eight_bits(counts), compressed))
    assert any("compression (JPEG, video)" in note for note in found)


def test_a_median_filter(counts):
    found = notes(filtered(counts, lambda frame: median_filter(frame, 3)))
    assert any("median filter" in note for note in found)


def test_frames_stretched_one_by_one(counts):
    low, high = counts.amin((1, 2), keepdim=True), counts.amax((1, 2), keepdim=True)
    (note,) = notes(((counts - low) / (high - low) * 255).round())
    assert note.startswith("the brightest and the darkest value are the same in every frame")


def test_a_square_root(counts):
    (note,) = notes((counts - counts.min()).sqrt() * 300)
    assert note.startswith("the noise does not grow with the light")


def test_measures_of_white_noise():
    generator = torch.Generator().manual_seed(0)
    frames = 100 + 5 * torch.randn((60, 32, 40), generator=generator)
    for value, error in (noise_memory(frames), noise_colour(moments_of(frames))):
        assert abs(value - 1) < 4 * error < 0.5


def test_few_frames_and_flat_ones_tell_nothing():
    flat = torch.full((10, 32, 32), 7.0)
    assert noise_memory(flat)[0] == 1
    assert noise_colour(moments_of(flat))[0] == 1
    assert processing_notes(flat[:3], moments_of(flat), SIGMA) == []
