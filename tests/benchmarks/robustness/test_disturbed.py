"""Programs that are killed, crowded or short of disk, and what benchmarks of them notice."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from bayesdl_sim.benchmarks.robustness import full_disk, kills, pairs, programs, running
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.folders.lock import owned_folder

QUICK = "from_image"
LOCKED = {  # program -> the folder that belongs to one run
    "test.py, one stack": "one",
    "test.py, a folder": "many",
    "train.py, step 1": "runs/F-actin/BayesDL-SIM",
    "from_simulation": "set",
    "from_image": "image",
    "from_stacks": "made",
    "from_biosr": "biosr",
    "dlbi.simulate": "movies",
    "dlbi.train": "dlbi",
    "dlbi.reconstruct": "structure",
    "dlbi.evaluate": "scores",
}
pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="programs are forked, and watched in /proc"
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    threads = torch.get_num_threads()
    running.load_programs()
    yield programs.make_inputs(tmp_path_factory.mktemp("disturbed"))
    torch.set_num_threads(threads)


def test_a_program_ends_as_it_does_for_people(inputs):
    done = running.run(["test.py", "--test_data", str(inputs / "no.tif"), "--save_path", "x"])
    assert (done.returncode, done.last_line[:7]) == (2, "error: ")
    assert running.run(["no_such_program.py"]).returncode == 1
    assert running.run(["test.py", "--help"]).returncode == 0


def test_a_killed_program_starts_again_and_ends_as_if_nothing_had_happened(inputs, tmp_path):
    expected = kills.undisturbed(QUICK, inputs, tmp_path / "out")
    assert set(expected.final) == {"gt.tif", "raw.tif", "parameters.json"}
    for share in (0.0, 0.3, 9.0):
        trial = kills.kill_once(QUICK, inputs, tmp_path / "out", share, expected)
        assert (trial["equal"], trial["orphans"]) == (True, 0)
        if share in (0.0, 9.0):
            assert trial["killed"] is (share == 0.0)


def test_an_earlier_result_that_is_mixed_or_lost_is_noticed():
    earlier, final = {"a/x": "1", "a/y": "2", "b/x": "3"}, {"a/x": "4", "a/y": "5", "b/x": "6"}
    expected = kills.Expected(earlier, final, 1.0)
    assert kills.is_kept(earlier, expected)
    assert kills.is_kept({**earlier, "a/x": "4", "a/y": "5"}, expected)  # one stack of two
    assert not kills.is_kept({**earlier, "a/x": "4"}, expected)
    assert not kills.is_kept({"b/x": "3"}, expected)


def test_processes_that_outlive_their_parent_are_counted_and_ended(monkeypatch):
    monkeypatch.setattr(kills, "GRACE_S", 0.1)
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    orphan = subprocess.Popen(words, start_new_session=True)
    assert kills.processes_in(orphan.pid) == 1
    assert kills._left_behind(orphan.pid) == 1
    assert orphan.wait() == -signal.SIGKILL
    assert kills._left_behind(orphan.pid) == 0


@pytest.mark.parametrize("name", [QUICK, "from_simulation"])
def test_of_two_runs_on_one_folder_one_wins_and_the_other_says_so(inputs, tmp_path, name):
    results, _ = pairs.possible_results(name, inputs, tmp_path / "out")
    assert results[0] != results[1]
    record = pairs.race(name, inputs, tmp_path / "out", 0.0, results)
    assert (record["winners"], record["said"], record["unmixed"]) == (1, True, True)
    # It says so of the run, or of what the run has left there by then.
    known = ("in use by", "already holds", "holds an unfinished set")
    assert any(words in record["message"] for words in known)


@pytest.mark.parametrize("name", [name for name in LOCKED if name in programs.PROGRAMS])
def test_every_program_refuses_a_folder_in_use_and_leaves_it_alone(inputs, tmp_path, name):
    words = programs.prepare(name, inputs, tmp_path / "out", earlier=False)
    folder = tmp_path / "out" / LOCKED[name]
    folder.mkdir(parents=True)
    with owned_folder(folder):
        done = running.run(words)
    assert (done.returncode, "in use by" in done.last_line) == (2, True), done.stderr
    assert running.bytes_in(tmp_path / "out" / programs.PROGRAMS[name].results) == {}


def test_a_full_disk_is_one_line_and_changes_nothing(inputs, tmp_path):
    """The earlier movies stay to the byte, and the command works once there is room."""
    if not full_disk.can_mount():
        pytest.skip("only root may mount a small disk")
    try:
        with full_disk.small_disk(tmp_path / "disk") as disk:
            records = full_disk.fill_up("dlbi.simulate", inputs, disk, 3)
    except InputError as error:  # a container without the right to mount
        pytest.skip(str(error))
    for record in records:
        assert (record["fits"], record["said"]) == (False, True), record
        assert (record["kept"], record["equal"]) == (True, True), record


@pytest.mark.parametrize(
    ("code", "stderr", "says"),
    [
        (2, "error: disk full (a.tif): free some space", True),
        (1, "error: disk full (a.tif): free some space", False),
        (2, "error: something else", False),
        (2, "Traceback (most recent call last):\nerror: disk full", False),
        (2, "error: disk full\nerror: disk full", False),
    ],
)
def test_what_counts_as_one_clear_line(code, stderr, says):
    assert full_disk.reports_full_disk(code, stderr) is says
