"""The sharpened sample is positive and sharper than its image, and explains dim bands better."""

import math

import pytest
import torch

from bayesdl_sim.physics.patterns.bands import camera_otf, separate
from bayesdl_sim.physics.patterns.correlation import (
    field_of,
    filtered,
    reference,
    sample_of,
)
from bayesdl_sim.physics.patterns.measured import MeasuredFrames
from bayesdl_sim.physics.patterns.noise import noise_line, noise_variance, noise_weight
from bayesdl_sim.physics.patterns.phases import NOMINAL
from bayesdl_sim.physics.patterns.positive import positive_sample, sharpened
from bayesdl_sim.physics.patterns.scores import score_map


@pytest.fixture(scope="module")
def points(stand):
    """Two points five pixels apart, and their image through the lens."""
    truth = torch.zeros(48, 60)
    truth[24, 25], truth[24, 30] = 100.0, 70.0
    transfer = camera_otf(stand().optics, (48, 60), "cpu")
    return truth, torch.fft.ifft2(torch.fft.fft2(truth) * transfer).real


def test_points_grow_sharper_and_keep_their_light(stand, points):
    truth, image = points
    sharp = sharpened(image, stand().optics, darkness=0.5)
    assert float(sharp.min()) >= 0
    assert float(sharp.sum()) == pytest.approx(float(truth.sum()), rel=0.08)
    assert float(sharp[24, 25]) > 2 * float(image[24, 25])
    assert int(sharp[24].argmax()) == 25


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_empty_and_negative_images_stay_finite(stand, value):
    sharp = sharpened(torch.full((32, 32), value), stand().optics, darkness=1.0)
    assert bool(torch.isfinite(sharp).all())
    assert float(sharp.min()) >= 0


def test_dim_bands_are_explained_better_than_by_the_wiener_estimate(stand):
    microscope = stand(0.33, 0.30, modulation=0.5)
    frames = MeasuredFrames(microscope.stack(size=(144, 144), signal_e=6.0)).frames
    frames = frames / math.sqrt(noise_variance(frames, microscope.optics))
    field = field_of(microscope.optics, noise_weight(frames))
    mean, bands = frames.mean(dim=0), separate(frames, (NOMINAL,) * 3)[1]
    heights = {}
    for name, sample in (
        ("Wiener", sample_of(field.spectra(mean), field, 1 / 9)),
        ("positive", positive_sample(mean, microscope.optics, noise_line(frames), field)),
    ):
        heights[name] = 0.0
        for o, band in enumerate(bands):
            spectrum, (ky, kx) = field.spectra(band), microscope.wave(o)
            ref = reference(sample, spectrum, field, 1 / 3)
            scores = score_map(ref, filtered(ref, spectrum, field), field)
            places = [
                (round(s * ky * len(scores)), round(s * kx * scores.shape[1])) for s in (1, -1)
            ]
            heights[name] += max(float(scores[y, x]) for y, x in places)
    assert heights["positive"] > 1.1 * heights["Wiener"]


def test_a_spot_does_not_decide_for_the_structure(stand):
    """A bright point has the largest say of all places, but not that of all together."""
    microscope = stand(modulation=0.4)
    raw = microscope.with_spot(2.0, (105, 40), signal_e=60.0)
    frames = MeasuredFrames(raw).frames
    field = field_of(microscope.optics, noise_weight(frames))
    image = positive_sample(frames.mean(dim=0), microscope.optics, noise_line(frames), field).image[
        :128, :128
    ]
    share = image.square() / image.square().sum()
    assert float(share[100:111, 35:46].sum()) < 0.1
    sharp = sharpened(frames.mean(dim=0), microscope.optics, darkness=1.0)
    assert float(sharp[100:111, 35:46].square().sum() / sharp.square().sum()) > 0.1
