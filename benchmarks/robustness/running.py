"""Programs as processes that start at once, and the content of their result folders.

A program is forked from a process that has loaded all libraries, with its own process group, one
thread and `__main__` as its name. Loading PyTorch takes ten times as long as the work on the small
inputs here: a random moment of a process that begins with it would hardly ever fall into the work.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import json
import os
import re
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from bayesdl_sim.benchmarks.shared.second_system import WING, wing_is_here

__all__ = ["ROOT", "Started", "bytes_in", "contents", "load_programs", "run", "sets_of", "start"]

ROOT = Path(__file__).resolve().parents[2]
LOADED = (
    "commands.testing.run",
    "commands.calibrate",
    "commands.evaluate",
    "commands.profile",
    "training.step1",
    "training.step2",
    "DatasetGenerate.from_simulation",
    "DatasetGenerate.from_image",
    "DatasetGenerate.from_stacks",
    "DatasetGenerate.from_biosr",
    "evaluation.alignment",
    "dlbi.simulate",
    "dlbi.reconstruct",
    "dlbi.evaluate",
    "dlbi.train",
)
# Loaded by their users at the first call.
LOADED_LATE = ("matplotlib.backends.backend_agg", "torch._dynamo", "torch.utils.tensorboard")
VOLATILE_KEYS = {"seconds", "provenance", "created", "date", "elapsed_s", "threads", "versions"}
IGNORED = ("events.out.tfevents*", "*.lock", ".*", "latest*.pth", "progress.pth", "*.log")
TIMED = ("summary.png", "report.html")  # pages and pictures that show seconds or versions
POLL_S = 0.002
CONTROL = re.compile(r"\r|\x1b\[[0-9;]*[A-Za-z]")


class Started:
    """A program that runs: its process and, once it has ended, its exit code and messages."""

    def __init__(self, pid: int, messages: int) -> None:
        self.pid, self._messages = pid, messages
        self.returncode: int | None = None
        self.stderr = ""

    def ended(self) -> bool:
        """Whether the program has ended; then its exit code and messages are known."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if not pid:
                return False
            self.returncode = os.waitstatus_to_exitcode(status)
            with os.fdopen(self._messages, "rb") as file:
                file.seek(0)
                # A bar of progress is drawn over by a later line, which begins in the middle.
                self.stderr = CONTROL.sub("\n", file.read().decode(errors="replace"))
        return True

    def wait(self, meanwhile: Callable[[], Any] = lambda: None) -> Started:
        """Waits until the program has ended; calls a function meanwhile."""
        while not self.ended():
            meanwhile()
            time.sleep(POLL_S)
        return self

    def kill(self) -> None:
        """Ends the program, not its workers, as a power cut or an impatient user would."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    @property
    def last_line(self) -> str:
        """The last line that the program wrote to stderr."""
        return (self.stderr.strip().splitlines() or ["no message"])[-1]


def load_programs(threads: int = 1) -> None:
    """Loads all libraries of the programs once; the programs use this number of threads."""
    tqdm.monitor_interval = 0  # no thread of ours, which a fork would not take along
    torch.set_num_threads(threads)
    for name in LOADED:
        if name.startswith(WING) and not wing_is_here():
            continue
        importlib.import_module(f"bayesdl_sim.{name}")
    for name in LOADED_LATE:
        importlib.import_module(name)
    Image.init()


def start(words: Sequence[str]) -> Started:
    """Starts `python WORDS` in a process group of its own.

    Args:
        words: a script and its options, or `-m`, a module and its options.
    """
    messages = os.memfd_create("messages")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Started(pid, messages)
    code = 1
    try:
        code = _work(words, messages)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _work(words: Sequence[str], messages: int) -> int:
    """Runs the program in the new process, and returns its exit code."""
    os.setsid()
    with open(os.devnull, "rb+") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    os.dup2(messages, 2)
    for name, number in (("stdout", 1), ("stderr", 2)):  # not pytest's or a notebook's
        raw = io.FileIO(number, "w", closefd=False)
        setattr(sys, name, io.TextIOWrapper(raw, line_buffering=True, write_through=True))
    os.chdir(ROOT)
    module = words[0] == "-m"
    sys.argv = list(words[1:]) if module else list(words)
    try:
        if module:
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def run(words: Sequence[str]) -> Started:
    """Runs the program to its end."""
    return start(words).wait()


def bytes_in(folder: Path) -> dict[str, str]:
    """File below the folder -> SHA-256 of its bytes, hidden ones left out."""
    return _hashes(folder, lambda path: path.read_bytes(), (".*",))


def contents(folder: Path) -> dict[str, str]:
    """File below the folder -> hash of its content, without times, dates and versions."""
    return _hashes(folder, _lasting, IGNORED)


def sets_of(files: dict[str, str]) -> dict[str, dict[str, str]]:
    """The files of each folder right below the results, and those beside them, as sets.

    A set is replaced whole: one stack of several, one movie of several, or all there is.
    """
    sets: dict[str, dict[str, str]] = {}
    for name, digest in files.items():
        first, *rest = name.split("/")
        sets.setdefault(first if rest else ".", {})[name] = digest
    return sets


def _hashes(folder: Path, read: Callable[[Path], bytes], ignored: Sequence[str]) -> dict[str, str]:
    hashes = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        parts = (name, *name.parents)
        if path.is_file() and not any(part.match(other) for part in parts for other in ignored):
            hashes[name.as_posix()] = hashlib.sha256(read(path)).hexdigest()
    return hashes


def _lasting(path: Path) -> bytes:
    """The bytes of a file, without what differs between two equal runs."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return json.dumps(_without_times(json.loads(data)), sort_keys=True).encode()
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(data.decode()))
        return json.dumps([_without_times(row) for row in rows]).encode()
    return b"shows seconds and versions" if path.name in TIMED else data


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in VOLATILE_KEYS}
    if isinstance(value, list):
        return [_without_times(item) for item in value]
    return value
