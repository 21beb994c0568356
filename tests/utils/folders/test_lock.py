"""One owner per folder: refused with the owner's name, free again however the owner ended."""

import json
import os
import subprocess
import sys
import time

import pytest

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.folders import lock
from bayesdl_sim.utils.folders.lock import owned_folder

HOLD = """
import sys, time
from bayesdl_sim.utils.folders.lock import owned_folder
with owned_folder(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_owner_is_refused_with_the_name_of_the_first(owner, tmp_path):
    message = rf"in use by -c .*\(process {owner.pid} on .*\): wait"
    with pytest.raises(InputError, match=message), owned_folder(tmp_path):
        pass


def test_a_killed_owner_leaves_the_folder_free(owner, tmp_path):
    owner.kill()
    owner.wait()
    with owned_folder(tmp_path) as folder:
        assert folder == tmp_path
        assert json.loads((tmp_path / ".in_use.json").read_text())["process"] == os.getpid()


def test_the_folder_is_free_after_the_block_and_after_an_error(tmp_path):
    with pytest.raises(KeyError), owned_folder(tmp_path):
        raise KeyError
    assert not (tmp_path / ".in_use.json").exists()
    with owned_folder(tmp_path):
        pass


def test_an_owner_that_cannot_be_read_is_another_process(owner, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "NAMING_PAUSE_S", 0)
    for content in ("", "[1]", '{"command": 1}', "\xff"):
        (tmp_path / ".in_use.json").write_text(content, encoding="latin-1")
        with pytest.raises(InputError, match="in use by another process"), owned_folder(tmp_path):
            pass


def test_of_many_at_once_one_wins(tmp_path):
    """Every process tries until the same moment; the winner holds on longer than the rest try."""
    code = HOLD.replace("time.sleep(60)", "time.sleep(2)").replace(
        "with owned", f"time.sleep(max(0, {time.time() + 1.5!r} - time.time()))\nwith owned"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    crowd = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ends = [process.communicate(timeout=60) for process in crowd]
    assert sum(out == "held\n" for out, _ in ends) == 1
    (winner,) = (p.pid for p, (out, _) in zip(crowd, ends, strict=True) if out)
    assert sum(f"(process {winner} on" in error for _, error in ends) == 3
