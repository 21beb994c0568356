"""Freed memory is kept for the next array."""

import subprocess
import sys

import pytest

from bayesdl_sim.utils.console import allocation

MAPPED = """
import sys
from bayesdl_sim.utils.console.allocation import reuse_freed_memory
import numpy as np

def faults():
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def cost():
    before = faults()
    for _ in range(10):
        np.ones(10_000_000, np.float32)  # 40 MB, above what glibc keeps
    return faults() - before

first = cost()
if not reuse_freed_memory():
    sys.exit("unknown")
cost()
print(first, cost())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_a_freed_array_makes_room_for_the_next():
    done = subprocess.run([sys.executable, "-c", MAPPED], capture_output=True, text=True)
    if "unknown" in done.stderr:
        pytest.skip("another C library than glibc")
    before, after = map(int, done.stdout.split())
    assert after < 0.2 * before


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(allocation.sys, "platform", "win32")
    assert allocation.reuse_freed_memory() is False


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocation.ctypes, "CDLL", lambda name: object())
    assert allocation.reuse_freed_memory() is False
