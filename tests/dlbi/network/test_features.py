"""Inputs of the network: units drop out, and what is not there is not made up."""

from dataclasses import replace

import pytest
import torch

from bayesdl_sim.dlbi.blinking import Microscopy, simulate_movie
from bayesdl_sim.dlbi.moments.calibration import calibrate
from bayesdl_sim.dlbi.moments.deconvolution import density_of
from bayesdl_sim.dlbi.moments.statistics import moments_of
from bayesdl_sim.dlbi.network.features import (
    CAMERA_CHANNELS,
    chosen_frames,
    crop_features,
    features_of,
    turned,
)
from bayesdl_sim.dlbi.simulation.scenes import draw_density


def features_from(counts):
    moments = moments_of(counts)
    calibration = calibrate(moments)
    density = density_of(moments, calibration, iterations=30)
    return features_of(moments, calibration, density, counts[chosen_frames(len(counts))]), density


@pytest.fixture(scope="module")
def counts():
    generator = torch.Generator().manual_seed(1)
    density = draw_density("MT", (20, 20), 20.0, generator, 0.6)
    microscopy = Microscopy(photons=500.0)
    return simulate_movie(density, 500.0, 60, generator, microscopy=microscopy).counts


@pytest.fixture(scope="module")
def features(counts):
    return features_from(counts)[0]


def test_another_gain_and_offset_give_the_same_inputs(counts, features):
    other, _ = features_from(4 * counts + 1000)
    torch.testing.assert_close(other.frames, features.frames, rtol=1e-3, atol=1e-3)
    # The background takes up the offset, so its channel differs; the others must not.
    channels = [n for n in range(CAMERA_CHANNELS) if n != 10]
    torch.testing.assert_close(
        other.camera[:, channels], features.camera[:, channels], rtol=0.03, atol=0.03
    )
    torch.testing.assert_close(other.padded, features.padded, rtol=0.03, atol=0.02)


def test_the_network_is_given_all_estimates(counts):
    features, density = features_from(counts)
    for image, estimate in zip(
        features.padded[0], (density.early, density.light, density.middle), strict=True
    ):
        torch.testing.assert_close(image * features.scale, estimate, rtol=1e-4, atol=1e-4)


def test_a_crop_takes_its_part_of_the_background(features):
    uneven = replace(features, background=torch.arange(400.0).view(1, 20, 20))
    part = crop_features(uneven, 3, 5, 8, 9)
    assert torch.equal(part.background, uneven.background[:, 3:11, 5:14])
    assert torch.equal(turned(uneven, 1).background, uneven.background.rot90(1, (1, 2)))


def test_scale_is_that_of_the_structure(counts, features):
    early = features.padded[:, 0]
    typical = early.square().sum() / early.sum()
    assert float(typical) == pytest.approx(1, rel=1e-3)
    _, density = features_from(counts)
    torch.testing.assert_close(early[0] * features.scale, density.early, rtol=1e-4, atol=1e-4)


def test_the_imaging_model_explains_the_mean_in_units_of_the_scale(features):
    (imaging,) = features.imaging()
    expected = imaging.forward(features.padded[0, 1]) + features.background
    error = (expected - features.mean[0]).square().mean().sqrt()
    assert float(error) < 0.1 * float(features.mean.std())


def test_fluctuations_are_standardised(counts, features):
    deviation = features.frames.square().mean(dim=1).sqrt()
    assert float(deviation.mean()) == pytest.approx(1, abs=0.1)
    assert features.frames.shape[1] == min(64, len(counts))


def test_all_inputs_are_finite_for_a_dim_movie():
    generator = torch.Generator().manual_seed(3)
    density = draw_density("beads", (16, 16), 20.0, generator, 0.1)
    microscopy = Microscopy(photons=900.0, background_e=0.0)
    movie = simulate_movie(density, 6.0, 30, generator, microscopy=microscopy)
    moments = moments_of(movie.counts)
    calibration = replace(calibrate(moments), gain=2.2)
    estimate = density_of(moments, calibration, iterations=30)
    features = features_of(moments, calibration, estimate, movie.counts)
    for value in (features.padded, features.camera, features.frames, features.mean, features.scale):
        assert bool(value.isfinite().all())


@pytest.mark.parametrize("value", [0.0, 150.0, 4095.0])
def test_a_pixel_that_never_changes_is_no_evidence(counts, features, value):
    """Ratios to its variance would be without limit, and no network could make use of them."""
    stuck = counts.clone()
    stuck[:, 9, 7] = value
    found, _ = features_from(stuck)
    usual = features.camera.abs().amax(dim=(0, 2, 3))
    assert bool((found.camera.abs().amax(dim=(0, 2, 3)) < 3 * usual + 1).all())
    for image in (found.excess, found.third, found.camera[:, 0]):
        assert float(image[0, 9, 7]) == 0
