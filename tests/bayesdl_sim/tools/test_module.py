"""A posterior as one module: its outputs are those of `reconstruct`, bit by bit."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.calibration.image_features import FeatureScale, ImageFeatures
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.calibration.stored import write_calibrations
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.bayesdl import build_network, member_payload
from bayesdl_sim.tools.export.module import OUTPUTS, PosteriorModule, module_arguments, module_state
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError


@pytest.fixture(scope="module")
def calibrated(save_tiny_members, tmp_path_factory):
    """Members with a first guess, calibrated by a scale and by features of the image."""
    folder = save_tiny_members(tmp_path_factory.mktemp("calibrated"))
    weights, lit_weights = (0.4, 0.2, -0.3, 0.1, -0.1), (0.1, 0.3, -0.2, 0.2, 0.1)
    low, high = ImageFeatures(-3.0, -3.0, -9.0, 0.0), ImageFeatures(1.0, 1.0, 0.0, 6.0)
    fitted = Calibration(
        scale=0.7,
        by_features=FeatureScale(weights, low, high, lit_weights),
        members=Posterior.load(folder, "cpu").hashes,
        fitted_on={"cells": 3, "pixels": 9},
    )
    write_calibrations(folder / "calibration.json", [fitted])
    return Posterior.load(folder, "cpu", precision="fp32")


def module_of(posterior):
    module = PosteriorModule(**module_arguments(posterior))
    module.load_state_dict(module_state(posterior))
    return module


def maps_of(result):
    maps = (result.sr, result.aleatoric, result.epistemic, result.channels["Credibility"])
    return dict(zip(OUTPUTS, (*maps, result.total), strict=True))


def test_outputs_equal_the_reconstruction_of_every_stack(calibrated, stack_of, cristae):
    """Two stacks of different brightness: each keeps the scale that it has alone."""
    pair = [cristae[:, :64, :68], 3 * cristae[:, 40:104, 30:98]]
    outputs = module_of(calibrated)(torch.from_numpy(np.stack(pair)))
    for index, frames in enumerate(pair):
        expected = maps_of(calibrated.reconstruct(stack_of(frames)))
        for name, output in zip(OUTPUTS, outputs, strict=True):
            assert output.shape == (2, 1, 128, 136)
            np.testing.assert_array_equal(output[index].numpy(), expected[name], err_msg=name)


def test_total_is_that_of_the_calibrated_parts(calibrated, cristae):
    module = module_of(calibrated)
    raw = torch.from_numpy(cristae[None, :, :64, :64].copy())
    _, aleatoric, epistemic, _, total = module(raw)
    torch.testing.assert_close(total, (aleatoric**2 + epistemic**2).sqrt())
    module.calibration = Calibration()
    assert not torch.allclose(module(raw)[4], total)


def test_pixels_without_data_are_nan(calibrated, stack_of, cristae):
    frames = cristae[:, :64, :64].copy()
    frames[:, :8, :10] = 0  # one value in all frames: a border without data
    outputs = module_of(calibrated)(torch.from_numpy(frames[None]))
    expected = maps_of(calibrated.reconstruct(stack_of(frames)))
    for name, output in zip(OUTPUTS, outputs, strict=True):
        np.testing.assert_array_equal(output[0].numpy(), expected[name])
    assert torch.isnan(outputs[0][0, 0, :16, :20]).all()
    assert not torch.isnan(outputs[0][0, 0, 16:]).any()


def test_arguments_are_plain_and_state_has_every_member(calibrated):
    arguments, state = module_arguments(calibrated), module_state(calibrated)
    assert arguments["members"] == 2
    assert arguments["by_features"]["weights"] == [0.4, 0.2, -0.3, 0.1, -0.1]
    assert arguments["by_features"]["lit_weights"] == [0.1, 0.3, -0.2, 0.2, 0.1]
    prefixes = {name.split(".")[1] for name in state}
    assert prefixes == {"0", "1"}
    first = state["members.0.trunk.output.weight"]
    assert not torch.equal(first, state["members.1.trunk.output.weight"])


def test_other_input_is_refused(calibrated):
    module = module_of(calibrated)
    for shape in ((9, 64, 64), (1, 13, 64, 64)):
        with pytest.raises(InputError, match="nine frames in orientation-major order"):
            module(torch.zeros(shape))


def test_members_without_total_uncertainty_are_refused(calibrated):
    arguments = module_arguments(calibrated)
    with pytest.raises(InputError, match="two or more members"):
        PosteriorModule(**{**arguments, "members": 1})
    network = {**arguments["network"], "likelihood": ""}
    with pytest.raises(InputError, match="uncertainty tails"):
        PosteriorModule(**{**arguments, "network": network})


def test_members_that_need_more_than_weights_are_refused(calibrated, tmp_path):
    config = calibrated.members[0].network
    for index in (1, 2):
        sampler = {"kind": "mc_dropout", "seed": index}
        payload = member_payload(build_network(config, seed=index), sampler, {})
        save_checkpoint(member_path(tmp_path, index), payload)
    with pytest.raises(InputError, match="MC dropout need more than their weights"):
        module_arguments(Posterior.load(tmp_path, "cpu"))
