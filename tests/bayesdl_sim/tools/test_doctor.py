"""The checked run: it passes here, and notices a posterior that was damaged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bayesdl_sim.commands.doctor import main, parse_args
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.tools import doctor
from bayesdl_sim.tools.machine import Line
from bayesdl_sim.utils.errors import InputError


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """A copy of the first two shipped members, with the calibration that names them."""
    folder = tmp_path_factory.mktemp("members")
    stored = json.loads((shipped_folder() / "calibration.json").read_text(encoding="utf-8"))
    stored["members"] = stored["members"][:2]
    stored["by_members"] = stored["by_members"][:2]
    (folder / "calibration.json").write_text(json.dumps(stored), encoding="utf-8")
    for member in stored["members"]:
        shutil.copy(shipped_folder() / member["file"], folder)
    shutil.copy(shipped_folder() / "posterior.json", folder)
    return folder


def test_doctor_runs_the_shipped_posterior(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["--members", "2"])
    printed = capsys.readouterr().out
    assert "posterior: 8 members, SHA-256 as calibrated; gate" in printed
    assert "run on cpu, fp32: 2 members, 9 frames of 120x120 px" in printed
    assert "everything works" in printed
    assert list(tmp_path.iterdir()) == []


def test_members_are_compared_with_the_calibration(members, tmp_path):
    assert "2 members, SHA-256 as calibrated; no gate" in doctor.member_line(members).text
    shutil.copytree(members, tmp_path / "other")
    shutil.copy(shipped_folder() / "member_03.pth", tmp_path / "other" / "member_02.pth")
    line = doctor.member_line(tmp_path / "other")
    assert line.warning
    assert "FAILED: posterior: member_02.pth differ from those" in line.text
    (tmp_path / "other" / "member_02.pth").unlink()
    assert "member_02.pth differ" in doctor.member_line(tmp_path / "other").text


@pytest.fixture(scope="module")
def reconstructed():
    stack = read_stack(doctor.example_stack())
    posterior = Posterior.shipped(device="cpu", members=2, precision="fp32")
    return stack, posterior.reconstruct(stack)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sr": lambda sr: np.full_like(sr, np.nan)}, "not finite"),
        ({"sr": lambda sr: sr[:, ::-1].copy()}, "does not agree with its wide field"),
        ({"epistemic": np.zeros_like}, "no uncertainty"),
    ],
)
def test_a_wrong_result_is_noticed(reconstructed, change, words):
    stack, result = reconstructed
    doctor._require_right(stack, result)
    wrong = {name: function(getattr(result, name)) for name, function in change.items()}
    with pytest.raises(InputError, match=words):
        doctor._require_right(stack, replace(result, **wrong))


def test_a_failure_is_reported_with_the_rest_and_ends_with_an_error(monkeypatch, tmp_path):
    def broken(members):
        raise RuntimeError("kernel image\nis missing")

    monkeypatch.setattr(doctor, "checked_run", broken)
    monkeypatch.setattr(doctor, "member_line", lambda folder: Line("posterior: fine"))
    lines = doctor.examine(tmp_path)
    assert lines[-1].text == (
        "FAILED: RuntimeError: kernel image is missing: install the packages again"
    )
    with pytest.raises(InputError, match="1 of the checks failed"):
        doctor.require_sound(lines)
    doctor.require_sound(lines[:-1])


def test_one_member_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        parse_args(["--members", "1"])


def test_issue_templates_ask_for_the_report():
    folder = Path(__file__).resolve().parents[3] / ".github" / "ISSUE_TEMPLATE"
    for name in ("result.md", "crash.md"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "prediction.json" in text
        assert "bayesdl doctor" in text
