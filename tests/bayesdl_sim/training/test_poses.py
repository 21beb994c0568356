"""Which trainings give members that may be shown the field in poses of their own."""

import json
import shutil
from types import SimpleNamespace

import pytest

from bayesdl_sim.models.fields.poses import POSES_FILE, UPRIGHT, poses_of, write_poses
from bayesdl_sim.training import step2
from bayesdl_sim.training.parallel.chains import collect_members


def test_members_of_random_microscopes_are_shown_poses_of_their_own(finished):
    assert [poses_of(finished, number) for number in (0, 1)] == [(0,), (1,)]


def test_members_of_one_microscope_are_shown_the_field_upright(trainer, small_set, tmp_path):
    fixed = shutil.copytree(small_set, tmp_path / small_set.name)
    record = fixed / "dataset.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"microscope": "fixed"}))
    run = type(trainer)(fixed).step_1(tmp_path / "run")
    assert sorted(run.glob("member_*.pth"))
    assert poses_of(run, 1) == UPRIGHT


@pytest.mark.parametrize(
    ("step_1_turned", "step_2_turned"), [(True, True), (True, False), (False, True)]
)
def test_both_steps_must_have_shown_all_poses(tmp_path, step_1_turned, step_2_turned):
    source, folder = tmp_path / "step 1", tmp_path / "step 2"
    for place in (source, folder):
        place.mkdir()
    write_poses(folder)  # of an earlier run
    if step_1_turned:
        write_poses(source)
    train = SimpleNamespace(is_turned=step_2_turned)
    step2._note_poses(SimpleNamespace(train=train, folder=folder), source)
    assert (folder / POSES_FILE).is_file() == (step_1_turned and step_2_turned)


@pytest.mark.parametrize("turned", [True, False])
def test_chains_together_are_turned_if_all_of_them_are(finished, tmp_path, turned):
    chains = [shutil.copytree(finished, tmp_path / name) for name in ("one", "two")]
    if not turned:
        (chains[1] / POSES_FILE).unlink()
    target = tmp_path / "together"
    target.mkdir()
    collect_members(chains, target)
    assert (target / POSES_FILE).is_file() == turned
