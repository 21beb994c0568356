"""Starts two runs of a program on one folder at once: one must win, and the other must say so.

    python -m benchmarks.robustness.pairs --pairs 20 --work runs/robust

The two runs differ (another stack, another seed), so that a mixture of their files would show.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

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
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args"]

LATEST_S = 2.0  # the second run starts up to so much later
CROWDED = ("test.py, one stack", "from_simulation", "train.py, step 1")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("robustness.pairs", "Two programs on one folder.", network=False)
    parser.add_argument("--pairs", type=int, default=20, help="over all programs (%(default)s)")
    parser.add_argument("--work", type=Path, required=True, help="folder for inputs and results")
    parser.add_argument("--seed", type=int, default=0, help="delays of the second run")
    args = parser.parse_args(argv)
    at_least(args, pairs=1)
    return args


def rival(words: list[str]) -> list[str]:
    """The same program on the same folder with another input or seed."""
    if words[0] == "test.py":
        return [word.replace("a.tif", "c.tif") for word in words]
    return [*words, "--seed", "7"]


def main(argv: list[str] | None = None) -> None:
    """One table: how many pairs had one winner, one message and unmixed files."""
    args = parse_args(argv)
    rng = np.random.default_rng(args.seed)
    inputs, out = make_inputs(args.work.resolve()), args.work.resolve() / "out"
    possible = {}
    for name in CROWDED:
        possible[name] = []
        for change in (list, rival):
            done = run(change(prepare(name, inputs, out)))
            assert done.returncode == 0, done.stderr
            possible[name].append(contents(out / PROGRAMS[name].results))
    records = []
    for number in tqdm(range(args.pairs), "pairs", unit="pair"):
        name = CROWDED[number % len(CROWDED)]
        words = prepare(name, inputs, out)
        records.append(_race(name, words, out, float(rng.uniform(0, LATEST_S)), possible[name]))
    rows = []
    for name in CROWDED:
        own = [record for record in records if record["program"] == name]
        rows.append({
            "program": name,
            "pairs": len(own),
            "one won": sum(record["winners"] == 1 for record in own),
            "the other said so": sum(record["said"] for record in own),
            "not mixed": sum(record["unmixed"] for record in own),
        })  # fmt: skip
    write_tables(
        "pairs", {"Two runs on one folder": rows}, args.save_path, {"seed": args.seed}, records
    )


def _race(name: str, words: list[str], out: Path, delay: float, possible: list) -> dict:
    first = start(words)
    time.sleep(delay)
    second = start(rival(words))
    ends = [process.communicate() for process in (first, second)]
    codes = [first.returncode, second.returncode]
    losers = [text for (_, text), code in zip(ends, codes, strict=True) if code]
    said = all(text.strip().splitlines()[-1].startswith("error: ") for text in losers)
    # Runs one after the other both succeed; the later one then replaces or refuses the earlier.
    return {
        "program": name,
        "delay_s": round(delay, 3),
        "winners": codes.count(0),
        "said": bool(losers) and said,
        "unmixed": contents(out / PROGRAMS[name].results) in possible,
        "message": losers[0].strip().splitlines()[-1] if losers else "",
    }


if __name__ == "__main__":
    run_script(main)
