"""One large field through test.py, in an address space of so many bytes: does it fit, and how fast?

    python -m benchmarks.scale.large --side 4096 --members 8 --work runs/large

The field is one microscope's: F-actin repeated in mirror images under fringes that run through all
of it, exposed with shot noise. `--limit_gb` is the `ulimit -v` of test.py, of which PyTorch alone
takes 0.9 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from bayesdl_sim.benchmarks.scenes.large_field import simulate_field
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["Limited", "limited", "main", "parse_args"]

ROOT = Path(__file__).resolve().parents[2]
KILOBYTE = 1024


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("scale.large", "One large field in little memory.")
    add = parser.add_argument
    add("--side", type=int, default=4096, help="raw pixels")
    add("--limit_gb", type=float, default=3.0, help="of addresses (ulimit -v)")
    add("--seed", type=int, default=5, help="of structure, microscope and noise")
    add("--work", type=Path, required=True, help="folder for input and result")
    args = parser.parse_args(argv)
    at_least(args, side=16)
    return args


class Limited(dict[str, float]):
    """Cost of a call: `CPU s`, `peak GB` of resident memory."""


def limited(data: Path, out: Path, limit_gb: float, *options: str) -> Limited:
    """Runs test.py on one thread with a limit of its addresses.

    Raises:
        InputError: it failed, most likely for want of memory.
    """
    command = [sys.executable, "test.py", "--test_data", str(data), "--save_path", str(out)]
    command += ["--device", "cpu", "--threads", "1", "--pixel_size_nm", "65", "--again", *options]
    limit = int(limit_gb * 1e9)

    def within() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    with open(out.with_suffix(".log"), "w+") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            preexec_fn=within,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise InputError(f"test.py failed: {log.read().strip()[-300:]}")
    used = usage.ru_utime + usage.ru_stime
    return Limited({"CPU s": used, "peak GB": usage.ru_maxrss * KILOBYTE / 1e9})


def main(argv: list[str] | None = None) -> None:
    """Simulates the field, reconstructs it, and prints one row."""
    args = parse_args(argv)
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    data, members = work / f"field_{args.side}.tif", args.members or 8
    if not data.exists():
        simulate_field(data, args.side, args.seed)
    options = ["--members", str(members), "--pretrained_G", str(args.pretrained_G.resolve())]
    cost = limited(data, work / "out", args.limit_gb, *options)
    facts = json.loads((work / "out" / "prediction.json").read_text(encoding="utf-8"))
    row = {"side": args.side, "members": members, "limit GB": args.limit_gb} | cost
    row |= {"verdict": facts["verdict"]["decision"], "precision": facts["run"]["precision"]}
    write_tables("large", {"One large field": [row]}, args.save_path, {"side": args.side}, [row])


if __name__ == "__main__":
    run_script(main)
