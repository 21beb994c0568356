"""What the benchmarks share: scenes to reconstruct, and the methods that do it."""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.bayes.prediction import Prediction, predict
from bayesdl_sim.data.inputs import FirstGuess, input_spec, stack_input
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.data.sets.told_optics import stored_optics
from bayesdl_sim.DatasetGenerate.from_simulation import Recipe, measured_optics, simulate_cell
from bayesdl_sim.models.members import describe_members, member_functions
from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.image_formation import Grid, grid_for
from bayesdl_sim.physics.optics import TYPICAL_OPTICS, Optics
from bayesdl_sim.physics.reconstruction.first_guess import FIRST_GUESS_VERSION, first_guess
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled, wiener_sim
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "FIRST_GUESS",
    "Posterior",
    "Scene",
    "field_patterns",
    "open_posterior",
    "posterior_of",
    "simulated_cells",
    "wide_field_images",
    "wiener_images",
]

FIRST_GUESS = FirstGuess(first_guess, FIRST_GUESS_VERSION)
TRAINING_SEEDS = (0, 1, 2, 3)  # of the sets that from_simulation's examples and the training make


class Scene(NamedTuple):
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


def simulated_cells(seed: int, cells: int, levels: int, size: int) -> Iterator[Scene]:
    """Test cells: mixed structures, a random microscope each, `levels` exposures of one field.

    They come from the generator of the training sets with another seed, so no network has seen
    them, and the same arguments give the same cells.

    Raises:
        InputError: the seed is one that training sets are made with.
    """
    if seed in TRAINING_SEEDS:
        raise InputError(
            f"--seed {seed} makes cells that a network may have been trained on: choose another"
        )
    recipe = Recipe("mixed", "random", levels, size, seed)
    measured = measured_optics()
    for number in range(1, cells + 1):
        cell = simulate_cell(recipe, number, measured)
        details = cell.details
        yield Scene(
            name=details["structure"],
            raw=torch.from_numpy(cell.raw.astype(np.float32)),
            target=cell.target,
            signals=tuple(details["signal_e"]),
            optics=stored_optics(details["microscope"]["optics"]),
            illumination=field_patterns(
                _illumination(details["microscope"]["illumination"]), grid_for((size, size))
            ),
        )


def _illumination(stored: dict[str, Any]) -> Illumination:
    flat = ("frequency", "angle", "modulation", "brightness")
    phase = tuple(tuple(steps) for steps in stored["phase"])
    return Illumination(phase=phase, **{name: tuple(stored[name]) for name in flat})


def field_patterns(illumination: Illumination, grid: Grid) -> Illumination:
    """Patterns of the simulator's grid, with their phases at the first pixel of the field.

    The grid has a margin around the field: `phase + 2 pi k.r` with r the corner of the field.
    """
    top, left = grid.top / 2, grid.left / 2  # raw pixels
    phase = []
    for k, angle, steps in zip(
        illumination.frequency, illumination.angle, illumination.phase, strict=True
    ):
        moved = 2 * math.pi * k * (math.cos(angle) * left + math.sin(angle) * top)
        phase.append(tuple(step + moved for step in steps))
    return replace(illumination, phase=tuple(phase))


class Posterior:
    """The members of a folder as one function: counts (B, 9, H, W) -> `Prediction`.

    Every stack is normalised by its own scale. The maps come back on the CPU in float32. With
    `keep` each member is loaded once for all calls, else anew for every call.
    """

    def __init__(
        self,
        folder: str | Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        tile: int = 512,
        limit: int | None = None,
        keep: bool = False,
    ) -> None:
        self.folder, self.device, self.dtype = Path(folder), torch.device(device), dtype
        self.tile, self.limit = tile, limit
        facts = describe_members(folder, limit)
        self.members, self.inputs = len(facts), input_spec(facts[0].network)
        self.functions = member_functions(folder, self.device, dtype, tile, limit, keep)

    def __call__(self, raw: Tensor) -> Prediction:
        # One by one: a batch does not fit into a core's cache, and takes a fifth longer there.
        shown = self.shown(raw).to(self.device).split(1)
        predictions = [predict(self.functions, stack) for stack in shown]
        return Prediction(
            *(torch.cat(maps).float().cpu() for maps in zip(*predictions, strict=True))
        )

    def shown(self, raw: Tensor) -> Tensor:
        """What the networks see of stacks of counts: (B, 9, H, W) -> (B, F, H, W)."""
        stacks = raw.numpy()
        inputs = (stack_input(s, normalisation_of(s), self.inputs, FIRST_GUESS) for s in stacks)
        return torch.stack(list(inputs))


def posterior_of(scene: Scene, posterior: Callable[[Tensor], Prediction]) -> Prediction:
    """Maps (L, 1, 2H, 2W) of all levels of a scene."""
    return posterior(scene.raw)


def wide_field_images(scene: Scene) -> list[np.ndarray]:
    """Per level, the mean of the nine frames on the doubled grid, interpolated bicubically."""
    return [wide_field_upsampled(stack).numpy() for stack in scene.raw]


def wiener_images(
    scene: Scene, true_optics: bool = True, true_patterns: bool = False
) -> list[np.ndarray]:
    """Per level, the classical reconstruction.

    Args:
        true_optics: hand it the OTF that made the frames, damping included, which a lab has
            measured at best; else the OTF of the aperture, wavelength and pixel size, with the
            damping of a typical objective. (The ideal OTF, undamped, does 2-3 dB worse.)
        true_patterns: hand it the true illumination too, which no experiment knows.
    """
    known = scene.optics
    nominal = Optics(known.na, known.emission_nm, known.pixel_size_nm, TYPICAL_OPTICS.damping)
    optics = known if true_optics else nominal
    patterns = scene.illumination if true_patterns else None
    return [wiener_sim(stack, optics, patterns).numpy() for stack in scene.raw]


def open_posterior(args: argparse.Namespace) -> Posterior:
    """The posterior that the options name."""
    device = choose_device(args.device)
    dtype = choose_precision(args.precision, device)
    return Posterior(args.pretrained_G, device, dtype, args.tile, args.members, keep=True)
