"""Threads are set where the user has not, before PyTorch is loaded, and help stays quick."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bayesdl_sim.utils.console.threads import set_threads, usable_cores
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.fixture
def environment(monkeypatch):
    """An environment without these names, put back afterwards; torch counts as not loaded."""
    for name in NAMES:
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return lambda: {name: os.environ.get(name) for name in NAMES}


def test_threads_wait_without_holding_their_core(environment):
    set_threads()
    assert environment() == {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "OMP_NUM_THREADS": str(min(usable_cores(), 16)),
        "MKL_NUM_THREADS": None,
    }


def test_what_the_user_has_set_stays_unless_a_number_is_asked_for(environment, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    set_threads()
    assert environment()["OMP_WAIT_POLICY"] == "ACTIVE"
    assert environment()["OMP_NUM_THREADS"] == "3"
    set_threads(2)
    assert environment()["OMP_NUM_THREADS"] == environment()["MKL_NUM_THREADS"] == "2"
    with pytest.raises(InputError, match="threads: expected 1 or more, found 0"):
        set_threads(0)


def test_the_options_of_test_py_are_read_before_torch_is_loaded():
    code = (
        "import sys, json\n"
        "from bayesdl_sim.commands.test import parse_args\n"
        "parse_args(['--test_data', 'a.tif', '--save_path', 'b'])\n"
        "print(json.dumps([n for n in ('torch', 'scipy', 'matplotlib') if n in sys.modules]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
