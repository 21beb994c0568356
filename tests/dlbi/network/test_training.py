"""Training: the error falls, resuming needs the same settings, members are written."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi import train
from bayesdl_sim.dlbi.network import training
from bayesdl_sim.dlbi.network.training import RunSettings, TrainingSettings, fit
from bayesdl_sim.utils.checkpoints import load_checkpoint
from bayesdl_sim.utils.errors import InputError

SETTINGS = TrainingSettings(width=16, blocks=2, batch=2, crop=16)


def run_in(folder, steps=3, members=2):
    return RunSettings(
        steps=steps,
        cooldown=1,
        members=members,
        member_steps=2,
        folder=folder,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )


def test_members_and_resuming(tmp_path, scenes):
    paths = fit(SETTINGS, run_in(tmp_path), scenes[0])
    first, second = (load_checkpoint(path) for path in paths)
    assert first["network"] == {
        "generator": "moments",
        "width": 16,
        "dropout": 0.05,
        "blocks": 2,
    }
    assert first["training"]["steps"] == 4 + 2 + 2
    weights = [member["state"]["stem_fine.weight"] for member in (first, second)]
    assert not torch.equal(*weights)
    assert weights[0].dtype == torch.float16
    with pytest.raises(InputError, match="learning_rate"):
        fit(replace(SETTINGS, learning_rate=1.0), run_in(tmp_path), scenes[0], resume=True)
    again = fit(SETTINGS, run_in(tmp_path, steps=5), scenes[0], resume=True)
    assert load_checkpoint(again[0])["training"]["steps"] == 6 + 2 + 2


def test_same_seed_same_members(tmp_path, scenes):
    states = []
    for name in ("a", "b"):
        paths = fit(SETTINGS, run_in(tmp_path / name, members=1), scenes[0])
        states.append(load_checkpoint(paths[0])["state"])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_scene_with_infinities_ends_a_training_at_once(tmp_path, scenes):
    for path in scenes[1]:
        with np.load(path) as stored:
            arrays = dict(stored)
        arrays["camera"][:, 1] = np.inf
        np.savez(tmp_path / path.name, **arrays)
    with pytest.raises(InputError, match="loss of step 1 is nan"):
        fit(SETTINGS, run_in(tmp_path / "run"), tmp_path)


def test_an_empty_set(tmp_path):
    with pytest.raises(InputError, match="expected at least 2 scenes"):
        fit(SETTINGS, run_in(tmp_path), tmp_path)


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_an_interrupted_training_ends_with_the_same_members(tmp_path, scenes, monkeypatch, stop):
    """Interrupted before any progress, within an epoch, and while members are drawn."""
    settings = replace(SETTINGS, batch=1)  # two steps of an epoch
    whole = fit(settings, run_in(tmp_path / "whole"), scenes[0])
    monkeypatch.setattr(training, "SAVE_EVERY", 3)
    step = training.MomentsTraining.step

    def interrupted(self, sample, optimiser):
        if self.step_number == stop:
            raise KeyboardInterrupt
        return step(self, sample, optimiser)

    with monkeypatch.context() as patch:
        patch.setattr(training.MomentsTraining, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(settings, run_in(tmp_path / "again"), scenes[0])
    again = fit(settings, run_in(tmp_path / "again"), scenes[0], resume=True)
    for one, other in zip(whole, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_refused_resume_adds_no_scene_to_the_set(tmp_path, scenes):
    paths = [path.name for path in scenes[1]]
    for path in scenes[1]:
        shutil.copy(path, tmp_path / path.name)
    fit(SETTINGS, run_in(tmp_path / "run", members=1), tmp_path)
    words = f"--save_path {tmp_path / 'run'} --set_dir {tmp_path} --scenes 1 --held_out 1 --seed 7"
    words += " --width 16 --blocks 2 --batch_size 2 --crop 16 --resume"
    with pytest.raises(InputError, match="seed: .* was begun with seed 0, now it is 7"):
        train.main(words.split())
    assert sorted(path.name for path in tmp_path.rglob("scene_*")) == sorted(paths)
