"""The programs that are disturbed: small inputs, command lines, and what their results hold.

Every program gets a folder of its own for what it writes. Two runs are equal if the same files hold
the same content, but for times, dates and versions.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile

from bayesdl_sim.utils.errors import InputError

__all__ = ["PROGRAMS", "Program", "contents", "make_inputs", "prepare", "run", "start"]

ROOT = Path(__file__).resolve().parents[2]
VOLATILE_KEYS = {"seconds", "provenance", "created", "date", "elapsed_s", "threads"}
IGNORED = ("events.out.tfevents*", "*.lock", ".*", "latest*.pth", "*.log")


class Program(NamedTuple):
    """A command line, with `{inputs}` and `{out}` for the two folders.

    Attributes:
        words: after the interpreter.
        results: path below `{out}` of what it writes.
        before: name of the program whose results it goes on from; "" for none.
        earlier: whether results of an earlier run lie there already, which must not be lost.
    """

    words: tuple[str, ...]
    results: str
    before: str = ""
    earlier: bool = False


_SMALL = ("--members", "2", "--precision", "fp32", "--device", "cpu")
_TRAIN = (
    "train.py", "--root_dir", "{inputs}/set", "--save_model_dir", "{out}/runs", "--n_feat", "8",
    "--levels", "2", "--nBlocks", "1", "--patch_size", "32", "--batch_size", "4", "--val_stacks",
    "1", "--precision", "fp32", "--device", "cpu", "--resume",
)  # fmt: skip
PROGRAMS = {
    "test.py, one stack": Program(
        ("test.py", "--test_data", "{inputs}/stacks/a.tif", "--save_path", "{out}/one", *_SMALL),
        "one",
        earlier=True,
    ),
    "test.py, a folder": Program(
        ("test.py", "--test_data", "{inputs}/stacks", "--save_path", "{out}/many", *_SMALL), "many"
    ),
    "from_simulation": Program(
        ("-m", "DatasetGenerate.from_simulation", "--sample", "MT", "--save_path", "{out}/set",
         "--cells", "6", "--levels", "2", "--size", "48", "--workers", "2"),
        "set",
    ),
    "from_stacks": Program(
        ("-m", "DatasetGenerate.from_stacks", "--raw", "{inputs}/stacks/*.tif", "--target",
         "{inputs}/targets/*.tif", "--order", "orientation,phase", "--save_path", "{out}/made"),
        "made",
    ),
    "train.py, step 1": Program(
        (*_TRAIN, "--epoch", "6", "--cycles", "2", "--members_per_cycle", "1"), "runs"
    ),
    "train.py, step 2": Program(
        (*_TRAIN, "--train_type", "uncertainty_tail", "--likehood", "gauss", "--SGLD", "False",
         "--epoch", "3"),
        "runs",
        before="train.py, step 1",
    ),
}  # fmt: skip


def make_inputs(folder: Path) -> Path:
    """A small data set, three stacks and their targets; made once, the same every time.

    Raises:
        InputError: the simulation failed.
    """
    inputs = folder / "inputs"
    if (inputs / "complete").is_file():
        return inputs
    shutil.rmtree(inputs, ignore_errors=True)
    words = ["-m", "DatasetGenerate.from_simulation", "--sample", "F-actin", "--cells", "6"]
    words += ["--levels", "2", "--size", "64", "--workers", "1"]
    done = run([*words, "--save_path", str(inputs / "set")])
    if done.returncode:
        raise InputError(f"the inputs could not be simulated: {done.stderr.strip()[-300:]}")
    for kind in ("stacks", "targets"):
        (inputs / kind).mkdir()
    for number, name in enumerate("abc", start=1):
        frames = sorted((inputs / "set" / "Raw" / f"cell_{number}" / "level_2").glob("*.tif"))
        stack = np.stack([tifffile.imread(path) for path in frames])
        tifffile.imwrite(inputs / "stacks" / f"{name}.tif", stack)
        target = tifffile.imread(inputs / "set" / "GT" / f"cell_{number}" / "gt.tif")
        tifffile.imwrite(inputs / "targets" / f"{name}.tif", target)
    (inputs / "complete").write_text("", encoding="utf-8")
    return inputs


def prepare(name: str, inputs: Path, out: Path) -> list[str]:
    """Makes the folder ready and returns the command.

    What the program goes on from is made once and kept in a folder beside `out`.

    Raises:
        InputError: the program before this one failed.
    """
    program = PROGRAMS[name]
    kept = out.with_name(f"{out.name} before {re.sub('[^a-z0-9]+', '-', name)}")
    if not kept.is_dir():
        _fill(name, inputs, out)
        shutil.copytree(out, kept)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(kept, out)
    return _filled(program, inputs, out)


def _fill(name: str, inputs: Path, out: Path) -> None:
    """What lies in the folder before the program starts."""
    program = PROGRAMS[name]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    if program.before:
        done = run(prepare(program.before, inputs, out))
        if done.returncode:
            raise InputError(f"{program.before}: {done.stderr.strip()[-300:]}")
    if program.earlier:
        done = run([word.replace("a.tif", "b.tif") for word in _filled(program, inputs, out)])
        if done.returncode:
            raise InputError(f"{name}, the run before: {done.stderr.strip()[-300:]}")


def start(words: Sequence[str], **options: Any) -> subprocess.Popen:
    """The program in a process group of its own, on one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        **options,
    )


def run(words: Sequence[str], **options: Any) -> subprocess.CompletedProcess:
    """Runs the program to its end."""
    process = start(words, **options)
    out, err = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def contents(folder: Path) -> dict[str, str]:
    """File below the folder -> hash of what it holds, without times, dates and versions."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(
            part.match(pattern) for part in (name, *name.parents) for pattern in IGNORED
        ):
            found[name.as_posix()] = hashlib.sha256(_lasting(path)).hexdigest()
    return found


def _filled(program: Program, inputs: Path, out: Path) -> list[str]:
    return [word.format(inputs=inputs, out=out) for word in program.words]


def _lasting(path: Path) -> bytes:
    """The bytes of a file, less what differs between two equal runs."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return json.dumps(_without_times(json.loads(data)), sort_keys=True).encode()
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(data.decode()))
        return json.dumps([_without_times(row) for row in rows]).encode()
    if path.name in ("summary.png", "report.html"):
        return b"shows seconds and versions"
    return data


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in VOLATILE_KEYS}
    if isinstance(value, list):
        return [_without_times(item) for item in value]
    return value
