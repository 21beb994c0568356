"""Worker processes end with the program that started them, even if it is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bayesdl_sim.DatasetGenerate.workers import worker_pool
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import os, sys, time
from pathlib import Path
from bayesdl_sim.DatasetGenerate.workers import worker_pool

def work(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    with worker_pool(2) as pool:
        for _ in range(4):
            pool.submit(work, sys.argv[1])
"""


def is_alive(pid):
    """Whether a process runs; one that has ended and waits for its parent's notice does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    pids = tmp_path / "pids"
    pids.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, str(script), str(pids)], env=environment)
    try:
        assert wait_until(lambda: len(list(pids.iterdir())) == 2)
        workers = [int(path.name) for path in pids.iterdir()]
        assert all(map(is_alive, workers))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert wait_until(lambda: not any(map(is_alive, workers)), 20)


def test_a_pool_works_and_ends_as_usual():
    with worker_pool(1) as pool:
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
    with worker_pool(0) as pool:  # no work at all is no fault
        assert list(pool.map(abs, [])) == []


def test_a_killed_worker_is_put_in_plain_words():
    words = "a worker process was killed.*fewer --workers"
    with pytest.raises(InputError, match=words), worker_pool(1) as pool:
        pool.submit(os._exit, 9).result()


def test_other_errors_of_workers_pass_through():
    with pytest.raises(ZeroDivisionError), worker_pool(1) as pool:
        pool.submit(divmod, 1, 0).result()
