"""Inference with every option on another device than the CPU, and in true float32."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.calibration.stored import write_calibrations
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.settings import CHANGES, DEFAULT_MAPS, INTERVAL, MISFIT, MapSettings
from bayesdl_sim.models import members as members_module

# torch takes the other device for its own `meta`, on which copies do nothing.
pytestmark = pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
EVERYTHING = (*DEFAULT_MAPS, *INTERVAL, *MISFIT, *CHANGES)


def maps_of(result):
    return result.channels | result.further


@pytest.mark.parametrize("likelihood", ["gauss", "laplace"])
def test_reconstruction_with_all_maps_stays_on_its_device(
    save_members, movie, tmp_path, other_device, likelihood
):
    """And gives what the CPU gives, since the numbers are the same."""
    save_members(tmp_path, guess=True, likelihood=likelihood)
    settings = MapSettings(exceed=0.5, draws=1)
    here = Posterior.load(tmp_path, "cpu", precision="fp32")
    expected = maps_of(here.reconstruct(movie, EVERYTHING, settings=settings))
    with other_device.refusing():
        there = Posterior.load(tmp_path, other_device.device, precision="fp32")
        found = maps_of(there.reconstruct(movie, EVERYTHING, settings=settings))
    assert list(found) == list(expected)
    for name, image in expected.items():
        if name == "Changed":  # a sign may turn where a change is just at its limit
            assert (found[name] == image).mean() > 0.999
        else:
            np.testing.assert_allclose(found[name], image, atol=1e-4, err_msg=name)


def test_calibrated_predictions_stay_on_their_device(save_members, cristae, tmp_path, other_device):
    save_members(tmp_path)
    hashes = Posterior.load(tmp_path, "cpu").hashes
    fitted = Calibration(scale=0.5, members=hashes, fitted_on={"cells": 1, "pixels": 1})
    write_calibrations(tmp_path / "calibration.json", [fitted])
    raw = torch.from_numpy(cristae[None, :, :32, :40].copy())
    expected = Posterior.load(tmp_path, "cpu", precision="fp32").predict(raw)
    with other_device.refusing():
        there = Posterior.load(tmp_path, other_device.device, precision="fp32")
        found = there.predict(raw)
        assert there.functions[0](there.shown(raw)).mean.device == other_device.device
    for name in expected._fields:
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))


def test_the_released_convention_stays_on_its_device(members, stack, other_device):
    options = {"convention": "released", "precision": "fp32"}
    expected = Posterior.load(members, "cpu", **options).reconstruct(stack)
    with other_device.refusing():
        found = Posterior.load(members, other_device.device, **options).reconstruct(stack)
    np.testing.assert_allclose(found.sr, expected.sr, atol=1e-5)
    np.testing.assert_allclose(found.epistemic, expected.epistemic, atol=1e-5)


@pytest.mark.parametrize("call", ["reconstruct", "predict"])
def test_float32_is_true_float32(posterior, stack, monkeypatch, call):
    real, precisions = members_module.predict_tiled, []

    def watched(*words):
        precisions.append(torch.backends.cudnn.conv.fp32_precision)
        return real(*words)

    monkeypatch.setattr(members_module, "predict_tiled", watched)
    before = torch.backends.cudnn.conv.fp32_precision
    if call == "reconstruct":
        posterior.reconstruct(stack, ("SR",))
    else:
        posterior.predict(torch.from_numpy(stack.raw))
    assert set(precisions) == {"ieee"}
    assert torch.backends.cudnn.conv.fp32_precision == before
