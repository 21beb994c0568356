"""Runs every program on disks that are too small, then on one with room.

    python -m benchmarks.robustness.full_disk --work runs/robust

A disk is a tmpfs, which only root may mount on Linux. It has room for what lies there already and
for a share of what the program needs at most. A trial ends well if the program reports the full
disk in one line with exit code 2, if an earlier result is the same to the byte, and if the same
command, once there is room, gives what an undisturbed run gives.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from bayesdl_sim.benchmarks.robustness.programs import PROGRAMS, make_inputs, prepare
from bayesdl_sim.benchmarks.robustness.running import (
    bytes_in,
    contents,
    load_programs,
    run,
    sets_of,
    start,
)
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["can_mount", "fill_up", "main", "on_small_disk", "parse_args", "small_disk"]

ROOM = 2**30  # bytes of a disk that is large enough
PAGE = os.sysconf("SC_PAGE_SIZE")  # the unit of a tmpfs
WORDS = ("disk full", " free, but ", "cannot be written", "No space left")


class Expected(NamedTuple):
    """The undisturbed run: the earlier result by its bytes, the final one, and bytes it needs."""

    earlier: dict[str, str]
    final: dict[str, str]
    occupied: int
    needed: int


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("robustness.full_disk", "Programs on a full disk.", network=False)
    parser.add_argument("--sizes", type=int, default=10, help="disks per program (%(default)s)")
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--work", type=Path, required=True, help="folder for inputs and the disk")
    args = parser.parse_args(argv)
    at_least(args, sizes=1)
    return args


def can_mount() -> bool:
    """Whether this user may mount a tmpfs here."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount") is not None


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs of its own at the folder, while the block runs.

    Raises:
        InputError: it cannot be mounted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_mount():  # a killed benchmark leaves it
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    _mount(folder, f"size={ROOM}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(disk: Path, size: int) -> None:
    """Gives the disk another size, in bytes, and keeps its files."""
    _mount(disk, f"remount,size={max(size, PAGE)}")


def _mount(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or error
        raise InputError(
            f"{folder}: a disk in memory is needed here, and it cannot be mounted "
            f"({str(reason).strip()}): run this as root on Linux, where mounts are allowed"
        ) from None


def occupied(disk: Path) -> int:
    """Bytes in use on the disk."""
    state = os.statvfs(disk)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def undisturbed(name: str, inputs: Path, disk: Path) -> Expected:
    """One run with room, and how much of the disk it takes at most.

    Raises:
        InputError: the program failed.
    """
    words = prepare(name, inputs, disk)
    results, before = disk / PROGRAMS[name].results, occupied(disk)
    earlier = bytes_in(results) if PROGRAMS[name].replaces else {}
    most = [before]
    done = start(words).wait(lambda: most.append(max(most.pop(), occupied(disk))))
    if done.returncode:
        raise InputError(f"{name} failed undisturbed: {done.last_line}")
    return Expected(earlier, contents(results), before, max(most[0], occupied(disk)) - before)


def on_small_disk(
    name: str, inputs: Path, disk: Path, expected: Expected, share: float
) -> dict[str, Any]:
    """One trial: the disk has room for a share of what the program needs."""
    words = prepare(name, inputs, disk)
    results = disk / PROGRAMS[name].results
    resize(disk, expected.occupied + int(share * expected.needed) // PAGE * PAGE)
    done = run(words)
    resize(disk, ROOM)
    kept = done.returncode == 0 or is_kept(results, expected)
    again = run(words)
    return {
        "program": name,
        "share": round(share, 3),
        "fits": done.returncode == 0,
        "said": done.returncode == 0 or reports_full_disk(done.returncode, done.stderr),
        "kept": kept,
        "equal": contents(results) == expected.final,
        "message": "" if done.returncode == 0 else done.last_line,
        "again": "" if again.returncode == 0 else again.last_line,
    }


def is_kept(results: Path, expected: Expected) -> bool:
    """Whether every set of files is that of the earlier run to the byte, or the final one."""
    if not expected.earlier:
        return True
    bytes_now, earlier = sets_of(bytes_in(results)), sets_of(expected.earlier)
    now, final = sets_of(contents(results)), sets_of(expected.final)
    return bytes_now.keys() == earlier.keys() and all(
        bytes_now[name] == earlier[name] or now[name] == final.get(name) for name in bytes_now
    )


def reports_full_disk(code: int | None, stderr: str) -> bool:
    """Whether a program ended with one line that names the disk, and with exit code 2."""
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    named = len(errors) == 1 and any(words in errors[0] for words in WORDS)
    return code == 2 and named and "Traceback" not in stderr


def fill_up(name: str, inputs: Path, disk: Path, sizes: int) -> list[dict[str, Any]]:
    """All trials of a program: from a disk without any room to one that lacks a little."""
    expected = undisturbed(name, inputs, disk)
    records = []
    for number in range(sizes):
        record = on_small_disk(name, inputs, disk, expected, number / sizes)
        records.append({**record, "needed_bytes": expected.needed})
        if not (record["said"] and record["kept"] and record["equal"]):
            tqdm.write(str(record))
    return records


def main(argv: list[str] | None = None) -> None:
    """One table: disks per program, and how many trials ended well."""
    args = parse_args(argv)
    if not can_mount():
        raise InputError("full disks are made by mounts: run this as root on Linux")
    load_programs()
    inputs, records = make_inputs(args.work.resolve()), []
    with small_disk(args.work.resolve() / "disk") as disk:
        for name in tqdm(args.programs, "programs", unit="program"):
            records += fill_up(name, inputs, disk, args.sizes)
    rows = []
    for name in args.programs:
        trials = [record for record in records if record["program"] == name]
        intact = sum(trial["kept"] for trial in trials) if PROGRAMS[name].replaces else "none"
        row = {
            "program": name,
            "needs, kB": trials[0]["needed_bytes"] // 1000,
            "disks": len(trials),
            "one line, exit code 2": sum(t["said"] and not t["fits"] for t in trials),
            "fits": sum(trial["fits"] for trial in trials),
            "earlier result intact": intact,
            "rerun equal": sum(trial["equal"] for trial in trials),
        }
        rows.append(row)
    write_tables("full_disk", {"Full disks": rows}, args.save_path, {}, records)


if __name__ == "__main__":
    run_script(main)
