"""Which trainings give members that may be shown the field in poses of their own."""

import json
import shutil

import pytest

from bayesdl_sim.models.fields.poses import are_posed, note_poses, poses_of
from bayesdl_sim.training.parallel.chains import collect_members


def test_members_of_random_microscopes_are_shown_poses_of_their_own(finished):
    assert [poses_of(finished, number) for number in (0, 1)] == [(0,), (1,)]


@pytest.fixture
def fixed_set(small_set, tmp_path):
    """The small set as if one microscope had made all of it."""
    fixed = shutil.copytree(small_set, tmp_path / "fixed" / small_set.name)
    record = fixed / "dataset.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"microscope": "fixed"}))
    return fixed


def test_members_of_one_microscope_are_shown_the_field_upright(trainer, fixed_set, tmp_path):
    run = type(trainer)(fixed_set).step_1(tmp_path / "run")
    assert sorted(run.glob("member_*.pth"))
    assert not are_posed(run)


@pytest.mark.parametrize(
    ("step_1_turned", "step_2_turned"), [(True, True), (True, False), (False, True)]
)
def test_both_steps_must_have_shown_all_poses(
    finished, trainer, fixed_set, tmp_path, step_1_turned, step_2_turned
):
    source = shutil.copytree(finished / "before", tmp_path / "step 1")
    note_poses(source, step_1_turned)
    trains = trainer if step_2_turned else type(trainer)(fixed_set)
    run = trains.step_2(tmp_path / "step 2", "--pretrained_G", source)
    assert sorted(run.glob("member_*.pth"))
    assert are_posed(run) == (step_1_turned and step_2_turned)


@pytest.mark.parametrize("turned", [True, False])
def test_chains_together_are_turned_if_all_of_them_are(finished, tmp_path, turned):
    chains = [shutil.copytree(finished, tmp_path / name) for name in ("one", "two")]
    if not turned:
        note_poses(chains[1], False)
    target = tmp_path / "together"
    target.mkdir()
    collect_members(chains, target)
    assert are_posed(target) == turned
