"""Starts two runs of a program on one folder at once: one must win, and the other must report it.

    python -m benchmarks.robustness.pairs --pairs 20 --work runs/robust

The two runs differ (another stack, another seed), so that a mixture of their files is detected.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bayesdl_sim.benchmarks.robustness.programs import PROGRAMS, make_inputs, prepare, rival
from bayesdl_sim.benchmarks.robustness.running import contents, load_programs, run, start
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main", "parse_args"]

LATEST_SHARE = 1.0  # of the time of one run, by which the second starts later


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("robustness.pairs", "Two programs on one folder.", network=False)
    parser.add_argument("--pairs", type=int, default=20, help="over all programs (%(default)s)")
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--work", type=Path, required=True, help="folder for inputs and results")
    parser.add_argument("--seed", type=int, default=0, help="delays of the second run")
    args = parser.parse_args(argv)
    at_least(args, pairs=1)
    return args


def possible_results(name: str, inputs: Path, out: Path) -> tuple[list[dict[str, str]], float]:
    """Files of each of the two runs without the other, and the mean seconds of a run.

    Raises:
        InputError: one of them failed.
    """
    results, began = [], time.monotonic()
    for other in (False, True):
        words = prepare(name, inputs, out, earlier=False)
        done = run(rival(name, inputs, out) if other else words)
        if done.returncode:
            raise InputError(f"{name} failed alone: {done.last_line}")
        results.append(contents(out / PROGRAMS[name].results))
    return results, (time.monotonic() - began) / 2


def race(name: str, inputs: Path, out: Path, delay: float, possible: list) -> dict[str, Any]:
    """Two runs on one folder, the second one `delay` seconds later."""
    first = start(prepare(name, inputs, out, earlier=False))
    time.sleep(delay)
    second = start(rival(name, inputs, out))
    ends = [process.wait() for process in (first, second)]
    losers = [process for process in ends if process.returncode]
    said = all(
        process.returncode == 2
        and process.last_line.startswith("error: ")
        and "Traceback" not in process.stderr
        for process in losers
    )
    return {
        "program": name,
        "delay_s": round(delay, 3),
        "winners": len(ends) - len(losers),
        "said": said,
        "unmixed": contents(out / PROGRAMS[name].results) in possible,
        "message": losers[0].last_line if losers else "one after the other",
    }


def main(argv: list[str] | None = None) -> None:
    """One table: how many pairs had a winner, a message of the other, and unmixed files."""
    args = parse_args(argv)
    load_programs()
    rng = np.random.default_rng(args.seed)
    inputs, out = make_inputs(args.work.resolve()), args.work.resolve() / "out"
    possible, records = {}, []
    for number in tqdm(range(args.pairs), "pairs", unit="pair"):
        name = args.programs[number % len(args.programs)]
        if name not in possible:
            possible[name] = possible_results(name, inputs, out)
        results, seconds = possible[name]
        delay = float(rng.uniform(0, LATEST_SHARE * seconds))
        records.append(race(name, inputs, out, delay, results))
        if not (records[-1]["winners"] and records[-1]["said"] and records[-1]["unmixed"]):
            tqdm.write(str(records[-1]))
    rows = []
    for name in possible:
        races = [record for record in records if record["program"] == name]
        row = {
            "program": name,
            "pairs": len(races),
            "one won, the other said so": sum(r["winners"] == 1 and r["said"] for r in races),
            "one after the other": sum(record["winners"] == 2 for record in races),
            "not mixed": sum(record["unmixed"] for record in races),
        }
        rows.append(row)
    tables = {"Two runs on one folder": rows}
    write_tables("pairs", tables, args.save_path, {"seed": args.seed}, records)


if __name__ == "__main__":
    run_script(main)
