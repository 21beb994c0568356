"""test.py on checkpoints of the released code: its numbers again, or the law of total variance."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.models.bayesdl import build_network, network_config
from bayesdl_sim.models.released import load_released, released_state
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
SIZE = (35, 40)


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "test.py"))["main"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A 16-bit stack with one hot pixel, which rules a min-max scale."""
    rng = np.random.default_rng(1)
    frames = rng.poisson(200, (9, *SIZE)).astype(np.uint16) + 90
    frames[3, 7, 8] = 3000
    path = tmp_path_factory.mktemp("stack") / "raw.tif"
    tifffile.imwrite(path, frames)
    return path


def save(folder, likelihood="gauss", count=3):
    """Members whose means lie around [0, 1], so that clipping matters."""
    for index in range(1, count + 1):
        options = {"in_channels": 9, "width": 16, "groups": 1, "blocks": 2}
        network = build_network(network_config("rcan", likelihood, **options), seed=index)
        with torch.no_grad():
            network.trunk.tail[-1].weight *= 30
        state = {f"module.{name}": value for name, value in released_state(network).items()}
        torch.save(state, folder / f"SGLD_{likelihood}_#{index}.pth")
    return folder


@pytest.fixture(scope="module")
def posterior(tmp_path_factory):
    return save(tmp_path_factory.mktemp("released"))


def run(script, stack, posterior, results, *more):
    options = ["--test_data", stack, "--pretrained_G", posterior, "--save_path", results]
    script([str(word) for word in [*options, "--device", "cpu", *more]])
    return json.loads((results / "prediction.json").read_text())


def outputs(posterior, stack):
    """What the released script gets from its networks: frames scaled in float64, then float32."""
    raw = tifffile.imread(stack)
    low, high = np.percentile(raw, 0), np.percentile(raw, 100)
    scaled = np.clip((raw - low) / (high - low + 1e-7), 0, 1)
    frames = torch.Tensor(scaled).unsqueeze(0)
    arrays = []
    for path in sorted(posterior.glob("*.pth")):
        with torch.no_grad():
            arrays.append([image[0].numpy() for image in load_released(path).network(frames)])
    return [np.stack(images) for images in zip(*arrays, strict=True)]


def test_released_convention_gives_the_released_maps(script, stack, posterior, tmp_path, capsys):
    facts = run(script, stack, posterior, tmp_path, "--convention", "released", "--tile", 32)
    assert "35x40 px are computed at once, not in tiles of 32 px" in capsys.readouterr().out
    means, log_vars = outputs(posterior, stack)
    clipped = means[:, 0].clip(0, 1)
    assert (clipped != means[:, 0]).mean() > 0.1
    sr = (65535 * np.mean(clipped, axis=0)).astype("uint16")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "SR.tif"), sr)
    epistemic = tifffile.imread(tmp_path / "Epistemic.tif")
    np.testing.assert_array_equal(epistemic, np.std(clipped, axis=0))
    aleatoric = tifffile.imread(tmp_path / "Aleatoric.tif")
    expected = np.mean(np.exp(log_vars[:, 0] / 2), axis=0)
    np.testing.assert_allclose(aleatoric, expected, rtol=1e-6)
    assert facts["convention"] == "released"
    assert facts["run"] == {
        "device": "cpu",
        "precision": "fp32",
        "tile": None,
        "threads": 1,
    }
    assert facts["checkpoint"]["network"]["backbone"] == "rcan"


def test_default_is_the_law_of_total_variance(script, stack, posterior, tmp_path):
    """Same networks, and the scale that they were trained with, but nothing clipped."""
    facts = run(script, stack, posterior, tmp_path, "--precision", "fp32")
    means, log_vars = outputs(posterior, stack)
    low, high = (facts["normalisation"]["sr_counts"][key] for key in ("low", "high"))
    raw = tifffile.imread(stack).astype(float)
    counts_per_unit = np.ptp(raw) / (high - low)
    for name, expected in {
        "Epistemic": means[:, 0].std(axis=0, ddof=1),
        "Aleatoric": np.sqrt(np.exp(log_vars[:, 0]).mean(axis=0)),
    }.items():
        image = tifffile.imread(tmp_path / f"{name}.tif")
        np.testing.assert_allclose(image, counts_per_unit * expected, rtol=1e-4, atol=1e-7)
    assert facts["convention"] == "total_variance"


def test_student_tails_in_both_conventions(script, stack, tmp_path):
    folder = tmp_path / "student"
    folder.mkdir()
    save(folder, "student", 2)
    results = tmp_path / "results"
    run(script, stack, folder, results, "--convention", "released")
    _, parameters = outputs(folder, stack)
    log_precision, log_freedom = parameters[:, 0], parameters[:, 1]
    half_log = 0.5 * (np.log(np.exp(log_freedom) + 2) - log_precision - log_freedom)
    aleatoric = tifffile.imread(results / "Aleatoric.tif")
    np.testing.assert_allclose(aleatoric, np.exp(half_log).mean(axis=0), rtol=1e-5)
    # Untrained, the degrees of freedom are about 1: there is no standard deviation to show.
    with pytest.raises(InputError, match=r"no finite standard deviation.*convention released"):
        run(script, stack, folder, results)
