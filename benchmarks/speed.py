"""Time and memory of a prediction, beside a network of the released size on the same machine.

    python -m benchmarks.speed --threads 2 --save_path runs/benchmarks

Every measurement runs in a process of its own, so that the peak of its memory is its own. The time
is that of `--members` members from frames in memory to the maps, loading each member from disk
included; for the released network (random weights, which cost the same) it is one forward pass
without uncertainty tail, less than one member. The whole command `test.py` (start-up, first guess,
verdict, pictures and files included), with the members and with `--fast`, is compared with
`--members` of the released network in seconds of the processor, which other programs on the machine
change less than the clock. Python's compiled modules are stored by then, as after a first call.
Also: do tiles equal the whole field, and does bf16 change the epistemic
uncertainty?
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import simulated_cells
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.models.bayesdl import build_network, network_config
from bayesdl_sim.models.rcan import RCAN
from bayesdl_sim.models.shipped import STUDENT_FOLDER
from bayesdl_sim.utils.devices import autocast, choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main"]

OURS, RELEASED = "BayesDL-SIM", "RCAN 5x10x64, the released size"
COMMAND, FAST = "test.py", "test.py --fast"
PRECISIONS = ("fp32", "bf16")
COMMAND_BARS = {COMMAND: 13.0, FAST: 30.0}  # times less than the released members
NOT_STORED, WORK = "PYTHONDONTWRITEBYTECODE", "bayesdl_sim.commands.testing.run"
ROOT = Path(__file__).resolve().parents[1]
SMALLEST_TILE = 32  # raw pixels
BARS = {"seconds": 15.0, "peak memory, GB": 2.0}
TILES_BAR, PRECISION_BAR = 1e-3, 0.05


def frames(args: argparse.Namespace) -> Tensor:
    """One simulated stack of counts (1, 9, size, size)."""
    (cell,) = simulated_cells(args.seed, 1, 1, args.size)
    return cell.raw


def released_network() -> RCAN:
    """The released generator with random weights, the same in every process."""
    return build_network(network_config("rcan", "")).trunk


def whole_command(args: argparse.Namespace, method: str, precision: str) -> dict[str, float]:
    """`test.py` on a simulated stack in a process of its own: seconds, CPU seconds, peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Path(folder) / "raw.tif"
        tifffile.imwrite(stack, frames(args)[0].numpy().round().astype(np.uint16))
        command = [sys.executable, "test.py", "--test_data", str(stack), "--pixel_size_nm", "65"]
        command += ["--save_path", str(Path(folder) / "out"), "--precision", precision]
        command += ["--device", args.device, "--pretrained_G", str(args.pretrained_G)]
        command += ["--fast"] if method == FAST else ["--members", str(args.members)]
        command += ["--threads", str(args.threads)] if args.threads else []
        environment = {key: value for key, value in os.environ.items() if key != NOT_STORED}
        how = {
            "cwd": ROOT,
            "env": environment,
            "capture_output": True,
            "text": True,
            "check": False,
        }
        subprocess.run([sys.executable, "-c", f"import {WORK}"], **how)
        earlier = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        done = subprocess.run(command, **how)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise InputError((done.stderr.strip().splitlines() or ["no message"])[-1])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime - earlier.ru_utime - earlier.ru_stime
    cpu = {"seconds": seconds, "CPU seconds": cpu_s}
    return cpu | {"peak memory, GB": used.ru_maxrss * _unit() / 1e9}


def _unit() -> int:
    """Linux counts memory in kilobytes, macOS in bytes."""
    return 1 if sys.platform == "darwin" else 1024


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a prediction, and the peak memory so far; runs in a fresh process."""
    method, _, precision = args.only.partition(":")
    if method in COMMAND_BARS:
        return whole_command(args, method, precision)
    device = choose_device(args.device)
    dtype = choose_precision(precision, device)
    # Random counts do for timing; simulating would raise the peak memory.
    raw = torch.rand((1, 9, args.size, args.size), generator=torch.Generator().manual_seed(0))
    raw = 1000 * raw
    if method == OURS:
        posterior = Posterior.load(
            args.pretrained_G, device, args.members, precision=precision, tile=args.tile
        )

        def run(stack: Tensor) -> Prediction:
            return posterior.predict(stack, calibrated=False)

    else:
        network = released_network().to(device, memory_format=torch.channels_last).eval()
        raw = raw.to(device, memory_format=torch.channels_last)

        def run(stack: Tensor) -> Tensor:
            with torch.no_grad(), autocast(device, dtype):
                return network(stack).float().cpu()

    seconds, cpu = [], []
    for _ in range(args.repeats):
        began, used = time.perf_counter(), time.process_time()
        run(raw)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _unit()
    median = {"seconds": statistics.median(seconds), "CPU seconds": statistics.median(cpu)}
    return median | {"peak memory, GB": peak / 1e9}


def in_fresh_process(case: str, argv: list[str]) -> dict[str, float]:
    """Runs `measure` for one case by calling this module again."""
    command = [sys.executable, "-m", "benchmarks.speed", *argv, "--only", case]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"the measurement of {case} failed: {last.removeprefix('error: ')}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def time_table(args: argparse.Namespace, argv: list[str]) -> list[dict[str, Any]]:
    """Both networks and the whole command in both precisions, one after the other."""
    rows = []
    methods = [OURS, RELEASED, COMMAND]
    methods += [FAST] if (args.pretrained_G / STUDENT_FOLDER).is_dir() else []
    cases = [(method, precision) for precision in PRECISIONS for method in methods]
    for method, precision in tqdm(cases, "measuring", unit="case"):
        members = args.members if method in (OURS, COMMAND) else 1
        cost = in_fresh_process(f"{method}:{precision}", argv)
        rows.append({"network": method, "precision": precision, "members": members} | cost)
    return rows


def comparison_table(rows: list[dict[str, Any]], members: int) -> list[dict[str, Any]]:
    """Bars of time and memory, and the ratio to as many members of the released size."""
    table = []
    for precision in PRECISIONS:
        costs = {row["network"]: row for row in rows if row["precision"] == precision}
        ours, released = costs[OURS], costs[RELEASED]
        for name, bar in BARS.items():
            what = f"{members} members, {precision}: {name}"
            table.append(_row(what, ours[name], f"<= {bar:g}", ours[name] <= bar))
        ratio = members * released["seconds"] / ours["seconds"]
        what = f"times faster than {members} members of the released size, {precision}"
        table.append(_row(what, ratio, "> 1", ratio > 1))
        for name, bar in COMMAND_BARS.items():
            if name not in costs:
                continue
            ratio = members * released["CPU seconds"] / costs[name]["CPU seconds"]
            what = f"{name}: times less CPU than {members} members of the released size, "
            table.append(_row(what + precision, ratio, f">= {bar:g}", ratio >= bar))
    return table


def equality_table(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Tiles against the whole field, and bf16 against fp32, on a simulated stack."""
    raw, device = frames(args), choose_device(args.device)

    def predict(precision: str, tile: int) -> Prediction:
        posterior = Posterior.load(
            args.pretrained_G, device, args.members, precision=precision, tile=tile
        )
        return posterior.predict(raw, calibrated=False)

    whole = predict("fp32", args.size)
    tiles = predict("fp32", max(args.size // 3, SMALLEST_TILE))
    half = predict("bf16", args.size)
    table = []
    for name in ("mean", "aleatoric", "epistemic"):
        gap = float((getattr(tiles, name) - getattr(whole, name)).abs().max())
        what = f"largest difference of tiles and whole field, {name}"
        table.append(_row(what, gap, f"<= {TILES_BAR:g}", gap <= TILES_BAR))
    change = (half.epistemic - whole.epistemic).abs() / whole.epistemic.clamp(min=1e-9)
    median = float(change.median())
    what = "median relative change of epistemic by bf16"
    table.append(_row(what, median, f"< {PRECISION_BAR:g}", median < PRECISION_BAR))
    shift = abs(float(half.epistemic.mean() / whole.epistemic.mean().clamp(min=1e-9)) - 1)
    what = "relative change of mean epistemic by bf16"
    return [*table, _row(what, shift, f"< {PRECISION_BAR:g}", shift < PRECISION_BAR)]


def _row(what: str, measured: float, bar: str, holds: bool) -> dict[str, Any]:
    return {"what": what, "measured": measured, "bar": bar, "holds": "yes" if holds else "NO"}


def parse_args(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = arguments("speed", "Time and memory of a prediction, and what tiles and bf16 change.")
    parser.add_argument("--size", type=int, default=502, help="raw field, pixels per side")
    parser.add_argument("--repeats", type=int, default=3, help="the median of so many is taken")
    parser.add_argument("--seed", type=int, default=20261, help="of the simulated stack")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.members = args.members or 5
    at_least(args, size=32, repeats=1, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Measures every case, compares, and prints the tables."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    if args.only:
        print(json.dumps(measure(args)))
        return
    rows = time_table(args, argv)
    tables = {
        f"One stack of 9 x {args.size} x {args.size}": rows,
        "Time and memory": comparison_table(rows, args.members),
        "Tiles and precision": equality_table(args),
    }
    parameters = sum(p.numel() for p in released_network().parameters())
    facts = {"size": args.size, "repeats": args.repeats, "threads": torch.get_num_threads()}
    facts |= {"device": str(choose_device(args.device)), "parameters of the RCAN": parameters}
    write_tables("speed", tables, args.save_path, facts, rows)


if __name__ == "__main__":
    run_script(main)
