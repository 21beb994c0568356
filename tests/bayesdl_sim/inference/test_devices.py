"""Inference with every option on another device than the CPU, and in true float32."""

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.calibration.stored import write_calibrations
from bayesdl_sim.data.fringe_order import ordered
from bayesdl_sim.evaluation.calibrate import nested_scores
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.judging.gate import LEAST_CELLS, write_gate
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.settings import (
    CHANGES,
    DEFAULT_MAPS,
    INTERVAL,
    MISFIT,
    SHARP,
    MapSettings,
)
from bayesdl_sim.models import members as members_module
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from tests.conftest import MixedDevices

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
    reference = Posterior.load(tmp_path, "cpu", precision="fp32")
    expected = maps_of(reference.reconstruct(movie, EVERYTHING, settings=settings))
    with other_device.working():
        posterior = Posterior.load(tmp_path, other_device.device, precision="fp32")
        result = maps_of(posterior.reconstruct(movie, EVERYTHING, settings=settings))
    assert list(result) == list(expected)
    for name, image in expected.items():
        if name == "Changed":  # a sign may turn where a change is just at its limit
            assert (result[name] == image).mean() > 0.999
        else:
            np.testing.assert_allclose(result[name], image, atol=1e-4, err_msg=name)


def test_calibrated_predictions_stay_on_their_device(save_members, cristae, tmp_path, other_device):
    save_members(tmp_path)
    hashes = Posterior.load(tmp_path, "cpu").hashes
    fitted = Calibration(scale=0.5, members=hashes, fitted_on={"cells": 1, "pixels": 1})
    write_calibrations(tmp_path / "calibration.json", [fitted])
    raw = torch.from_numpy(cristae[None, :, :32, :40].copy())
    expected = Posterior.load(tmp_path, "cpu", precision="fp32").predict(raw)
    with other_device.working():
        posterior = Posterior.load(tmp_path, other_device.device, precision="fp32")
        result = posterior.predict(raw)
        assert posterior.functions[0](posterior.shown(raw)).mean.device == other_device.device
    for name in expected._fields:
        torch.testing.assert_close(getattr(result, name), getattr(expected, name))


def test_the_released_convention_stays_on_its_device(members, stack, other_device):
    options = {"convention": "released", "precision": "fp32"}
    expected = Posterior.load(members, "cpu", **options).reconstruct(stack)
    with other_device.working():
        result = Posterior.load(members, other_device.device, **options).reconstruct(stack)
    np.testing.assert_allclose(result.sr, expected.sr, atol=1e-5)
    np.testing.assert_allclose(result.epistemic, expected.epistemic, atol=1e-5)


def test_gate_and_verdict_stay_on_their_device(save_members, tmp_path, other_device):
    """The scores that a gate is made of, and the comparison of a stack with them."""
    save_members(tmp_path, guess=True)
    scene = next(iter(simulated_cells(seed=7, cells=1, levels=1, size=64)))
    reference = Posterior.load(tmp_path, "cpu", precision="fp32")
    rows = nested_scores(scene, reference)
    write_gate(tmp_path, [[row] * LEAST_CELLS for row in rows], reference.hashes, {})
    reference = Posterior.load(tmp_path, "cpu", precision="fp32")
    expected = reference.judge(reference.prepare(scene.stack()))
    with other_device.working():
        posterior = Posterior.load(tmp_path, other_device.device, precision="fp32")
        device_rows = nested_scores(scene, posterior)
        result = posterior.judge(posterior.prepare(scene.stack()))
        of_result = posterior.reconstruct(scene.stack(), ("SR",)).verdict
    for ours, theirs in zip(device_rows, rows, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-5)
    assert result.decision == expected.decision
    assert of_result.decision in ("accept", "warn", "refuse")


def test_tiles_gaps_and_the_sharp_map_stay_on_their_device(members, stack, other_device):
    stack.raw[:, :, 20:30, 40:60] = 0  # a bar without data
    maps, options = (*DEFAULT_MAPS, *SHARP), {"precision": "fp32", "tile": 48}
    expected = maps_of(Posterior.load(members, "cpu", **options).reconstruct(stack, maps))
    with other_device.working():
        posterior = Posterior.load(members, other_device.device, **options)
        result = maps_of(posterior.reconstruct(stack, maps))
    for name, image in expected.items():
        np.testing.assert_allclose(result[name], image, atol=1e-4, err_msg=name)


def test_gaps_faults_and_spots_are_found_and_filled_on_the_device(
    guess_members, stack, other_device
):
    """Every branch of what prepares a stack, on one stack that has been searched for its order."""
    rows, columns = np.mgrid[: stack.raw.shape[-2], : stack.raw.shape[-1]]
    spot = np.exp(-((rows - 20) ** 2 + (columns - 70) ** 2) / 3)
    stack.raw[:] += (20 * np.ptp(stack.raw) * spot).astype(np.float32)
    stack.raw[..., 60, 30] += 30 * stack.raw.max()  # a hot pixel
    stack.raw[..., 10] = 100  # a dead column
    stack.raw[..., -9:, :] = np.nan
    reference = Posterior.load(guess_members, "cpu", precision="fp32")
    put, search = ordered(stack)
    expected = reference.reconstruct(reference.prepare(put, search=search))
    with other_device.working() as device:
        put, search = ordered(stack, device)
        posterior = Posterior.load(guess_members, device, precision="fp32")
        prepared = posterior.prepare(put, search=search)
        result = posterior.reconstruct(prepared)
        for measured in (prepared.missing(0), prepared.faulty(0), prepared.dimming(0)):
            assert measured.device == device
    assert result.facts["bright_spot"] == pytest.approx(expected.facts["bright_spot"], rel=1e-3)
    assert result.fringe_share == pytest.approx(expected.fringe_share, abs=1e-2)
    assert result.verdict.decision == expected.verdict.decision
    np.testing.assert_allclose(result.sr, expected.sr, atol=1e-3)


def test_what_is_left_to_the_cpu_is_noticed(guess_members, stack, other_device, monkeypatch):
    counts = PreparedStack.counts
    monkeypatch.setattr(PreparedStack, "counts", lambda *words: counts(*words).cpu())

    def guess():
        with other_device.working() as device:
            Posterior.load(guess_members, device, precision="fp32").prepare(stack).guess(0)

    with pytest.raises(MixedDevices, match="computed on the CPU"):
        guess()


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("rcan", {"in_channels": 9, "width": 8, "groups": 1, "blocks": 1, "reduction": 2}),
        ("dfcan", {"in_channels": 9, "width": 8, "groups": 1, "blocks": 1, "reduction": 2}),
    ],
)
def test_other_networks_stay_on_their_device(stack, tmp_path, other_device, backbone, options):
    config = network_config(backbone, "gauss", {"frames": None, "first_guess": False}, **options)
    for index in (1, 2):
        payload = member_payload(build_network(config, seed=index), {"kind": "ensemble"}, {})
        save_checkpoint(member_path(tmp_path, index), payload)
    raw = torch.from_numpy(stack.raw)
    expected = Posterior.load(tmp_path, "cpu", precision="fp32").predict(raw)
    with other_device.working():
        result = Posterior.load(tmp_path, other_device.device, precision="fp32").predict(raw)
    torch.testing.assert_close(result.mean, expected.mean, rtol=1e-4, atol=1e-5)


def test_bf16_stays_on_its_device(guess_members, stack, other_device):
    """Mixed precision casts weights and frames; both casts happen where they are."""
    with other_device.working():
        posterior = Posterior.load(guess_members, other_device.device, precision="bf16")
        result = posterior.reconstruct(stack)
    assert np.isfinite(result.sr).all()


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
