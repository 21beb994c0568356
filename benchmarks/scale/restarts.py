"""Kills test.py on a folder of stacks and on a long series; each run continues the one before.

    python -m benchmarks.scale.restarts --kills 20 --work runs/restarts

After every kill, what was finished before it must still be there and must not have been made again;
in the end the files must be those of a run that nothing disturbed.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from tqdm import tqdm

from bayesdl_sim.benchmarks.robustness.running import contents, load_programs, run, start
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.folders.journal import journal_entries

__all__ = ["Work", "disturbed", "finished_parts", "lost", "main", "make_work", "parse_args"]

CELL = Path(__file__).resolve().parents[2] / "data" / "cristae" / "raw.tif"
WARM_UP_S = 0.05  # no kill before the program runs
EARLY = 8  # kills come within this part of the time of the whole, so that most of them find work


class Work(NamedTuple):
    """A call of test.py: its name, its input, and the number of its parts."""

    name: str
    data: Path
    parts: int


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("scale.restarts", "Kills work that goes on where it ended.", network=False)
    parser.add_argument("--kills", type=int, default=20, help="of each work (default %(default)s)")
    parser.add_argument("--stacks", type=int, default=12, help="in the folder")
    parser.add_argument("--times", type=int, default=60, help="time points of the series")
    parser.add_argument("--side", type=int, default=64, help="of a frame, raw pixels")
    parser.add_argument("--members", type=int, default=1, help="of the shipped posterior")
    parser.add_argument("--work", type=Path, required=True, help="folder for inputs and results")
    parser.add_argument("--seed", type=int, default=0, help="moments of the kills")
    args = parser.parse_args(argv)
    at_least(args, kills=1, stacks=2, times=2, side=16)
    return args


def make_work(folder: Path, stacks: int, times: int, side: int, seed: int) -> list[Work]:
    """A folder of stacks and a series: a real cell with shot noise of its own in each."""
    rng = np.random.default_rng(seed)
    cell = read_stack(CELL).raw[0, :, :side, :side].astype(np.float64)
    inputs = folder / "inputs"
    shutil.rmtree(folder, ignore_errors=True)
    (inputs / "stacks").mkdir(parents=True)
    for number in range(stacks):
        frames = rng.poisson(cell).astype(np.uint16)
        tifffile.imwrite(inputs / "stacks" / f"cell_{number + 1:02d}.tif", frames)
    with tifffile.TiffWriter(inputs / "series.tif") as file:
        for _ in range(times):
            file.write(rng.poisson(cell).astype(np.uint16), contiguous=True)
    return [
        Work(f"a folder of {stacks} stacks", inputs / "stacks", stacks),
        Work(f"a series of {times} time points", inputs / "series.tif", times),
    ]


def finished_parts(out: Path) -> dict[str, Any]:
    """The finished parts: stacks with the time of their facts, time points with their journal line.

    Raises:
        InputError: a time point stands in the journal twice.
    """
    stacks = {
        str(path.parent): path.stat().st_mtime_ns for path in sorted(out.rglob("prediction.json"))
    }
    points: dict[str, Any] = {}
    for entry in journal_entries(out / ".unfinished", "points-*.jsonl"):
        key = f"time point {entry['t']}"
        if key in points:
            raise InputError(f"{out}: {key} was made twice")
        points[key] = json.dumps(entry, sort_keys=True)
    return points or stacks


def lost(before: dict[str, Any], now: dict[str, Any]) -> int:
    """Number of finished parts that are gone or were made again; 0 for a complete series."""
    if now and before.keys() - now.keys() and not any(map(_is_point, now)):
        before = {key: value for key, value in before.items() if not _is_point(key)}
    return sum(now.get(key) != value for key, value in before.items())


def _is_point(key: str) -> bool:
    return key.startswith("time point ")


def disturbed(
    work: Work, words: list[str], out: Path, kills: int, limit_s: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Kills and restarts the program until enough kills are done, then lets it end.

    Where the work is finished before the last kill, it starts over in an empty folder.

    Returns:
        Kills, parts that were lost or made again, and results that it ended with.
    """
    done, again, ends, before = 0, 0, [], {}
    with tqdm(total=kills, desc=work.name, unit="kill") as bar:
        while True:
            process = start(words)
            moment = WARM_UP_S + float(rng.uniform(0, limit_s)) if done < kills else math.inf
            ended = time.monotonic() + moment
            while not process.ended() and time.monotonic() < ended:
                time.sleep(0.005)
            alive = not process.ended()
            if alive:
                process.kill()
                process.wait()
                done += 1
                bar.update()
            elif process.returncode:
                raise InputError(f"{work.name} failed: {process.last_line}")
            now = finished_parts(out)
            again += lost(before, now)
            before = now
            if not alive:
                ends.append(contents(out))
                if done >= kills:
                    return {"kills": done, "again": again, "ends": ends}
                shutil.rmtree(out)
                before = {}


def main(argv: list[str] | None = None) -> None:
    """One table: a row for the folder, one for the series."""
    args = parse_args(argv)
    folder, rng = args.work.resolve(), np.random.default_rng(args.seed)
    load_programs()
    rows, seconds = [], {}
    for work in make_work(folder, args.stacks, args.times, args.side, args.seed):
        words = ["test.py", "--test_data", str(work.data), "--members", str(args.members)]
        words += ["--device", "cpu", "--threads", "1", "--save_path"]
        began = time.monotonic()
        ended = run([*words, str(folder / "undisturbed")])
        if ended.returncode:
            raise InputError(f"{work.name} failed undisturbed: {ended.last_line}")
        seconds[work.name] = time.monotonic() - began
        expected, out = contents(folder / "undisturbed"), folder / "out"
        trial = disturbed(
            work, [*words, str(out)], out, args.kills, seconds[work.name] / EARLY, rng
        )
        row = {
            "work": work.name,
            "kills": trial["kills"],
            "finished results": len(trial["ends"]),
            "equal to an undisturbed run": sum(end == expected for end in trial["ends"]),
            "parts lost or made again": trial["again"],
        }
        rows.append(row)
        for place in (folder / "undisturbed", out):
            shutil.rmtree(place)
    facts = {"seed": args.seed, "side": args.side, "undisturbed_s": seconds}
    write_tables("restarts", {"Killed and gone on": rows}, args.save_path, facts)


if __name__ == "__main__":
    run_script(main)
