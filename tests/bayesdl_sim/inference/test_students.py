"""`fast`: the student of a folder of members, through the whole inference."""

import json
import shutil

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.bayes.likelihoods import DISTILLED
from bayesdl_sim.commands.test import main
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.settings import CHANGES, DEFAULT_MAPS
from bayesdl_sim.models.members import hashes_of, open_members
from bayesdl_sim.utils.checkpoints import load_checkpoint, member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError


@pytest.fixture(scope="session")
def taught(members, save_members, tmp_path_factory):
    """Two members, and a network that is recorded as their student."""
    folder = tmp_path_factory.mktemp("taught") / "members"
    shutil.copytree(members, folder)
    student = save_members(folder / "student", count=1, likelihood=DISTILLED)
    payload = load_checkpoint(member_path(student, 1))
    of = hashes_of([member.facts for member in open_members(folder)])
    payload |= {"sampler": {"kind": "student", "of": of}}
    save_checkpoint(member_path(student, 1), payload)
    return folder


@pytest.fixture(scope="session")
def student(taught):
    return Posterior.load(taught, "cpu", fast=True, precision="fp32")


def test_one_network_gives_all_maps(student, stack):
    assert student.is_student
    assert len(student.functions) == 1
    result = student.reconstruct(stack)
    shown = student.prepare(stack).network_input(0, student.inputs)
    mean, parameters = student.functions[0](shown)
    assert {*DEFAULT_MAPS} <= {*result.channels}
    low, high = float(mean.min()), float(mean.max())
    np.testing.assert_allclose(result.sr[0], (mean[0, 0] - low) / (high - low), atol=1e-4)
    for name, log_var in zip(("aleatoric", "epistemic"), parameters[0], strict=True):
        expected = torch.exp(0.5 * log_var) / (high - low)
        np.testing.assert_allclose(getattr(result, name)[0], expected, rtol=1e-3)
    assert result.judged_epistemic[0].shape == mean.shape[-2:]


def test_its_notes_and_facts_name_its_teacher(student):
    assert student.notes[0].startswith("posterior: a student of 2 members")
    assert not any("WARNING" in note for note in student.notes)
    (entry,) = student.facts["checkpoint"]["members"]
    assert len(entry["sampler"]["of"]) == 2


def test_other_members_beside_it_are_noticed(taught, tmp_path):
    folder = tmp_path / "members"
    shutil.copytree(taught, folder)
    shutil.copy(folder / "member_01.pth", folder / "member_02.pth")
    notes = Posterior.load(folder, "cpu", fast=True).notes
    assert sum("distilled from other members" in note for note in notes) == 1
    alone = tmp_path / "alone"
    shutil.copytree(taught / "student", alone / "student")
    assert not any("WARNING" in note for note in Posterior.load(alone, "cpu", fast=True).notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 1}, "the student of fast is one network"),
        ({"convention": "released"}, "convention released needs members"),
        ({"convention": "mine"}, "convention: expected total_variance or released"),
    ],
)
def test_what_needs_members_is_refused(taught, options, message):
    with pytest.raises(InputError, match=message):
        Posterior.load(taught, "cpu", fast=True, **options)


def test_changes_need_members(student, movie):
    with pytest.raises(InputError, match="compares time points member by member"):
        student.reconstruct(movie, CHANGES)


def test_members_without_a_student_are_refused_with_a_command(members):
    with pytest.raises(InputError, match="no student in"):
        Posterior.load(members, "cpu", fast=True)


def test_the_command_writes_its_maps(taught, cristae, tmp_path):
    tifffile.imwrite(tmp_path / "raw.tif", cristae[:, :64, :64].astype(np.uint16))
    paths = ["--test_data", str(tmp_path / "raw.tif"), "--save_path", str(tmp_path / "out")]
    student = ["--pretrained_G", str(taught), "--fast"]
    main([*paths, *student, "--device", "cpu", "--pixel_size_nm", "65"])
    facts = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert facts["checkpoint"]["network"]["likelihood"] == DISTILLED
    assert facts["not_modelled"] == []
    assert (tmp_path / "out" / "Epistemic.tif").is_file()
