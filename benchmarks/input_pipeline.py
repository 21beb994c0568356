"""Training patches per second: the memory-mapped reader against decoding TIFFs for every sample.

    python -m benchmarks.input_pipeline --save_path runs/benchmarks
    python -m benchmarks.input_pipeline --root_dir DIR        # an existing data set

Both read the same set in one run, and both give the same thing: normalised, aligned crops of raw
and target. Without --root_dir a small set is simulated and removed again.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.console import arguments, at_least, report
from data.datasets import SimDataset
from data.layout import DatasetTree
from data.normalise import normalisation_of, target_normalisation
from data.patches import crop_pair, draw_symmetry
from data.tiff import read_image
from DatasetGenerate import from_simulation
from utils.checks import run_script

__all__ = ["decoded_patches", "main", "rate"]


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


def rate(items: Iterable[Any], count: int, patches_each: int = 1) -> float:
    """Patches per second over `count` items, after one that opens files and fills caches."""
    iterator = iter(items)
    next(iterator)
    began = time.perf_counter()
    taken = sum(1 for _ in islice(iterator, count))
    return taken * patches_each / (time.perf_counter() - began)


def compare(root: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per way of reading."""
    dataset, tree = SimDataset(root, "train"), DatasetTree(root)
    per_batch = min(args.batch_size, len(dataset))
    cached = rate(cached_batches(dataset, args), -(-args.patches // per_batch), per_batch)
    decoded = rate(decoded_patches(tree, args.patch_size, args.seed, False), args.patches)
    normalised = rate(decoded_patches(tree, args.patch_size, args.seed), args.patches)
    found = {
        "memory-mapped reader of training": cached,
        "nine TIFFs and target decoded per sample": decoded,
        "the same, and normalised": normalised,
    }
    return [
        {"input": name, "patches/s": value, "reader is faster by": cached / value}
        for name, value in found.items()
    ]


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
    args = parser.parse_args(argv)
    at_least(args, cells=3, levels=1, size=32, patches=1, patch_size=16, batch_size=1, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Times all ways of reading on one set."""
    args = parse_args(argv)
    if args.root_dir is not None:
        rows = compare(args.root_dir, args)
    else:
        with tempfile.TemporaryDirectory() as folder:
            options = ["--sample", "mixed", "--save_path", folder, "--workers", "1"]
            for name in ("cells", "levels", "size", "seed"):
                options += [f"--{name}", str(getattr(args, name))]
            from_simulation.main(options)
            rows = compare(Path(folder), args)
    facts = {name: getattr(args, name) for name in ("patches", "patch_size", "batch_size", "size")}
    report("input_pipeline", {"Input pipeline": rows}, args.save_path, facts)


if __name__ == "__main__":
    run_script(main)
