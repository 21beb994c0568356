"""Damages files of every kind thousands of times: a reader must read or refuse them at once.

    python -m benchmarks.faulty_inputs.fuzz --inputs 5000 --work runs/robust

The files are read in a child process whose address space may grow by little more than 1 GB. A fault
is whatever is neither read nor refused by `InputError`, and whatever takes over 1 s or 1 GB.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import multiprocessing
import multiprocessing.connection
import os
import resource
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bayesdl_sim.benchmarks.faulty_inputs.damage import DAMAGES, damaged
from bayesdl_sim.benchmarks.faulty_inputs.readers import READERS, write_whole_files
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main", "outcome", "parse_args"]

SECONDS, BYTES = 1.0, 10**9  # that an input may take
ROOM_BYTES = 12 * 10**8  # that the child's address space may grow by
PATIENCE_S = 60.0  # of the clock, until an input counts as one without end
SHOWN = 200  # characters of a fault's text


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("faulty_inputs.fuzz", "Damaged files through every reader.", network=False)
    parser.add_argument("--inputs", type=int, default=5000, help="damaged files (%(default)s)")
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    parser.add_argument("--seed", type=int, default=0, help="of the damages")
    args = parser.parse_args(argv)
    at_least(args, inputs=1)
    return args


def outcome(folder: Path, name: str, kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """Damages the file of a reader, reads it, and puts the whole file back.

    Returns:
        `result`: "read", "refused" or "fault"; `seconds` of the CPU; `grown`: bytes by which the
        highest use of memory rose; `text` of the refusal or fault.
    """
    reader = READERS[name]
    path = folder / reader.file
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, reader.form, kind, rng))
    began, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result, text = "read", ""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            reader.read(path)
    except InputError as error:
        result, text = "refused", str(error)
        if "\n" in text or str(folder) not in text:
            result, text = "fault", f"the refusal is no line that says where: {text}"
    except Exception as error:
        result, text = "fault", f"{type(error).__name__}: {error}"
    seconds = time.process_time() - began
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak)
    path.write_bytes(whole)
    return _record(name, kind, result, round(seconds, 3), grown, text[:SHOWN])


def _record(
    reader: str, damage: str, result: str, seconds: float, grown: int, text: str
) -> dict[str, Any]:
    return {
        "reader": reader,
        "damage": damage,
        "result": result,
        "seconds": seconds,
        "grown": grown,
        "text": text,
    }


def plan(args: argparse.Namespace, number: int) -> tuple[str, str]:
    """The reader and the damage of an input."""
    name = args.readers[number % len(args.readers)]
    kinds = list(DAMAGES[READERS[name].form])
    return name, kinds[number // len(args.readers) % len(kinds)]


def read_all(
    args: argparse.Namespace,
    folder: Path,
    first: int,
    results: multiprocessing.connection.Connection,
) -> None:
    """The child: inputs from the first on, one result after the other."""
    logging.disable(logging.CRITICAL)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in range(first, args.inputs):
        rng = np.random.default_rng([args.seed, number])
        results.send(outcome(folder, *plan(args, number), rng))


def all_outcomes(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Results of all inputs; an input at which the child dies or hangs is a fault."""
    context, records = multiprocessing.get_context("fork"), []
    with tqdm(total=args.inputs, unit="input") as bar:
        while len(records) < args.inputs:
            write_whole_files(folder, np.random.default_rng(args.seed))
            ours, theirs = context.Pipe(duplex=False)
            child = context.Process(target=read_all, args=(args, folder, len(records), theirs))
            child.start()
            theirs.close()
            ended = ""
            while len(records) < args.inputs and not ended:
                try:
                    record = ours.recv() if ours.poll(PATIENCE_S) else None
                    ended = "" if record else f"no end within {PATIENCE_S:.0f} s"
                except EOFError:
                    child.join()
                    record, ended = None, f"the process died (exit code {child.exitcode})"
                if record is None:
                    record = _record(*plan(args, len(records)), "fault", 0.0, 0, ended)
                records.append(record)
                bar.update()
            child.kill()
            child.join()
    return records


def summary(args: argparse.Namespace, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per reader."""
    rows = []
    for name in args.readers:
        of_reader = [record for record in records if record["reader"] == name]
        counts = Counter(record["result"] for record in of_reader)
        row = {
            "file": name,
            "inputs": len(of_reader),
            "refused in one line": counts["refused"],
            "read": counts["read"],
            "anything else": counts["fault"],
            "over 1 s": sum(record["seconds"] > SECONDS for record in of_reader),
            "over 1 GB": sum(record["grown"] > BYTES for record in of_reader),
            "longest, s": max((record["seconds"] for record in of_reader), default=0.0),
        }
        rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> None:
    """Prints one table: the outcomes of the damaged files of every kind."""
    args = parse_args(argv)
    records = all_outcomes(args, args.work.resolve() / "fuzz")
    faults = Counter(
        (record["reader"], record["damage"], record["text"])
        for record in records
        if record["result"] == "fault" or record["seconds"] > SECONDS or record["grown"] > BYTES
    )
    for (name, kind, text), count in faults.most_common():
        print(f"{count} x {name}, {kind}: {text}")
    tables = {"Damaged files": summary(args, records)}
    write_tables("fuzz", tables, args.save_path, {"seed": args.seed}, records)


if __name__ == "__main__":
    run_script(main)
