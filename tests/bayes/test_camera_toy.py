"""Step 2 where the truth is known: the variance of a Poisson-Gauss camera."""

import pytest
import torch

from bayesdl_sim.bayes.likelihoods import gauss_nll, standard_deviation
from bayesdl_sim.models.bayesdl import UncertaintyTail
from bayesdl_sim.physics.sensor.camera import Camera, expose

torch.set_num_threads(1)
CAMERA = Camera(gain=2.2, offset=100.0, read_noise_e=1.5)
BRIGHTEST_E = 200.0
SCALE = CAMERA.gain * BRIGHTEST_E  # counts per unit of normalised intensity


def fields(count, seed):
    """Smooth expected signals and one exposure of each, normalised; (count, 1, 32, 32)."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 4, 4, generator=g)
    electrons = BRIGHTEST_E * torch.nn.functional.interpolate(coarse, size=32, mode="bilinear")
    counts = expose(electrons, CAMERA, g)
    return electrons / BRIGHTEST_E, (counts - CAMERA.offset) / SCALE


def features_of(mean):
    """What a trunk would hand to the tail: nothing but the image itself, on the raw grid."""
    return torch.nn.functional.avg_pool2d(mean, 2).expand(-1, 8, -1, -1)


@pytest.fixture(scope="module")
def learnt():
    """Sigma of unseen fields after a short fit of a tail, with mean and exposure."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tail = UncertaintyTail(8)
    mean, target = fields(256, 1)
    steps, g = 600, torch.Generator().manual_seed(2)
    optimiser = torch.optim.Adam(tail.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        batch = torch.randint(0, len(mean), (8,), generator=g)
        log_var = tail(features_of(mean[batch]), mean[batch])
        optimiser.zero_grad()
        gauss_nll(mean[batch], log_var, target[batch]).backward()
        optimiser.step()
        schedule.step()
    mean, target = fields(64, 3)
    with torch.no_grad():
        sigma = standard_deviation("gauss", tail(features_of(mean), mean))
    return mean, target, sigma


def test_variance_against_signal_has_the_gain_as_slope(learnt):
    mean, _, sigma = learnt
    signal, variance = SCALE * mean.flatten(), (SCALE * sigma.flatten()) ** 2  # counts, counts^2
    centred = signal - signal.mean()
    slope = float((centred * variance).sum() / centred.square().sum())
    print("slope", slope, "counts, gain", CAMERA.gain)
    assert slope == pytest.approx(CAMERA.gain, rel=0.05)


def test_median_error_of_sigma(learnt):
    mean, _, sigma = learnt
    # Rounding to whole counts adds the variance of a uniform number, 1/12.
    variance = CAMERA.gain**2 * (BRIGHTEST_E * mean + CAMERA.read_noise_e**2) + 1 / 12
    error = float((sigma * SCALE / variance.sqrt() - 1).abs().median())
    print("median error of sigma", error)
    assert error < 0.05


def test_standardised_errors_have_unit_variance(learnt):
    mean, target, sigma = learnt
    mean_z2 = float(((target - mean) / sigma).square().mean())
    print("mean z^2", mean_z2)
    assert 0.95 < mean_z2 < 1.05
