"""A posterior in a notebook: the bytes of test.py, and the result of each call."""

import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import bayesdl_sim
from bayesdl_sim import Posterior, read_stack
from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.calibration.stored import write_calibrations
from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.commands.test import main
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.inference.prepared import stack as prepared_module
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.settings import CHANGES, DEFAULT_MAPS, INTERVAL, MISFIT, MapSettings
from bayesdl_sim.models import members as members_module
from bayesdl_sim.models.members import open_members
from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.physics.patterns.measured import measured
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
CRISTAE = ROOT / "data" / "cristae" / "raw.tif"
PHASE_MAJOR = [0, 3, 6, 1, 4, 7, 2, 5, 8]


def levelled(frames):
    """Frames with one background, as the networks are shown them."""
    return measured(torch.as_tensor(frames)).level


def command_line(data, save_path, members):
    """The options of test.py for one input, one result and the CPU."""
    paths = ["--test_data", str(data), "--save_path", str(save_path)]
    return [*paths, "--pretrained_G", str(members), "--device", "cpu"]


def files_of(folder):
    """Name -> bytes of every file; of the facts, all but the seconds."""
    contents = {path.name: path.read_bytes() for path in folder.glob("[!.]*")}
    facts = json.loads(contents["prediction.json"])
    contents["prediction.json"] = {k: v for k, v in facts.items() if k != "seconds"}
    return contents


def test_a_notebook_gives_the_files_of_the_command(members, tmp_path):
    numbers = ["--interval", "0.8", "--draws", "1", "--exceed", "0.4", "--delta", "0.05"]
    main([*command_line(CRISTAE, tmp_path / "command", members), "--misfit", *numbers])
    settings = MapSettings(interval=0.8, draws=1, exceed=0.4, delta=0.05)
    stack, maps = read_stack(CRISTAE), (*DEFAULT_MAPS, *INTERVAL, *MISFIT)
    result = Posterior.load(members, "cpu").reconstruct(stack, maps, settings=settings)
    assert result.save(tmp_path / "notebook") == tmp_path / "notebook"
    command, notebook = files_of(tmp_path / "command"), files_of(tmp_path / "notebook")
    assert sorted(command) == sorted(notebook)
    assert len(command) == 22
    for name, content in command.items():
        assert notebook[name] == content, name


def test_the_default_of_both_is_the_shipped_posterior():
    posterior = Posterior.shipped(device="cpu", members=1)
    assert posterior.folder == shipped_folder() == ROOT / "checkpoint" / "F-actin" / "pretrained_G"
    assert posterior.members[0].path.name == "member_01.pth"


def test_import_loads_no_torch_and_finds_the_public_names(tmp_path):
    code = (
        "import sys, bayesdl_sim\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "names = set(dir(bayesdl_sim))\n"
        "assert {'Posterior', 'Reconstruction', 'read_stack'} <= names\n"
        "assert bayesdl_sim.read_stack.__module__ == 'bayesdl_sim.data.stacks'\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Posteriors"):
        _ = bayesdl_sim.Posteriors


def test_the_script_works_from_another_folder(members, tmp_path):
    command = [sys.executable, str(ROOT / "test.py"), *command_line(CRISTAE, "out", members)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "SR.tif").is_file()


def test_maps_have_one_scale_and_their_pixel_size(posterior, movie):
    result = posterior.reconstruct(movie)
    assert result.sr.shape == (3, 128, 144)
    assert (float(result.sr.min()), float(result.sr.max())) == pytest.approx((0, 1), abs=1e-6)
    np.testing.assert_allclose(
        result.total, np.hypot(result.aleatoric, result.epistemic), rtol=1e-5
    )
    assert result.pixel_size_nm == 32.5
    for t, frames in enumerate(movie.raw):
        prediction, norm = (
            posterior.predict(torch.from_numpy(frames)[None]),
            normalisation_of(levelled(frames)),
        )
        expected = norm.invert(prediction.mean[0, 0].numpy())
        np.testing.assert_allclose(result.scale.invert(result.sr[t]), expected, rtol=1e-4)
    with pytest.raises(FrozenInstanceError):
        result.sr = None


def test_maps_that_are_not_requested_are_left_out(posterior, stack, tmp_path):
    result = posterior.reconstruct(stack, maps=("SR", "Lower"))
    assert list(result.channels) == ["SR", "Total"]
    assert list(result.further) == ["Lower"]
    assert result.epistemic is not None  # known all the same
    result.save(tmp_path)
    images = {path.name for path in tmp_path.glob("*.tif")}
    assert images == {"Channels.ome.tif", "Channels.tif", "Lower.tif", "SR.tif"}


def test_progress_counts_every_kind_of_work_to_its_end(posterior, movie):
    calls = []
    posterior.reconstruct(
        movie, (*DEFAULT_MAPS, *MISFIT, *CHANGES), lambda *call: calls.append(call)
    )
    last = {what: (done, total) for done, total, what in calls}
    assert {"members", "re-simulation"} <= set(last)
    assert all(done == total for done, total in last.values())
    for what in last:
        steps = [done for done, _, name in calls if name == what]
        assert steps == sorted(steps)


def test_predict_takes_a_batch_of_counts(posterior, members, cristae):
    raw = torch.from_numpy(np.stack([cristae[:, :32, :40], 2 * cristae[:, 32:64, :40]]))
    prediction = posterior.predict(raw)
    assert prediction.mean.shape == prediction.total.shape == (2, 1, 64, 80)
    for stack, mean, epistemic in zip(raw, prediction.mean, prediction.epistemic, strict=True):
        level = levelled(stack)
        shown = normalisation_of(level).apply(level)[None]
        expected = predict([member.function for member in open_members(members)], shown)
        torch.testing.assert_close(mean, expected.mean[0])
        torch.testing.assert_close(epistemic, expected.epistemic[0])


def test_the_calibration_multiplies_deviations_alone(save_members, cristae, tmp_path):
    folder = tmp_path / "members"
    save_members(folder)
    hashes = Posterior.load(folder, "cpu").hashes
    facts = {"cells": 1, "pixels": 1}
    fitted = Calibration(scale=0.5, members=hashes, fitted_on=facts)
    write_calibrations(folder / "calibration.json", [fitted])
    posterior, raw = Posterior.load(folder, "cpu"), torch.from_numpy(cristae[None, :, :32, :32])
    plain, halved = posterior.predict(raw, calibrated=False), posterior.predict(raw)
    assert torch.equal(plain.mean, halved.mean)
    torch.testing.assert_close(halved.total, 0.5 * plain.total)
    assert posterior.facts["calibration"]["applied"]


def test_frames_are_judged_without_any_network(posterior, cristae, stack_of):
    def never(raw):
        raise AssertionError("a network was asked")

    without_networks = Posterior(**{**vars(posterior), "functions": [never, never]})
    verdict = without_networks.judge(stack_of(cristae[PHASE_MAJOR]))
    assert verdict.decision == "refuse"
    assert "order of phases first" in verdict.reasons[0]


def test_a_refused_movie_runs_no_network(guess_members, stack_of, cristae, tmp_path, monkeypatch):
    """100 time points in the wrong order: four of them are checked, and nothing is predicted."""
    doubled = cristae[[0, 1, 2, 3, 4, 5, 6, 8, 8]]  # no other order of the frames cures that
    movie = np.concatenate(100 * [doubled[:, :64, :64]]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "movie.tif", movie)
    calls, checked = [], []
    real = prepared_module.raw_checks
    monkeypatch.setattr(members_module, "predict_tiled", lambda *a: calls.append(a))
    monkeypatch.setattr(
        prepared_module, "raw_checks", lambda *a, **k: checked.append(1) or real(*a, **k)
    )
    with pytest.raises(InputError, match="refused, nothing is written"):
        main(command_line(tmp_path / "movie.tif", tmp_path / "out", guess_members))
    assert calls == []
    assert len(checked) == 4
    assert list((tmp_path / "out").glob("[!.]*")) == []


def test_every_time_point_is_predicted_once_even_with_changes(members, movie, monkeypatch):
    calls = []
    real = members_module.predict_tiled
    monkeypatch.setattr(members_module, "predict_tiled", lambda *a: calls.append(1) or real(*a))
    posterior = Posterior.load(members, "cpu", precision="fp32")
    result = posterior.reconstruct(movie, (*DEFAULT_MAPS, *CHANGES))
    assert len(calls) == 3 * 2 + 2  # time points x members, and both passes of the fringe share
    assert result.further["Change"].shape == (2, 128, 144)
    plain = posterior.reconstruct(movie)
    np.testing.assert_array_equal(plain.total, result.total)
    difference = np.diff(result.sr, axis=0)
    np.testing.assert_allclose(result.further["Change"], difference, atol=1e-5)


def test_the_verdict_uses_the_epistemic_map_as_predicted(save_members, stack, tmp_path):
    """Scores of validation cells are without calibration: it must not show in the verdict."""
    save_members(tmp_path)
    plain = Posterior.load(tmp_path, "cpu", precision="fp32").reconstruct(stack)
    hashes = Posterior.load(tmp_path, "cpu").hashes
    fitted = Calibration(scale=0.3, members=hashes, fitted_on={"cells": 1, "pixels": 1})
    write_calibrations(tmp_path / "calibration.json", [fitted])
    calibrated = Posterior.load(tmp_path, "cpu", precision="fp32").reconstruct(stack)
    np.testing.assert_allclose(calibrated.epistemic, 0.3 * plain.epistemic, rtol=1e-5)
    np.testing.assert_array_equal(calibrated.judged_epistemic[0], plain.judged_epistemic[0])


def test_a_result_is_judged_once(posterior, stack):
    result = posterior.reconstruct(stack)
    assert posterior.judge(stack, result) is result.verdict


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tile": 8}, "tile: expected 32"),
        ({"convention": "other"}, "convention: expected"),
        ({"device": "gpu"}, "expected auto, cpu, cuda"),
        ({"members": 3}, "holds 2 member"),
        ({"convention": "released", "calibration": "x.json"}, "leave it out"),
    ],
)
def test_options_that_make_no_sense(members, options, words):
    with pytest.raises(InputError, match=words):
        Posterior.load(members, **options)


def test_notes_name_what_is_missing(save_members, tmp_path):
    save_members(tmp_path, 1, likelihood="")
    posterior = Posterior.load(tmp_path, "cpu")
    notes = "\n".join(posterior.notes)
    for words in ("1 member (sgld, temperature 2)", "no uncertainty tail", "shows no spread"):
        assert words in notes
    assert not posterior.has_tail
    assert Path(posterior.facts["checkpoint"]["folder"]) == Path(tmp_path.name)


def test_a_stack_prepared_for_another_scale_is_prepared_again(posterior, stack):
    released = PreparedStack(stack, min_max=True)
    assert posterior.prepare(released).norm(0) == normalisation_of(levelled(stack.raw[0]))
    mine = posterior.prepare(stack)
    assert posterior.prepare(mine) is mine
