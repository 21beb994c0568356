"""A live process counts as being at work, a killed one does not."""

import signal
import subprocess
import sys
from pathlib import Path

from bayesdl_sim.utils.folders.presence import Presence, is_at_work

ROOT = Path(__file__).resolve().parents[3]
ENTERS = """
import sys, time
from pathlib import Path
from bayesdl_sim.utils.folders.presence import Presence
mark = Presence(Path(sys.argv[1]))
print("entered", flush=True)
time.sleep(60)
"""


def test_work_is_idle_once_everybody_has_left(tmp_path):
    assert not is_at_work(tmp_path / "missing")
    first, second = Presence(tmp_path), Presence(tmp_path)
    assert is_at_work(tmp_path)
    first.leave()
    assert is_at_work(tmp_path)
    second.leave()
    assert not is_at_work(tmp_path)
    assert not is_at_work(tmp_path)  # the look has left no lock behind


def test_a_killed_process_is_not_at_work(tmp_path):
    command = [sys.executable, "-c", ENTERS, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "entered\n"
    assert is_at_work(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not is_at_work(tmp_path)
