"""Writes a simulated data set in the tree of BioSR's scripts.

    python -m DatasetGenerate.from_simulation --sample F-actin --save_path DIR --cells 50 \
        --levels 9 --size 502 --seed 0
    python -m DatasetGenerate.from_simulation --sample mixed --save_path DIR --cells 12 \
        --levels 2 --size 128 --seed 0          # a set for trying things out
    python -m DatasetGenerate.from_simulation --sample outliers --save_path DIR --cells 600 \
        --levels 3 --size 160 --seed 5          # what a network should not know (train.py
                                                # --outlier_dir)

Every cell has its own structure and, by default, its own microscope; its levels are exposures of
one field at rising signal. The same seed gives the same bytes, whatever the number of workers.
`dataset.json` is written first, with the cells that are to come and `"complete": false`, and once
more at the end: an interrupted set names cells that are not there, and its readers say so.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
import torch
from tqdm import tqdm

from bayesdl_sim.data.formats.otf import MEASURED_OTFS, read_radial_otf
from bayesdl_sim.data.normalise import normalisation_of, target_normalisation
from bayesdl_sim.data.sets.layout import DatasetSpec, DatasetTree, split_cells
from bayesdl_sim.DatasetGenerate.outliers import ODDITIES, ORDINARY, OUTLIERS, oddity_of
from bayesdl_sim.physics.image_formation import Grid, grid_for, raw_counts, soften, target_image
from bayesdl_sim.physics.microscopes import Microscope, biosr_microscope, random_microscope
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.structures.mixture import KINDS, draw
from bayesdl_sim.physics.structures.texture import with_texture
from bayesdl_sim.physics.wide_microscopes import (
    WideMicroscope,
    uneven_density,
    uneven_frames,
    wide_microscope,
)
from bayesdl_sim.utils.errors import InputError, run_script, writable_folder
from bayesdl_sim.utils.sampling import generator_from

__all__ = [
    "PHASE_ORIGIN",
    "Recipe",
    "describe_microscope",
    "main",
    "measured_optics",
    "simulate_cell",
    "store_cell",
]

MIXED = "mixed"
MIXED_SHARES = {
    "F-actin": 0.30,
    "MT": 0.16,
    "ER": 0.16,
    "CCPs": 0.10,
    "Mitochondria": 0.22,
    "beads": 0.06,
}
PHASE_ORIGIN = "first pixel of the simulation grid, 8 raw pixels above and left of the field"
SHARP_SHARE = 0.33
MOST_ATTEMPTS = 50  # at an outlier
SIGNAL_RANGE_E = {"random": (2.0, 400.0), "biosr": (7.0, 250.0), "wide": (1.0, 400.0)}


class Recipe(NamedTuple):
    """What to simulate; the same for every cell."""

    sample: str
    microscope: str
    levels: int
    size: int
    seed: int
    softest_nm: float = 90.0


class Cell(NamedTuple):
    """One simulated cell: `raw` (levels, 9, H, W) counts, `target` (2H, 2W), and its parameters."""

    raw: np.ndarray
    target: np.ndarray
    details: dict[str, Any]


def simulate_cell(recipe: Recipe, number: int, optics: list[Optics]) -> Cell:
    """Simulates the cell of that number, a function of the recipe's seed and the number alone.

    An outlier that shows nothing of its target (`data.sets.cache` would refuse the whole set for
    it) is drawn again.

    Args:
        optics: the measured detection paths, first the one of the BioSR microscope.
    """
    if recipe.sample != OUTLIERS:
        return _simulate(recipe, [recipe.seed, number], number, optics)
    for attempt in range(MOST_ATTEMPTS):
        cell = _simulate(recipe, [recipe.seed, number, attempt], number, optics)
        if _shows_its_target(cell):
            return cell
    raise InputError(
        f"none of {MOST_ATTEMPTS} draws of outlier {number} ({oddity_of(number)}) shows its "
        "target: choose another --seed, or a larger --size"
    )


def _simulate(recipe: Recipe, entropy: list[int], number: int, optics: list[Optics]) -> Cell:
    generator = generator_from(*entropy)
    name = oddity_of(number) if recipe.sample == OUTLIERS else None
    oddity = ORDINARY if name is None else ODDITIES[name]
    kind = _pick_kind(recipe.sample, generator)
    grid = grid_for((recipe.size, recipe.size))
    stand = _stand(recipe.microscope, generator, optics, grid)
    microscope = oddity.microscope(stand.microscope, generator)
    stand = replace(stand, microscope=microscope)
    pixel_size_nm = microscope.optics.pixel_size_nm / 2
    softness_nm = _softness_nm(recipe.softest_nm, generator)
    structure = draw(kind, grid.shape, pixel_size_nm, generator)
    structure = soften(structure, softness_nm, pixel_size_nm)
    if recipe.microscope == "wide":
        structure = uneven_density(with_texture(structure, pixel_size_nm, generator), stand)
    structure = oddity.density(structure, generator)
    if name is None:
        expected = uneven_frames(structure, stand, grid)
    else:
        expected = oddity.frames(oddity.image(structure, microscope, grid, generator), generator)
    signals = _signal_levels(recipe, generator)
    raw = torch.stack([raw_counts(expected, s, microscope, generator, stand.maps) for s in signals])
    details = {
        "structure": kind,
        "softness_nm": softness_nm,
        "signal_e": signals,
        "microscope": describe_microscope(microscope),
    }
    if recipe.microscope == "wide":
        details["uneven_light"] = stand.light is not None or stand.orientation_light is not None
        details["camera_maps"] = stand.maps is not None
    if name is not None:
        details["oddity"] = name
    return Cell(
        raw.numpy().astype(np.uint16), target_image(structure, microscope, grid).numpy(), details
    )


def _stand(
    name: str, generator: torch.Generator, optics: list[Optics], grid: Grid
) -> WideMicroscope:
    if name == "wide":
        return wide_microscope(generator, optics, grid)
    if name == "random":
        return WideMicroscope(microscope=random_microscope(generator, optics))
    return WideMicroscope(microscope=biosr_microscope(generator, optics[0]))


def _shows_its_target(cell: Cell) -> bool:
    try:
        for stack in cell.raw:
            wide_field = stack.mean(axis=0, dtype=np.float64)
            target_normalisation(cell.target, wide_field, normalisation_of(stack))
    except InputError:
        return False
    return True


def _pick_kind(sample: str, generator: torch.Generator) -> str:
    if sample not in (MIXED, OUTLIERS):
        return sample
    shares = torch.tensor(list(MIXED_SHARES.values()))
    index = torch.multinomial(shares, 1, generator=generator).item()
    return list(MIXED_SHARES)[index]


def _softness_nm(softest_nm: float, generator: torch.Generator) -> float:
    """Sigma of the structure's own width: 0 in a third of the cells, else up to the softest."""
    if softest_nm == 0:
        return 0.0
    sharp, place = torch.rand(2, generator=generator).tolist()
    return 0.0 if sharp < SHARP_SHARE else round(place * softest_nm, 3)


def _signal_levels(recipe: Recipe, generator: torch.Generator) -> list[float]:
    """Median electrons per lit pixel of each level.

    Random and wide microscopes: one log-uniform draw in each of equal log-wide strata, so that
    all levels together cover the range evenly. BioSR: a fixed geometric series.
    """
    low, high = SIGNAL_RANGE_E[recipe.microscope]
    if recipe.microscope != "biosr":
        place = (torch.arange(recipe.levels) + torch.rand(recipe.levels, generator=generator)) / (
            recipe.levels
        )
    else:
        place = torch.linspace(0, 1, recipe.levels)
    return [round(low * (high / low) ** p, 4) for p in place.tolist()]


def describe_microscope(microscope: Microscope) -> dict[str, Any]:
    """All parameters for JSON; a measured curve is named by its cut-off, not listed."""
    details = asdict(microscope)
    details["optics"]["radial_otf"] = microscope.optics.radial_otf is not None
    details["optics"]["cutoff"] = microscope.optics.cutoff
    return _rounded(details)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def measured_optics() -> list[Optics]:
    """The measured OTFs of the TIRF-SIM behind BioSR, at its pixel of 62.6 nm."""
    optics = []
    for path, na, emission_nm in MEASURED_OTFS:
        curve = read_radial_otf(path)
        optics.append(Optics(na, emission_nm, 62.6, 1.0, curve.modulus, curve.step_per_um))
    return optics


def write_cell(root: Path, recipe: Recipe, number: int) -> tuple[int, dict[str, Any]]:
    """Simulates one cell and writes it; returns its parameters."""
    torch.set_num_threads(1)  # one process per core is faster than threads within one
    cell = simulate_cell(recipe, number, measured_optics())
    store_cell(root, number, cell.raw, cell.target)
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
    tifffile.imwrite(path, image, metadata=None, software=False)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
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
        if getattr(args, name) < least:
            raise InputError(f"--{name}: expected at least {least}, found {getattr(args, name)}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Writes the data set; `dataset.json` says whether it is complete."""
    args = parse_args(argv)
    root = writable_folder(args.save_path)
    occupied = [path.name for path in root.iterdir()]
    if occupied:
        raise InputError(
            f"{root} is not empty (it holds {occupied[0]}): name a new folder, so that two data "
            "sets never mix, or delete the unfinished one"
        )
    recipe = Recipe(
        args.sample, args.microscope, args.levels, args.size, args.seed, args.softest_nm
    )
    numbers = list(range(1, args.cells + 1))
    _write_spec(root, recipe, numbers, {"complete": False})
    cells = {}
    with ProcessPoolExecutor(min(args.workers, args.cells)) as pool:
        tasks = [pool.submit(write_cell, root, recipe, number) for number in numbers]
        try:
            for task in tqdm(tasks, desc="simulating", unit="cell"):
                number, parameters = task.result()
                cells[str(number)] = parameters
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    _write_spec(root, recipe, numbers, {"complete": True, "cells": cells})
    stacks = args.cells * args.levels
    print(f"{stacks} stacks of 9 x {args.size} x {args.size} in {root}")


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
