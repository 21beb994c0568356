"""Workers come from a process that has loaded the program, unless the user sets another way."""

import multiprocessing
import os
import subprocess
import sys

import pytest

from bayesdl_sim.commands.many import fork_server
from bayesdl_sim.commands.many.fork_server import METHOD, start_fork_server
from tests.bayesdl_sim.commands.many.conftest import ROOT

ASKED = """
import multiprocessing, signal, sys
from bayesdl_sim.commands.many.fork_server import start_fork_server


def loaded(pipe):
    ignores = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    pipe.send(f"{'torch' in sys.modules} {ignores}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    start_fork_server()
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.get_context("forkserver").Process(target=loaded, args=(theirs,)).start()
    print(ours.recv(), "torch" in sys.modules, signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there workers are forked")
def test_a_forked_process_has_the_program_loaded_and_ignores_ctrl_c(tmp_path):
    script = tmp_path / "asked.py"
    script.write_text(ASKED)
    command = [sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False", "False"]


@pytest.mark.parametrize(
    ("platform", "chosen"), [("linux", "spawn"), ("win32", None), ("darwin", None)]
)
def test_another_way_to_start_workers_is_left_alone(monkeypatch, platform, chosen):
    started = []
    monkeypatch.setattr(multiprocessing, "set_forkserver_preload", started.append)
    monkeypatch.setattr(fork_server.forkserver, "ensure_running", lambda: started.append("server"))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delenv(METHOD, raising=False)
    if chosen is not None:
        monkeypatch.setenv(METHOD, chosen)
    start_fork_server()
    assert started == []
