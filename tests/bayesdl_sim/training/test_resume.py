"""Resuming with anything changed is refused in one line; with everything the same it is bitwise."""

import dataclasses
import shutil

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.commands import train
from bayesdl_sim.training import step2
from bayesdl_sim.training.settings.shared import RunSettings
from bayesdl_sim.utils.checkpoints import list_members, load_checkpoint, save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.folders.lock import owned_folder


def same_members(a, b):
    first, second = list_members(a), list_members(b)
    assert [path.name for path in first] == [path.name for path in second]
    for x, y in zip(first, second, strict=True):
        x, y = load_checkpoint(x), load_checkpoint(y)
        assert x["settings"] == y["settings"]
        assert x["state"].keys() == y["state"].keys()
        assert all(torch.equal(x["state"][name], y["state"][name]) for name in x["state"])


def test_resume_in_another_place_is_the_same_run(trainer, started, tmp_path, finished):
    """The data set and the run moved, the device named otherwise, the copy kept elsewhere."""
    root = tmp_path / "moved" / "set"
    shutil.copytree(trainer.root, root, ignore=shutil.ignore_patterns(".cache"))
    shutil.copytree(started[1], tmp_path / "run")
    settings = trainer.settings(tmp_path / "run", "--resume")
    folder = settings.run.folder
    moved = dataclasses.replace(
        settings,
        data=dataclasses.replace(settings.data, root_dir=root),
        run=RunSettings(folder=folder, device="auto", cache_dir=tmp_path / "copies", resume=True),
    )
    trainer.fit(moved)
    assert not (root / ".cache").exists()
    same_members(folder, finished / "before")


def test_other_content_in_the_same_place_is_refused(trainer, tmp_path, finished):
    root = tmp_path / "set"
    shutil.copytree(trainer.root, root, ignore=shutil.ignore_patterns(".cache"))
    start = tmp_path / "start.pth"
    shutil.copy(finished / "before" / "member_01.pth", start)
    words = ["--root_dir", str(root), "--init_from", str(start)]
    trainer.step_1(tmp_path / "run", *words, "--stop_after", "1")
    shutil.copy(finished / "before" / "member_02.pth", start)
    with pytest.raises(InputError, match="^init_from: what it names has other content"):
        trainer.step_1(tmp_path / "run", *words, "--resume")
    shutil.copy(finished / "member_01.pth", start)  # with a tail, but the same trunk
    trainer.step_1(tmp_path / "run", *words, "--stop_after", "2", "--resume")
    frame = root / "Raw" / "cell_3" / "level_1" / "5.tif"
    image = tifffile.imread(frame)
    image[0, 0] += 1
    tifffile.imwrite(frame, image)
    with pytest.raises(InputError, match="^root_dir: what it names has other content"):
        trainer.step_1(tmp_path / "run", *words, "--resume")


def test_tails_of_two_posteriors_never_lie_in_one_folder(trainer, tmp_path, finished, monkeypatch):
    """Step 2 of members A, killed after the first, resumed with members B."""
    first, second = tmp_path / "A", tmp_path / "B"
    shutil.copytree(finished / "before", first)
    shutil.copytree(finished / "before", second)
    shutil.copy(second / "member_02.pth", second / "member_01.pth")
    real = step2.save_checkpoint

    def killed(path, payload):
        real(path, payload)
        raise KeyboardInterrupt

    monkeypatch.setattr(step2, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.step_2(tmp_path / "run", "--pretrained_G", first)
    monkeypatch.setattr(step2, "save_checkpoint", real)
    with pytest.raises(InputError, match="^pretrained_G: what it names has other content"):
        trainer.step_2(tmp_path / "run", "--pretrained_G", second, "--resume")
    run = trainer.step_2(tmp_path / "run", "--pretrained_G", first, "--resume")
    assert len(list_members(run)) == 2
    for path in list_members(run):
        states = [load_checkpoint(p)["state"] for p in (path, finished / path.name)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_a_member_without_a_tail_gets_one_though_step_2_had_ended(trainer, tmp_path, finished):
    """Step 1 was killed between a member and its progress, and wrote the member once more."""
    run = tmp_path / "F-actin" / "BayesDL-SIM"
    shutil.copytree(finished, run)
    shutil.copy(finished / "before" / "member_02.pth", run / "member_02.pth")
    trainer.step_2(tmp_path, "--resume")
    same_members(run, finished)


def test_a_half_fitted_tail_of_another_trunk_is_not_continued(
    trainer, tmp_path, finished, monkeypatch
):
    """The progress of a tail belongs to one trunk; of another member it starts again."""
    shutil.copytree(finished / "before", tmp_path / "F-actin" / "BayesDL-SIM")
    run, real = tmp_path / "F-actin" / "BayesDL-SIM", step2.save_progress

    def killed(*args, **progress):
        real(*args, **progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(step2, "save_progress", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.step_2(tmp_path)
    monkeypatch.setattr(step2, "save_progress", real)
    shutil.copy(finished / "before" / "member_02.pth", run / "member_01.pth")
    trainer.step_2(tmp_path, "--resume")
    tail = load_checkpoint(run / "member_01.pth")
    assert tail["training"]["tail_epochs"] == 2
    assert not (run / "latest_tail.pth").exists()
    shutil.copytree(finished / "before", tmp_path / "other" / "F-actin" / "BayesDL-SIM")
    other = tmp_path / "other" / "F-actin" / "BayesDL-SIM"
    shutil.copy(finished / "before" / "member_02.pth", other / "member_01.pth")
    trainer.step_2(tmp_path / "other")
    same_members(run, other)


def test_a_run_of_an_earlier_version_is_refused_in_one_line(trainer, tmp_path):
    run = trainer.step_1(tmp_path, "--stop_after", "1")
    config = read_json(run / "config.json")
    config["step 1"] = {"options": {"epoch": 3}}
    write_json(run / "config.json", config)
    with pytest.raises(InputError, match="earlier version.*cannot be resumed"):
        trainer.step_1(tmp_path, "--resume")


def test_members_without_a_record_are_not_continued(trainer, tmp_path, finished):
    shutil.copytree(finished / "before", tmp_path / "F-actin" / "BayesDL-SIM")
    with pytest.raises(InputError, match="already holds member_01.pth"):
        trainer.step_1(tmp_path, "--resume")


def test_progress_without_a_part_is_refused(trainer, tmp_path):
    run = trainer.step_1(tmp_path, "--stop_after", "1")
    progress = load_checkpoint(run / "latest.pth")
    del progress["states"]["posterior"]
    save_checkpoint(run / "latest.pth", progress)
    with pytest.raises(InputError, match="does not hold the state of the posterior"):
        trainer.step_1(tmp_path, "--resume")


def test_hidden_leftovers_do_not_make_a_folder_count_as_used(trainer, tmp_path):
    folder = tmp_path / "F-actin" / "BayesDL-SIM"
    folder.mkdir(parents=True)
    (folder / ".member_01.0a1b2c3d.partial.pth").write_bytes(b"half a member")
    trainer.step_1(tmp_path, "--stop_after", "1")


def test_a_folder_in_use_is_refused_by_both_steps(trainer, tmp_path):
    folder = tmp_path / "F-actin" / "BayesDL-SIM"
    folder.mkdir(parents=True)
    with owned_folder(folder):
        for step in (trainer.step_1, trainer.step_2):
            with pytest.raises(InputError, match=r"in use by .* \(process \d+ on"):
                step(tmp_path)
    assert [path.name for path in folder.iterdir() if path.name[0] != "."] == []


@pytest.mark.curves
def test_the_summary_takes_any_name(trainer, tmp_path):
    run = ["--SGLD", "False", "--epoch", "1", "--exp_name", "a$_{$", "--device", "cpu"]
    network = ["--n_feat", "4", "--levels", "2", "--patch_size", "24"]
    train.main(trainer.words(tmp_path, *run, *network))
    assert (tmp_path / "F-actin" / "a$_{$-SIM" / "summary.png").stat().st_size > 10_000


def test_members_record_their_settings(finished):
    """Both steps, as in config.json; the data set by its hash, no path of this computer."""
    config = read_json(finished / "config.json")
    for path in list_members(finished):
        stored = load_checkpoint(path)["settings"]
        assert stored == {step: config[step]["settings"] for step in ("step 1", "step 2")}
        assert stored["step 1"]["data"]["root_dir"].startswith("sha256:")
        assert str(finished.parents[1]) not in repr(stored)
    assert np.isclose(config["step 1"]["settings"]["sampler"]["burn_in"], 0.34)
