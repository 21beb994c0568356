"""The moments generator: shapes, units, and the imaging model inside it."""

from dataclasses import replace

import pytest
import torch

from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.network.losses import blurred, losses_of
from bayesdl_sim.dlbi.network.unrolled import MomentsGenerator, imaging_ratio


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MomentsGenerator(16).eval()


def test_shapes_at_all_scales(network, samples):
    structure = network(samples[0].features)
    assert structure.light.shape == (1, 192, 192)
    assert structure.light_4x.shape == (1, 96, 96)
    assert structure.light_2x.shape == (1, 48, 48)
    assert structure.occupied.shape == (1, 192, 192)
    assert structure.log_brightness.shape == (1,)
    assert bool((structure.light >= 0).all())


def test_any_number_of_frames(network, samples):
    features = samples[0].features
    for count in (1, 9):
        few = replace(features, frames=features.frames[:, :count])
        assert network(few).light.shape == (1, 192, 192)


def test_order_of_frames_does_not_matter(network, samples):
    features = samples[0].features
    turned = replace(features, frames=features.frames.flip(1))
    torch.testing.assert_close(network(features).light, network(turned).light, rtol=1e-4, atol=1e-4)


def test_light_that_explains_the_mean_has_a_ratio_of_one(samples):
    features = samples[0].features
    (imaging,) = features.imaging()
    mean = imaging.forward(features.padded[0, 1]) + features.background
    exact = replace(features, mean=mean[None])
    light = Imaging.crop(features.padded)[:, 1]
    ratio = imaging_ratio(light, exact)
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=1e-3, atol=1e-3)
    dim = imaging_ratio(light / 2, exact)
    assert float(dim.mean()) > 1.05


def test_the_truth_has_no_loss(network, samples):
    sample = samples[0]
    truth = sample.fluorophores * sample.brightness[:, None, None]
    structure = network(sample.features)
    perfect = replace(structure, light=truth, first=truth)
    assert float(losses_of(perfect, sample).image) < 2e-3
    assert float(losses_of(structure, sample).image) > 0.1


def test_every_weight_gets_a_gradient(network, samples):
    network.train()
    losses_of(network(samples[0].features), samples[0]).total.backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert without == []


def test_blur_conserves_light_and_has_its_width():
    image = torch.zeros((1, 61, 61))
    image[0, 30, 30] = 2
    soft = blurred(image, 2.0)
    offset = torch.arange(61.0) - 30
    assert float(soft.sum()) == pytest.approx(2, rel=1e-4)
    variance = float((soft[0].sum(0) * offset.square()).sum() / soft.sum())
    assert variance == pytest.approx(4, rel=1e-3)
