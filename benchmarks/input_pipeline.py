"""Training patches per second: the memory-mapped reader against decoding TIFFs for every sample.

    python -m benchmarks.input_pipeline --save_path runs/benchmarks
    python -m benchmarks.input_pipeline --root_dir DIR        # an existing data set

Both read the same set in one run, and both give the same thing: normalised, aligned crops of raw
and target. Without --root_dir a small set is simulated and removed again.

Memory is measured in a fresh process each: while the reader makes its copy of the set and the first
guesses of its stacks, and while it reads with both. The peak of the resident memory counts the
pages of the mapped files too, which the system takes back when it needs them; beside it stands the
peak of the memory that is the process's own (Linux only).
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.data.inputs import InputSpec
from bayesdl_sim.data.normalise import normalisation_of, target_normalisation
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.data.sets.patches import crop_pair, draw_symmetry
from bayesdl_sim.DatasetGenerate import from_simulation
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.training.run import FIRST_GUESS
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["decoded_patches", "main", "own_memory", "rate"]

MEMORY_BAR = 2e9  # bytes, for 50 cells x 9 levels
ROLLUP = Path("/proc/self/smaps_rollup")
MAKING, READING = "copy and first guesses are made", "patches are read"


def decoded_patches(
    tree: DatasetTree, size: int, seed: int, normalise: bool = True
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless random crops, each from nine frames and a target that are decoded for it alone.

    Args:
        normalise: also scale them, which takes the percentiles of the whole stack.
    """
    rng = np.random.default_rng(seed)
    stacks = tree.stacks()
    while True:
        cell, level = stacks[rng.integers(len(stacks))]
        raw = np.stack([read_image(path) for path in tree.raw_paths(cell, level)])
        target = read_image(tree.gt_path(cell))
        if normalise:
            norm = normalisation_of(raw)
            target_norm = target_normalisation(target, raw.mean(axis=0), norm)
            raw, target = norm.apply(raw), target_norm.apply(target)
        top, left = (int(rng.integers(n - size + 1)) for n in raw.shape[-2:])
        symmetry = draw_symmetry(rng)
        frames, image = crop_pair(raw, target, top, left, size)
        yield symmetry.pose(frames[symmetry.order]), symmetry.pose(image)


def cached_batches(dataset: SimDataset, args: argparse.Namespace) -> Iterator[Any]:
    """Endless batches of the reader that training uses."""
    epoch = 0
    while True:
        yield from dataset.batches(epoch, args.seed, args.batch_size, args.patch_size)
        epoch += 1


def with_guesses(root: Path) -> SimDataset:
    """The training part with the inputs of the U-Net."""
    return SimDataset(root, "train", inputs=InputSpec(first_guess=True), first_guess=FIRST_GUESS)


def rate(items: Iterable[Any], count: int, patches_each: int = 1) -> float:
    """Patches per second over `count` items, after one that opens files and fills caches."""
    iterator = iter(items)
    next(iterator)
    began = time.perf_counter()
    taken = sum(1 for _ in islice(iterator, count))
    return taken * patches_each / (time.perf_counter() - began)


def compare(root: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per way of reading."""
    dataset, guessed, tree = SimDataset(root, "train"), with_guesses(root), DatasetTree(root)
    per_batch = min(args.batch_size, len(dataset))
    cached = rate(cached_batches(dataset, args), -(-args.patches // per_batch), per_batch)
    with_first_guess = rate(cached_batches(guessed, args), -(-args.patches // per_batch), per_batch)
    decoded = rate(decoded_patches(tree, args.patch_size, args.seed, False), args.patches)
    normalised = rate(decoded_patches(tree, args.patch_size, args.seed), args.patches)
    rates = {
        "reader of training, with first guesses": with_first_guess,
        "the same, frames alone": cached,
        "nine TIFFs and target decoded per sample": decoded,
        "decoded and normalised": normalised,
    }
    return [
        {"input": name, "patches/s": value, "reader is faster by": with_first_guess / value}
        for name, value in rates.items()
    ]


def own_memory() -> int | None:
    """Bytes of this process that belong to no file; None where the system does not report them."""
    if not ROLLUP.is_file():
        return None
    lines = dict(line.split(":", 1) for line in ROLLUP.read_text(encoding="utf-8").splitlines()[1:])
    return 1024 * int(lines["Anonymous"].split()[0])


def measure(args: argparse.Namespace) -> dict[str, float | None]:
    """Opens the training part with first guesses and reads it; gives the peaks of memory.

    Runs in a fresh process.
    """
    peak, done = own_memory(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while peak is not None and not done.wait(0.02):
            peak = max(peak, own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    dataset = with_guesses(args.root_dir)
    per_batch = min(args.batch_size, len(dataset))
    for _ in islice(cached_batches(dataset, args), -(-args.patches // per_batch)):
        pass
    done.set()
    watcher.join()
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"stacks": len(dataset), "resident": resident, "own": peak}


def memory_table(root: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Peaks while the copy and the guesses are made (if --remake or not yet there), and after."""
    if args.remake:
        shutil.rmtree(root / ".cache", ignore_errors=True)
    fresh = not any((root / ".cache").glob("*/first_guess-*.npy"))
    rows = []
    for what in [MAKING, READING] if fresh else [READING]:
        words = ["--root_dir", root.resolve(), "--memory_only"]
        for name in ("patches", "patch_size", "batch_size", "seed"):
            words += [f"--{name}", getattr(args, name)]
        command = [sys.executable, "-m", "benchmarks.input_pipeline", *map(str, words)]
        place = Path(__file__).resolve().parents[1]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"the measurement failed: {last.removeprefix('error: ')}")
        peaks = json.loads(done.stdout.strip().splitlines()[-1])
        private = peaks["own"]
        judged = peaks["resident"] if private is None else private
        rows.append(
            {
                "while": what,
                "stacks": peaks["stacks"],
                "peak resident, GB": peaks["resident"] / 1e9,
                "peak of its own, GB": "unknown" if private is None else private / 1e9,
                "bar": f"<= {MEMORY_BAR / 1e9:g} GB",
                "holds": "yes" if judged <= MEMORY_BAR else "NO",
            }
        )
    return rows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("input_pipeline", "Training patches per second.", network=False)
    parser.add_argument("--root_dir", type=Path, help="data set (default: a simulated one)")
    parser.add_argument("--cells", type=int, default=12, help="of the simulated set")
    parser.add_argument("--levels", type=int, default=2, help="of the simulated set")
    parser.add_argument("--size", type=int, default=502, help="of the simulated set, pixels")
    parser.add_argument("--patches", type=int, default=200, help="patches to time")
    parser.add_argument("--patch_size", type=int, default=64, help="raw pixels")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--remake",
        action="store_true",
        help="make copy and first guesses of --root_dir again, to measure their memory too",
    )
    parser.add_argument("--memory_only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    at_least(args, cells=3, levels=1, size=32, patches=1, patch_size=16, batch_size=1, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Memory of the reader, then the times of all ways of reading one set."""
    args = parse_args(argv)
    if args.memory_only:
        print(json.dumps(measure(args)))
        return
    if args.root_dir is not None:
        memory, rows = memory_table(args.root_dir, args), compare(args.root_dir, args)
    else:
        with tempfile.TemporaryDirectory() as folder:
            options = ["--sample", "mixed", "--save_path", folder, "--workers", "1"]
            for name in ("cells", "levels", "size", "seed"):
                options += [f"--{name}", str(getattr(args, name))]
            from_simulation.main(options)
            memory, rows = memory_table(Path(folder), args), compare(Path(folder), args)
    facts = {name: getattr(args, name) for name in ("patches", "patch_size", "batch_size", "size")}
    tables = {"Input pipeline": rows, "Memory of the reader, with first guesses": memory}
    write_tables("input_pipeline", tables, args.save_path, facts)


if __name__ == "__main__":
    run_script(main)
