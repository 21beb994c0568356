"""Writes a simulated data set in the tree of BioSR's scripts.

    python -m DatasetGenerate.from_simulation --sample F-actin --save_path DIR --cells 50 \
        --levels 9 --size 502 --seed 0
    python -m DatasetGenerate.from_simulation --sample mixed --save_path DIR --cells 12 \
        --levels 2 --size 128 --seed 0          # a set for trying things out
    python -m DatasetGenerate.from_simulation --sample outliers --save_path DIR --cells 600 \
        --levels 3 --size 160 --seed 5          # what a network is not trained on (train.py
                                                # --outlier_dir)

Every cell has its own structure and, by default, its own microscope; its levels are exposures of
one field at rising signal. The same seed gives the same bytes, whatever the number of workers.
`dataset.json` is written first, with the cells that are to come and `"complete": false`, and once
more at the end: an interrupted set names cells that are missing, which its readers report. Run the
same command again after an interruption: the cells that are there stay.
"""

import argparse
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch

from bayesdl_sim.data.formats.otf import measured_optics
from bayesdl_sim.data.sets.layout import DatasetSpec, DatasetTree, split_cells
from bayesdl_sim.DatasetGenerate.outliers import OUTLIERS
from bayesdl_sim.DatasetGenerate.simulation import (
    MIXED,
    PHASE_ORIGIN,
    Recipe,
    simulate_cell,
)
from bayesdl_sim.DatasetGenerate.workers import worker_pool
from bayesdl_sim.physics.structures.mixture import KINDS
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.errors import InputError, run_script, writable_folder
from bayesdl_sim.utils.files import naming, read_json, write_json
from bayesdl_sim.utils.folders.lock import owned_folder

__all__ = ["main", "parse_args", "store_cell", "write_cell"]

UNFINISHED = ".unfinished"  # folder of the recipe and of a record for each cell that is written
RECIPE = "recipe.json"


def write_cell(root: Path, recipe: Recipe, number: int) -> tuple[int, dict[str, Any]]:
    """Simulates one cell and writes it, if that is not done yet; returns its parameters."""
    record = root / UNFINISHED / f"cell_{number}.json"
    if record.is_file():
        return number, read_json(record)
    torch.set_num_threads(1)  # one process per core is faster than threads within one
    cell = simulate_cell(recipe, number, measured_optics())
    store_cell(root, number, cell.raw, cell.target)
    write_json(record, cell.details)  # last: what it describes is whole
    return number, cell.details


def store_cell(root: Path, number: int, raw: np.ndarray, target: np.ndarray) -> None:
    """Writes frames (levels, 9, H, W), their wide fields and the target (2H, 2W) of one cell."""
    tree = DatasetTree(root)
    for level, frames in enumerate(raw, start=1):
        for path, frame in zip(tree.raw_paths(number, level), frames, strict=True):
            _write(path, frame)
        _write(tree.wf_path(number, level), frames.mean(axis=0, dtype=np.float32))
    _write(tree.gt_path(number), target)


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        tifffile.imwrite(path, image, metadata=None, software=False)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(
        prog="python -m DatasetGenerate.from_simulation",
        description="Writes a simulated SIM data set.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--sample", choices=[*KINDS, MIXED, OUTLIERS], default="F-actin", help="structure"
    )
    parser.add_argument("--save_path", type=Path, required=True, help="new or empty folder")
    parser.add_argument("--cells", type=int, default=50, help="number of cells, at least 3")
    parser.add_argument("--levels", type=int, default=9, help="signal levels per cell")
    parser.add_argument("--size", type=int, default=502, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes")
    parser.add_argument(
        "--microscope",
        choices=["random", "wide", "biosr"],
        default="random",
        help="random: another microscope for every cell; wide: also faint fringes, strong haze, "
        "uneven light, cameras with hot pixels and 1-2 electrons (for training); biosr: the one "
        "of BioSR",
    )
    parser.add_argument(
        "--softest_nm",
        type=float,
        default=90.0,
        help="largest width (sigma) that structures are drawn with; 0: thin lines only",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    args = parser.parse_args(argv)
    for name, least in (
        ("cells", 3),
        ("levels", 1),
        ("size", 32),
        ("workers", 1),
        ("seed", 0),
        ("softest_nm", 0),
    ):
        if not least <= getattr(args, name) < math.inf:  # not a number, either
            raise InputError(f"--{name}: expected at least {least}, found {getattr(args, name)}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Writes the data set; `dataset.json` records whether it is complete."""
    args = parse_args(argv)
    recipe = Recipe(
        sample=args.sample,
        microscope=args.microscope,
        levels=args.levels,
        size=args.size,
        seed=args.seed,
        softest_nm=args.softest_nm,
    )
    numbers = list(range(1, args.cells + 1))
    identity = {**asdict(recipe), "cells": args.cells}
    root = writable_folder(args.save_path)
    _refuse_others(root, identity)  # before anything is written, a lock for instance
    with owned_folder(root):
        _claim(root, identity)
        if not _is_complete(root):
            _write_spec(root, recipe, numbers, {"complete": False})
            cells = _write_cells(root, recipe, numbers, args.workers)
            _write_spec(root, recipe, numbers, {"complete": True, "cells": cells})
        _remove_records(root)
    stacks = args.cells * args.levels
    print(f"{stacks} stacks of 9 x {args.size} x {args.size} in {root}")


def _write_cells(
    root: Path, recipe: Recipe, numbers: list[int], workers: int
) -> dict[str, dict[str, Any]]:
    """Writes the cells that are missing; returns the parameters of all."""
    cells = {}
    with worker_pool(min(workers, len(numbers))) as pool:
        tasks = [pool.submit(write_cell, root, recipe, number) for number in numbers]
        for task in counted(tasks, "simulating", unit="cell"):
            number, parameters = task.result()
            cells[str(number)] = parameters
    return cells


def _claim(root: Path, identity: dict[str, Any]) -> None:
    """Takes an empty folder, or goes on with the unfinished set of the same recipe."""
    if not _refuse_others(root, identity):
        write_json(root / UNFINISHED / RECIPE, identity)


def _refuse_others(root: Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds the unfinished set of this recipe; else it is empty.

    Raises:
        InputError: the folder holds anything else.
    """
    path = root / UNFINISHED / RECIPE
    if path.is_file():
        record = read_json(path)
        for key, value in identity.items():
            if record.get(key) != value:
                raise InputError(
                    f"{root} holds an unfinished set of another kind ({key} {record.get(key)}, now "
                    f"{value}): name a new folder, so that two data sets never mix"
                )
        return True
    names = [item.name for item in root.iterdir() if not item.name.startswith(".")]
    if names:
        raise InputError(
            f"{root} is not empty (it holds {names[0]}): name a new folder, so that two data "
            "sets never mix, or delete the unfinished one"
        )
    return False


def _is_complete(root: Path) -> bool:
    """Whether only the records of an unfinished set were left over."""
    path = DatasetTree(root).spec_path
    return path.is_file() and DatasetSpec.from_json(path).details.get("complete") is True


def _remove_records(root: Path) -> None:
    """Removes the records, the recipe last: without it the folder would count as foreign."""
    folder = root / UNFINISHED
    for path in sorted(folder.iterdir()):  # cell_..., then recipe.json; hidden leftovers before
        path.unlink()
    folder.rmdir()


def _write_spec(root: Path, recipe: Recipe, numbers: list[int], details: dict[str, Any]) -> None:
    fixed = recipe.microscope == "biosr"
    spec = DatasetSpec(
        sample=recipe.sample,
        microscope="fixed" if fixed else "random",
        size=(recipe.size, recipe.size),
        levels=recipe.levels,
        cells=len(numbers),
        pixel_size_nm=62.6 if fixed else None,
        seed=recipe.seed,
        splits=split_cells(numbers),
        details={
            "generator": "DatasetGenerate.from_simulation",
            "signal_unit": "median electrons per raw pixel over the lit pixels of the wide field",
            "frequency_unit": "cycles per raw pixel",
            "phase_origin": PHASE_ORIGIN,
            **details,
        },
    )
    spec.to_json(DatasetTree(root).spec_path)


if __name__ == "__main__":
    run_script(main)
