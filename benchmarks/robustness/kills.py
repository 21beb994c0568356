"""Kills every program at random moments, starts it again, and compares with an undisturbed run.

    python -m benchmarks.robustness.kills --kills 200 --work runs/robust

A trial ends well if, after restarts, the files are those of the undisturbed run, if no result of an
earlier run was lost or mixed right after the kill, and if no process is left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from bayesdl_sim.benchmarks.robustness.programs import (
    PROGRAMS,
    contents,
    make_inputs,
    prepare,
    run,
    start,
)
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main", "parse_args"]

MOST_RESTARTS = 3
GRACE_S = 5.0  # for workers to notice that their parent is gone


class Trial(NamedTuple):
    """What one kill did."""

    program: str
    moment_s: float
    equal: bool
    earlier_kept: bool
    orphans: int
    differing: str
    message: str


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("robustness.kills", "Kills programs at random moments.", network=False)
    parser.add_argument("--kills", type=int, default=60, help="over all programs (%(default)s)")
    parser.add_argument("--minutes", type=float, help="start no further kill after so long")
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--work", type=Path, required=True, help="folder for inputs and results")
    parser.add_argument("--seed", type=int, default=0, help="moments of the kills")
    args = parser.parse_args(argv)
    at_least(args, kills=1)
    return args


def undisturbed(name: str, inputs: Path, out: Path) -> tuple[dict[str, str], dict[str, str], float]:
    """Results of an earlier run, results at the end, and seconds of the program."""
    words = prepare(name, inputs, out)
    results = out / PROGRAMS[name].results
    earlier = contents(results) if PROGRAMS[name].earlier else {}
    began = time.monotonic()
    done = run(words)
    if done.returncode:
        raise InputError(f"{name} failed undisturbed: {done.stderr.strip()[-300:]}")
    return earlier, contents(results), time.monotonic() - began


def processes_in(group: int) -> int:
    """How many processes of a group still run; those that only wait to be reaped have ended."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            state, _, found = stat.read_text(encoding="ascii").rpartition(")")[2].split()[:3]
            count += int(found) == group and state not in "ZX"
    return count


def kill_once(name: str, inputs: Path, out: Path, moment: float, expected: tuple) -> Trial:
    """Starts, kills the parent alone, waits for its workers, restarts, and compares."""
    earlier, final, _ = expected
    words = prepare(name, inputs, out)
    results = out / PROGRAMS[name].results
    process = start(words)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + GRACE_S
    while processes_in(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    orphans = processes_in(process.pid)
    if orphans:
        os.killpg(process.pid, signal.SIGKILL)
    now = contents(results) if earlier else {}
    kept = now in (earlier, final)
    message = ""
    for _ in range(MOST_RESTARTS):
        done = run(words)
        if done.returncode == 0:
            break
        message = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message"
    found = contents(results)
    differing = [n for n in sorted(found.keys() | final.keys()) if found.get(n) != final.get(n)]
    shown = " ".join(differing[:5])
    return Trial(name, round(moment, 3), not differing, kept, orphans, shown, message)


def main(argv: list[str] | None = None) -> None:
    """One table: trials per program, and how many ended well."""
    args = parse_args(argv)
    rng = np.random.default_rng(args.seed)
    inputs = make_inputs(args.work.resolve())
    out = args.work.resolve() / "out"
    expected = {name: undisturbed(name, inputs, out) for name in args.programs}
    trials, began = [], time.monotonic()
    for number in tqdm(range(args.kills), "kills", unit="kill"):
        if args.minutes and time.monotonic() - began > 60 * args.minutes:
            break
        name = args.programs[number % len(args.programs)]
        moment = float(rng.uniform(0, expected[name][2]))
        trials.append(kill_once(name, inputs, out, moment, expected[name]))
        if not (trials[-1].equal and trials[-1].earlier_kept and not trials[-1].orphans):
            tqdm.write(str(trials[-1]))
    rows = []
    for name in args.programs:
        own = [trial for trial in trials if trial.program == name]
        rows.append({
            "program": name,
            "kills": len(own),
            "equal in the end": sum(trial.equal for trial in own),
            "earlier result kept": sum(trial.earlier_kept for trial in own),
            "left processes": sum(trial.orphans for trial in own),
        })  # fmt: skip
    facts = {"seed": args.seed, "undisturbed_s": {n: round(e[2], 2) for n, e in expected.items()}}
    records = [trial._asdict() for trial in trials]
    write_tables("kills", {"Killed and started again": rows}, args.save_path, facts, records)


if __name__ == "__main__":
    run_script(main)
