"""Test cells that are simulated on the fly, and need no data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.data.formats.otf import measured_optics
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.DatasetGenerate.simulation import Recipe, simulate_cell
from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.image_formation import Grid, grid_for
from bayesdl_sim.physics.microscopes import Microscope
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.utils.errors import InputError

__all__ = ["Scene", "field_patterns", "simulated_cells"]

TRAINING_SEEDS = (0, 1, 2, 3, 6, 31, 32)  # of the training sets and of from_simulation's examples


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One field at one or more signal levels, with what is known about it.

    Attributes:
        name: structure, stack or scenario.
        raw: (L, 9, H, W) counts, one stack per level.
        target: (2H, 2W) in its own units; None for real data, which have none.
        signals: per level, median electrons per lit pixel; NaN where unknown.
        optics: the true detection path, as far as it is known.
        illumination: the true patterns; None where only an estimate can be had.
    """

    name: str
    raw: Tensor
    target: np.ndarray | None
    signals: tuple[float, ...]
    optics: Optics
    illumination: Illumination | None

    def stack(self, level: int = 0) -> RawStack:
        """One exposure as `data.stacks.read_stack` would give it."""
        raw = self.raw[level : level + 1].numpy()
        pixel_size_nm = self.optics.pixel_size_nm
        return RawStack(
            raw=raw, pixel_size_nm=pixel_size_nm, name=self.name, source=Path(self.name)
        )


def simulated_cells(seed: int, cells: int, levels: int, size: int) -> Iterator[Scene]:
    """Test cells: mixed structures, a random microscope each, `levels` exposures of one field.

    They come from the generator of the training sets with another seed, so no network was
    trained on them, and the same arguments give the same cells.

    Raises:
        InputError: the seed is one that training sets are made with.
    """
    if seed in TRAINING_SEEDS:
        raise InputError(
            f"seed: {seed} makes cells that a network may have been trained on: choose another"
        )
    recipe = Recipe(sample="mixed", microscope="random", levels=levels, size=size, seed=seed)
    measured = measured_optics()
    for number in range(1, cells + 1):
        cell = simulate_cell(recipe, number, measured)
        details = cell.details
        microscope = Microscope.from_dict(details["microscope"], measured)
        yield Scene(
            name=details["structure"],
            raw=torch.from_numpy(cell.raw.astype(np.float32)),
            target=cell.target,
            signals=tuple(details["signal_e"]),
            optics=microscope.optics,
            illumination=field_patterns(microscope.illumination, grid_for((size, size))),
        )


def field_patterns(illumination: Illumination, grid: Grid) -> Illumination:
    """Patterns of the simulator's grid, with their phases at the first pixel of the field.

    The grid has a margin around the field.
    """
    return illumination.seen_from(grid.top / 2, grid.left / 2)
