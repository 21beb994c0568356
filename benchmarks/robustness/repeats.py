"""Runs every program again: in another process, with another hash seed, with two threads.

    python -m benchmarks.robustness.repeats --work runs/robust

Compares the content of the files with the first run, except times, dates and versions. Every way of
running is an interpreter of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bayesdl_sim.benchmarks.robustness.programs import PROGRAMS, make_inputs, prepare
from bayesdl_sim.benchmarks.robustness.running import ROOT, contents, load_programs, run
from bayesdl_sim.benchmarks.shared.console import arguments
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["differing", "main", "parse_args"]

WAYS = {  # title -> environment of the interpreter
    "first": {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
    "again": {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
    "other hash seed": {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"},
    "two threads": {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "2"},
}
SHOWN = 3  # names of files that a cell of the table lists


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("robustness.repeats", "Equal runs, compared.", network=False)
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--work", type=Path, required=True, help="folder for inputs and results")
    parser.add_argument("--only", type=Path, help="run once, and write the hashes to this file")
    return parser.parse_args(argv)


def hashes(args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Program -> file -> hash of its content, of one run in this interpreter.

    Raises:
        InputError: a program failed.
    """
    load_programs(int(os.environ["OMP_NUM_THREADS"]))
    inputs, out, of_program = make_inputs(args.work.resolve()), args.work.resolve() / "out", {}
    for name in args.programs:
        done = run(prepare(name, inputs, out, earlier=False))
        if done.returncode:
            raise InputError(f"{name} failed: {done.last_line}")
        of_program[name] = contents(out / PROGRAMS[name].results)
    return of_program


def _in_new_interpreter(args: argparse.Namespace, way: str) -> dict[str, dict[str, str]]:
    """The hashes of one way of running; results that programs continue from are made again, too.

    Raises:
        InputError: it failed.
    """
    shutil.rmtree(args.work / "before", ignore_errors=True)
    path = args.work / "hashes.json"
    words = [sys.executable, "-m", "benchmarks.robustness.repeats", "--work", str(args.work)]
    words += ["--only", str(path), "--programs", *args.programs]
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | WAYS[way], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InputError(f"{way}: {done.stderr.strip()[-300:]}")
    return json.loads(path.read_text(encoding="utf-8"))


def differing(one: dict[str, str], other: dict[str, str]) -> str:
    """ "same", or the files that differ."""
    names = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    if not names:
        return "same"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} of {len(one)}: {', '.join(names[:SHOWN])}{more}"


def main(argv: list[str] | None = None) -> None:
    """One table: per program and way of running, whether all files are the same."""
    args = parse_args(argv)
    if args.only is not None:
        args.only.write_text(json.dumps(hashes(args)), encoding="utf-8")
        return
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    of_way = {way: _in_new_interpreter(args, way) for way in WAYS}
    first, *others = WAYS
    rows: list[dict[str, Any]] = [
        {"program": name, "files": len(of_way[first][name])}
        | {way: differing(of_way[first][name], of_way[way][name]) for way in others}
        for name in args.programs
    ]
    write_tables("repeats", {"Equal runs": rows}, args.save_path, {"ways": WAYS})


if __name__ == "__main__":
    run_script(main)
