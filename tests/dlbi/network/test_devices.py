"""Members and training of the second system on another device than the CPU."""

import pytest
import torch

from bayesdl_sim.bayes.sgld import SGLD
from bayesdl_sim.dlbi.network.posterior import load_posterior
from bayesdl_sim.dlbi.network.samples import load_sample
from bayesdl_sim.dlbi.network.training import MomentsTraining, RunSettings, TrainingSettings

# torch takes the other device for its own `meta`, on which copies do nothing.
pytestmark = pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")


def test_members_stay_on_their_device(untrained, scenes, other_device):
    """And give what the CPU gives, since the numbers are the same."""
    features = load_sample(scenes[1][0]).features
    expected = load_posterior(untrained).predict(features)
    with other_device.refusing():
        prediction = load_posterior(untrained, other_device.device).predict(features)
    torch.testing.assert_close(prediction.density, expected.density, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(prediction.probability, expected.probability, rtol=1e-4, atol=1e-5)


def test_both_optimisers_stay_on_their_device(scenes, tmp_path, other_device):
    sample = load_sample(scenes[1][0])
    losses = {}
    for device in ("cpu", other_device.device):
        with other_device.refusing():
            losses[str(device)] = steps_on(torch.device(device), sample, tmp_path)
    here, there = losses.values()
    assert there == pytest.approx(here, rel=1e-3)


def steps_on(device, sample, folder):
    """Losses of a step of Adam and of two of Langevin dynamics."""
    counts = {"steps": 1, "cooldown": 1, "members": 1, "member_steps": 1}
    run = RunSettings(**counts, folder=folder, device=device, dtype=torch.float32)
    training = MomentsTraining(TrainingSettings(width=16, batch=1), run)
    sampler = SGLD(
        training.network.parameters(),
        lr=1e-5,
        num_data=100,
        precondition=True,
        generator=torch.Generator(device).manual_seed(1),
    )
    optimisers = (training.adam, sampler, sampler)
    return [training.step(sample, optimiser).image.item() for optimiser in optimisers]
