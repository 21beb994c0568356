"""The noise of a camera is white; filters colour it, and sharpening shows at coarse detail."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter, shift, zoom

from bayesdl_sim.physics.checks.noise_spectrum import coarse_noise, noise_colour
from bayesdl_sim.physics.patterns.measured import MeasuredFrames


def coarse_noise_of(raw, cutoff=0.33):
    stack = MeasuredFrames(raw)
    return coarse_noise(stack.frames, stack.beyond_any_lens, cutoff)


def sharpened(raw, sigma, weight):
    """An unsharp mask: what a blurred frame lacks, added."""
    frames = raw.numpy()
    blurred = gaussian_filter(frames, (0, sigma, sigma))
    return torch.from_numpy((frames - weight * blurred) / (1 - weight)).round()


@pytest.fixture(scope="module")
def good(stand):
    return stand(modulation=0.4).stack(size=(144, 144), signal_e=120.0, kind="MT")


@pytest.mark.parametrize("signal_e", [8.0, 300.0])
@pytest.mark.parametrize("kind", ["MT", "Mitochondria", "CCPs"])
def test_noise_of_single_pixels_is_white(stand, kind, signal_e):
    frames = MeasuredFrames(stand(modulation=0.6).stack((128, 128), signal_e, kind=kind)).frames
    colour = noise_colour(frames, 0.33)
    assert colour.ratio == pytest.approx(1.0, abs=4 * colour.error)
    assert colour.error < 0.06


@pytest.mark.parametrize(
    "filtered",
    [
        lambda frame: median_filter(frame, 3),
        lambda frame: gaussian_filter(frame, 0.5),
        lambda frame: shift(frame, (0.3, 0.2), order=1, mode="nearest"),
        lambda frame: shift(frame, (0.3, 0.2), order=3, mode="nearest"),
        lambda frame: zoom(frame[:72, :72], 2, order=3),
    ],
    ids=["median", "Gaussian", "linear shift", "cubic shift", "enlarged"],
)
def test_filters_and_interpolations_colour_the_noise(stand, filtered):
    raw = stand(modulation=0.6).stack((144, 144), 20.0, kind="MT")
    frames = torch.stack([torch.from_numpy(filtered(frame.numpy())) for frame in raw])
    colour = noise_colour(MeasuredFrames(frames).frames, 0.33)
    assert colour.ratio + 4 * colour.error < 0.9


def test_frames_that_do_not_differ_have_no_noise_to_judge(good):
    assert math.isnan(noise_colour(MeasuredFrames(good[:1].expand(9, -1, -1)).frames, 0.33).ratio)


def test_a_lens_that_passes_all_frequencies_leaves_none_to_the_noise(good):
    assert math.isnan(noise_colour(MeasuredFrames(good).frames, 0.48).ratio)


@pytest.mark.parametrize("signal_e", [8.0, 60.0, 400.0])
@pytest.mark.parametrize("kind", ["MT", "Mitochondria", "CCPs"])
def test_sharpening_amplifies_the_fine_noise_alone(stand, kind, signal_e):
    raw = stand(modulation=0.6).stack((144, 144), signal_e, kind=kind)
    camera = coarse_noise_of(raw)
    assert camera.ratio + 3 * camera.error > 1.0
    assert camera.error < 0.1
    strong, mild = (coarse_noise_of(sharpened(raw, sigma, 0.6)) for sigma in (1.0, 2.0))
    assert strong.ratio + 4 * strong.error < 0.9
    assert mild.ratio + 2 * mild.error < 0.9


def deconvolved(raw, rounds):
    """Richardson-Lucy with a Gaussian, above the darkest values."""
    frames = raw.numpy().astype(float)
    counts = (frames - np.percentile(frames, 0.5)).clip(min=0.01)
    result = counts.copy()
    for _ in range(rounds):
        ratio = counts / gaussian_filter(result, (0, 1.2, 1.2)).clip(min=1e-3)
        result = result * gaussian_filter(ratio, (0, 1.2, 1.2))
    return torch.from_numpy(result + 100).round()


@pytest.mark.parametrize("signal_e", [15.0, 200.0])
@pytest.mark.parametrize("kind", ["MT", "Mitochondria", "CCPs"])
def test_deconvolution_amplifies_the_noise_of_middle_detail(stand, kind, signal_e):
    raw = stand(modulation=0.6).stack((128, 128), signal_e, kind=kind)
    camera, after = coarse_noise_of(raw), coarse_noise_of(deconvolved(raw, 5))
    assert camera.middle == pytest.approx(1.0, abs=4 * camera.middle_error)
    assert camera.middle_error < 0.06
    assert after.middle - 5 * after.middle_error > 1.3


def test_drift_is_not_taken_for_noise_of_middle_detail(stand):
    expected = stand(modulation=0.6).expected((144, 144), "ER")
    moved = [shift(frame, (0.05 * n, 0), mode="nearest") for n, frame in enumerate(expected)]
    generator = torch.Generator().manual_seed(3)
    light = 200 * torch.from_numpy(np.stack(moved)).clamp(min=0)
    noise = coarse_noise_of(torch.poisson(light, generator=generator) * 2 + 100)
    assert noise.middle - 5 * noise.middle_error < 1.3


def test_light_that_differs_between_the_frames_only_adds(stand):
    raw = stand(modulation=0.8).stack((144, 144), 400.0, kind="MT")
    slope = torch.linspace(-0.3, 0.3, 144)[None, :, None] * torch.arange(9)[:, None, None] / 9
    noise = coarse_noise_of(100 + (raw - 100) * (1 + slope))
    assert noise.ratio - 3 * noise.error > 1.0


def test_noise_without_a_frequency_of_its_own_is_not_judged(good):
    assert math.isnan(coarse_noise_of(good, cutoff=0.48).ratio)
    assert math.isnan(coarse_noise_of(good[:1].expand(9, -1, -1)).ratio)
