"""Simulates the cells of a data set: structure, microscope, exposures; each from its own seed."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from bayesdl_sim.data.normalise import normalisation_of, target_normalisation
from bayesdl_sim.DatasetGenerate.outliers import ODDITIES, ORDINARY, OUTLIERS, oddity_of
from bayesdl_sim.physics.image_formation import Grid, grid_for, raw_counts, soften, target_image
from bayesdl_sim.physics.microscopes import biosr_microscope, random_microscope
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.structures.mixture import draw
from bayesdl_sim.physics.structures.texture import with_texture
from bayesdl_sim.physics.wide_microscopes import (
    WideMicroscope,
    uneven_density,
    uneven_frames,
    wide_microscope,
)
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.sampling import generator_from

__all__ = [
    "MIXED",
    "MIXED_SHARES",
    "PHASE_ORIGIN",
    "Cell",
    "Recipe",
    "SIGNAL_RANGE_E",
    "simulate_cell",
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


@dataclass(frozen=True, kw_only=True)
class Recipe:
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

    An outlier whose frames do not correlate with its target is drawn again, since
    `data.sets.cache` would refuse the whole set for it.

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
        "microscope": microscope.to_dict(),
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
