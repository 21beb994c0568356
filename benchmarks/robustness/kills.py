"""Kills every program at random moments, starts it again, and compares with an undisturbed run.

    python -m benchmarks.robustness.kills --kills 200 --work runs/robust

A moment is a random share of the time that the undisturbed run took. A trial ends well if, after
restarts, the files are those of the undisturbed run, if no result of an earlier run was lost or
mixed right after the kill, and if no process is left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from bayesdl_sim.benchmarks.robustness.programs import PROGRAMS, make_inputs, prepare
from bayesdl_sim.benchmarks.robustness.running import contents, load_programs, run, sets_of, start
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main", "parse_args"]

MOST_RESTARTS = 3
GRACE_S = 5.0  # for workers to notice that their parent is gone


class Expected(NamedTuple):
    """The undisturbed run: an earlier result, the final one, and seconds."""

    earlier: dict[str, str]
    final: dict[str, str]
    seconds: float


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("robustness.kills", "Kills programs at random moments.", network=False)
    parser.add_argument("--kills", type=int, default=200, help="over all programs (%(default)s)")
    parser.add_argument("--minutes", type=float, help="start no further kill after so long")
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--work", type=Path, required=True, help="folder for inputs and results")
    parser.add_argument("--seed", type=int, default=0, help="moments of the kills")
    args = parser.parse_args(argv)
    at_least(args, kills=1)
    return args


def undisturbed(name: str, inputs: Path, out: Path) -> Expected:
    """One run that nobody kills.

    Raises:
        InputError: it failed.
    """
    words = prepare(name, inputs, out)
    results = out / PROGRAMS[name].results
    earlier = contents(results) if PROGRAMS[name].replaces else {}
    began = time.monotonic()
    done = run(words)
    if done.returncode:
        raise InputError(f"{name} failed undisturbed: {done.last_line}")
    return Expected(earlier, contents(results), time.monotonic() - began)


def processes_in(group: int) -> int:
    """How many processes of a group still run; those that only wait to be reaped have ended."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            state, _, process_group = (
                stat.read_text(encoding="ascii").rpartition(")")[2].split()[:3]
            )
            count += int(process_group) == group and state not in "ZX"
    return count


def kill_once(
    name: str, inputs: Path, out: Path, share: float, expected: Expected
) -> dict[str, Any]:
    """Starts, kills the parent alone, waits for its workers, restarts, and compares.

    Args:
        share: share of the undisturbed run's time, after which the kill comes.
    """
    words = prepare(name, inputs, out)
    results = out / PROGRAMS[name].results
    process = start(words)
    deadline = time.monotonic() + share * expected.seconds
    while time.monotonic() < deadline and not process.ended():
        time.sleep(0.001)
    process.kill()
    process.wait()
    orphans = _left_behind(process.pid)
    now = contents(results) if PROGRAMS[name].replaces else {}
    done = run(words)
    restarts = 1
    while done.returncode and restarts < MOST_RESTARTS:
        done, restarts = run(words), restarts + 1
    files, final = contents(results), expected.final
    differing = [n for n in sorted(files.keys() | final.keys()) if files.get(n) != final.get(n)]
    return {
        "program": name,
        "share": round(share, 3),
        "killed": process.returncode == -signal.SIGKILL,
        "equal": not differing,
        "kept": is_kept(now, expected),
        "orphans": orphans,
        "restarts": restarts,
        "differing": " ".join(differing[:5]),
        "message": done.last_line if done.returncode else "",
    }


def is_kept(now: dict[str, str], expected: Expected) -> bool:
    """Whether every set of files is that of the earlier run or that of the final one."""
    earlier, final = sets_of(expected.earlier), sets_of(expected.final)
    sets = sets_of(now)
    return sets.keys() == earlier.keys() and all(
        files in (earlier.get(name), final.get(name)) for name, files in sets.items()
    )


def _left_behind(group: int) -> int:
    """Processes of a group that live on after their parent; they are ended."""
    deadline = time.monotonic() + GRACE_S
    while (count := processes_in(group)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if count:
        os.killpg(group, signal.SIGKILL)
    return count


def summary(programs: list[str], trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per program."""
    rows = []
    for name in programs:
        of_program = [trial for trial in trials if trial["program"] == name]
        replaces = PROGRAMS[name].replaces
        row = {
            "program": name,
            "kills": len(of_program),
            "ended before": sum(not trial["killed"] for trial in of_program),
            "equal in the end": sum(trial["equal"] for trial in of_program),
            "earlier result kept": sum(trial["kept"] for trial in of_program)
            if replaces
            else "none",
            "processes left": sum(trial["orphans"] for trial in of_program),
        }
        rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> None:
    """One table: trials per program, and how many ended well."""
    args = parse_args(argv)
    load_programs()
    rng = np.random.default_rng(args.seed)
    inputs = make_inputs(args.work.resolve())
    out = args.work.resolve() / "out"
    expected = {name: undisturbed(name, inputs, out) for name in args.programs}
    trials, began = [], time.monotonic()
    for number in tqdm(range(args.kills), "kills", unit="kill"):
        if args.minutes and time.monotonic() - began > 60 * args.minutes:
            break
        name = args.programs[number % len(args.programs)]
        try:
            trials.append(kill_once(name, inputs, out, float(rng.uniform()), expected[name]))
        except KeyboardInterrupt:
            break  # the table of what was done so far
        if not (trials[-1]["equal"] and trials[-1]["kept"]) or trials[-1]["orphans"]:
            tqdm.write(str(trials[-1]))
    tables = {"Killed and started again": summary(args.programs, trials)}
    seconds = {name: round(facts.seconds, 2) for name, facts in expected.items()}
    facts = {"seed": args.seed, "undisturbed_s": seconds}
    write_tables("kills", tables, args.save_path, facts, trials)


if __name__ == "__main__":
    run_script(main)
