"""calibrate: for every number of members, what is fitted is what these members would give."""

import errno

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.calibration.stored import read_calibrations
from bayesdl_sim.commands.calibrate import parse_args
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.evaluation import calibrate as module
from bayesdl_sim.evaluation.calibrate import (
    CalibrationSettings,
    calibrate,
    gate_scores,
    nested_scores,
)
from bayesdl_sim.evaluation.cases import CaseSettings, read_case
from bayesdl_sim.evaluation.predicting import (
    Evaluated,
    PosteriorSettings,
    Sampling,
    nested_samples,
    predict_case,
)
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.judging.gate import SCORES, read_gate
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.folders.lock import owned_folder

CPU = PosteriorSettings(device="cpu", precision="fp32")


def save_members(folder, count=3, likelihood="gauss"):
    config = network_config("unet", likelihood, in_channels=9, width=4, levels=1, blocks=1)
    for index in range(1, count + 1):
        network = build_network(config, seed=index)
        if network.tail is not None:
            generator = torch.Generator().manual_seed(index)
            with torch.no_grad():
                network.tail.output.weight.normal_(0, 0.3, generator=generator)
        save_checkpoint(member_path(folder, index), member_payload(network, {}, {}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_members(tmp_path_factory.mktemp("members"))


@pytest.fixture(scope="module")
def scenes():
    return list(simulated_cells(seed=7, cells=2, levels=1, size=64))


def test_cells_are_those_of_a_set():
    with pytest.raises(InputError, match="--cells: needs --root_dir"):
        parse_args(["--cells", "1-3"])
    assert parse_args(["--cells", "1-3", "--root_dir", "set"]).cells == (1, 2, 3)


def opened(folder, members=None):
    return Posterior.load(folder, "cpu", members, precision="fp32", calibration="none")


def test_nested_samples_are_those_of_fewer_members(folder, small_set):
    case, sampling = read_case(DatasetTree(small_set), 1, 1, CaseSettings()), Sampling(pixels=500)
    nested = nested_samples(case, Evaluated("all", opened(folder)), sampling)
    assert len(nested) == 3
    for count, sample in enumerate(nested, start=1):
        _, alone = predict_case(case, Evaluated("few", opened(folder, count)), sampling)
        for name in ("target", "mean", "sigma"):
            np.testing.assert_allclose(getattr(sample, name), getattr(alone, name), rtol=1e-6)
        assert sample.features == pytest.approx(alone.features)


def test_scores_of_the_gate_are_those_that_a_verdict_compares(folder, scenes):
    for count, scores in enumerate(nested_scores(scenes[0], opened(folder)), start=1):
        posterior = opened(folder, count)
        (alone,) = nested_scores(scenes[0], posterior)[-1:]
        assert scores == pytest.approx(alone)
        expected = set(SCORES) - ({"epistemic", "epistemic_p95"} if count == 1 else set())
        assert set(scores) == expected
    # In the units of a result: an affine scale changes nothing that is compared.
    posterior = opened(folder)
    result = posterior.reconstruct(scenes[0].stack())
    assert result.verdict.decision in ("not judged", "warn", "refuse")  # no gate yet


def test_every_number_of_members_is_calibrated_and_judged(small_set, scenes, tmp_path):
    folder = save_members(tmp_path / "members", 2)
    settings = CalibrationSettings(
        root_dir=small_set,
        pretrained_G=folder,
        gate_cells=19,
        gate_size=64,
        posterior=CPU,
        sampling=Sampling(pixels=300),
    )
    paths = calibrate(settings)
    assert [path.name for path in paths] == ["calibration.json", "gate.json"]
    for count in (1, 2):
        posterior = Posterior.load(folder, "cpu", count, precision="fp32")
        assert posterior.calibration.fitted_on["cells"] == 1
        assert len(posterior.gate.scores["snr"]) == 19
        result = posterior.reconstruct(scenes[1].stack())
        assert 0 < result.verdict.p_value <= 1
        assert result.total is not None


def test_one_member_without_a_tail_has_no_calibration(small_set, tmp_path):
    folder = save_members(tmp_path, 2, likelihood="")
    settings = CalibrationSettings(
        root_dir=small_set,
        pretrained_G=folder,
        gate_cells=0,
        posterior=CPU,
        sampling=Sampling(pixels=300),
    )
    (path,) = calibrate(settings)
    assert [len(c.members) for c in read_calibrations(path)] == [2]
    assert read_gate(folder, opened(folder).hashes) is None


def test_a_cell_without_a_finite_score_is_left_out(folder, scenes, monkeypatch, capsys):
    module = "bayesdl_sim.evaluation.calibrate.nested_scores"
    values = iter([[{"snr": 1.0}], [{"snr": float("nan")}]])
    monkeypatch.setattr(module, lambda scene, posterior: next(values))
    assert gate_scores(scenes, opened(folder)) == [[{"snr": 1.0}]]
    assert "WARNING: cell 2" in capsys.readouterr().out


def test_seeds_of_training_sets_make_no_gate(folder, tmp_path):
    settings = CalibrationSettings(root_dir=None, pretrained_G=folder, gate_seed=1, posterior=CPU)
    with pytest.raises(InputError, match="seed: 1 makes cells"):
        calibrate(settings)


def test_both_files_are_written_or_none(small_set, tmp_path, monkeypatch):
    """A gate that cannot be written leaves the earlier calibration as it was."""
    folder = save_members(tmp_path, 2)
    (folder / "calibration.json").write_text("earlier", encoding="utf-8")
    settings = CalibrationSettings(
        root_dir=small_set,
        pretrained_G=folder,
        gate_cells=19,
        posterior=CPU,
        sampling=Sampling(pixels=300),
    )

    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "gate_scores", lambda cells, posterior: [[{"snr": 1.0}] * 19])
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_gate", full)
        with pytest.raises(OSError, match="No space left"):
            calibrate(settings)
    kept = {path.name: path.read_text("utf-8") for path in folder.glob("[!.]*.json")}
    assert kept == {"calibration.json": "earlier"}
    assert [path.name for path in calibrate(settings)] == ["calibration.json", "gate.json"]
    assert len(read_calibrations(folder / "calibration.json")) == 2


def test_members_in_use_are_not_calibrated_twice_at_once(folder):
    settings = CalibrationSettings(root_dir=None, pretrained_G=folder, posterior=CPU)
    with owned_folder(folder), pytest.raises(InputError, match="in use by"):
        calibrate(settings)
