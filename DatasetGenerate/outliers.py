"""Stacks unlike any training set: odd densities, and odd microscopes.

`from_simulation --sample outliers` writes a set of them, and `train.py --outlier_dir` takes it for
the prior of `bayes.functional_prior`. None of them is a scenario of `benchmarks.scenes.kept_out`,
so that the benchmarks measure whether what was learnt on these carries over to others.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.image_formation import (
    Grid,
    add_haze,
    bin_to_camera,
    blur,
    expected_frames,
    lit_median,
)
from bayesdl_sim.physics.microscopes import Microscope, magnified, relit
from bayesdl_sim.physics.optics import apply_otf, frequency_grid, otf
from bayesdl_sim.physics.structures.outliers import OUTLIER_DENSITIES
from bayesdl_sim.utils.sampling import uniform

__all__ = ["ODDITIES", "ORDINARY", "OUTLIERS", "Oddity", "oddity_of"]

OUTLIERS = "outliers"  # the name of the sample
LARGEST_FREQUENCY = 0.47  # cycles per raw pixel; 0.5 is the limit of sampling


def _same_density(cell: Tensor, generator: torch.Generator) -> Tensor:
    return cell


def _same_microscope(microscope: Microscope, generator: torch.Generator) -> Microscope:
    return microscope


def _same_frames(frames: Tensor, generator: torch.Generator) -> Tensor:
    return frames


def _by_fringes(
    structure: Tensor, microscope: Microscope, grid: Grid, generator: torch.Generator
) -> Tensor:
    return expected_frames(structure, microscope, grid)


class Oddity(NamedTuple):
    """One way to be unlike a training set; everything else is as in training.

    `density` makes a structure of a cell's, `microscope` alters the stand, `image` forms the nine
    noise-free frames, and `frames` works on them.
    """

    density: Callable[[Tensor, torch.Generator], Tensor] = _same_density
    microscope: Callable[[Microscope, torch.Generator], Microscope] = _same_microscope
    image: Callable[[Tensor, Microscope, Grid, torch.Generator], Tensor] = _by_fringes
    frames: Callable[[Tensor, torch.Generator], Tensor] = _same_frames


def _one_orientation(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """The grating does not turn at all."""
    light = microscope.illumination
    return relit(
        microscope,
        frequency=(light.frequency[0],) * 3,
        angle=(light.angle[0],) * 3,
        phase=(light.phase[0],) * 3,
    )


def _narrow_fan(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Orientations 5 to 20 degrees apart, not 60."""
    first, step = microscope.illumination.angle[0], math.radians(uniform(generator, 5, 20))
    return relit(microscope, angle=(first, first + step, first + 2 * step))


def _random_phases(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Nine independent random phases."""
    phases = (2 * math.pi * torch.rand(3, 3, generator=generator)).tolist()
    return relit(microscope, phase=tuple(tuple(row) for row in phases))


def _finest_fringes(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Pattern frequency 0.42-0.46 cycles per pixel; training ends at 0.40."""
    light = microscope.illumination
    factor = uniform(generator, 0.42, 0.46) / light.mean_frequency
    return relit(
        microscope, frequency=tuple(min(factor * k, LARGEST_FREQUENCY) for k in light.frequency)
    )


def _odd_cutoff(microscope: Microscope, generator: torch.Generator) -> Microscope:
    """Cut-off 0.10-0.14 or 0.42-0.45 cycles per pixel; training spans 0.24-0.40."""
    low, high = (0.10, 0.14) if uniform(generator) < 0.5 else (0.42, 0.45)
    return magnified(microscope, uniform(generator, low, high), LARGEST_FREQUENCY)


def _speckle(
    structure: Tensor, microscope: Microscope, grid: Grid, generator: torch.Generator
) -> Tensor:
    """Another random light field in every frame, as grainy as the fringes are fine; no haze."""
    light = microscope.illumination
    scale = light.mean_frequency / 4  # cycles per fine pixel
    grain = torch.exp(-((frequency_grid(grid.shape) / 2 / scale) ** 2))
    noise = torch.randn((9, *grid.shape), generator=generator)
    field = apply_otf(noise, grain / grain.square().mean().sqrt())
    excited = structure * (1 + light.modulation[0] * field).clamp(min=0)
    frames = blur(excited, otf(microscope.optics, grid.shape))
    frames = grid.crop(bin_to_camera(frames), binning=2)
    frames = add_haze(frames, torch.zeros_like(frames[0]), 0.0, microscope.background)
    return frames / lit_median(frames.mean(dim=0))


def _shuffled(frames: Tensor, generator: torch.Generator) -> Tensor:
    """An order in which no orientation stays together, and which is not phase-major either."""
    orientations = {(0, 1, 2), (3, 4, 5), (6, 7, 8)}
    phase_major = {(0, 3, 6), (1, 4, 7), (2, 5, 8)}
    while True:
        order = torch.randperm(9, generator=generator)
        groups = {tuple(sorted(order[i : i + 3].tolist())) for i in (0, 3, 6)}
        if not groups & orientations and groups != phase_major:
            return frames[order]


def _flickering(frames: Tensor, generator: torch.Generator) -> Tensor:
    """A lamp whose brightness changes from frame to frame, by a fifth to three fifths."""
    strength = uniform(generator, 0.2, 0.6)
    return frames * torch.exp(strength * torch.randn(9, 1, 1, generator=generator))


def _shaken(frames: Tensor, generator: torch.Generator) -> Tensor:
    """A camera that is somewhere else in every frame, by up to 6 pixels."""
    shifts = torch.randint(-6, 7, (9, 2), generator=generator).tolist()
    shifted = [frame.roll(shift, (0, 1)) for frame, shift in zip(frames, shifts, strict=True)]
    return torch.stack(shifted)


ORDINARY = Oddity()
ODDITIES = {name: Oddity(density=density) for name, density in OUTLIER_DENSITIES.items()}
ODDITIES |= {
    "speckle light": Oddity(image=_speckle),
    "one orientation": Oddity(microscope=_one_orientation),
    "narrow fan of orientations": Oddity(microscope=_narrow_fan),
    "random phases": Oddity(microscope=_random_phases),
    "fringes 0.42-0.46 cycles/px": Oddity(microscope=_finest_fringes),
    "cut-off 0.10-0.14 or 0.42-0.45 cycles/px": Oddity(microscope=_odd_cutoff),
    "shuffled frames": Oddity(frames=_shuffled),
    "flickering lamp": Oddity(frames=_flickering),
    "shaken camera": Oddity(frames=_shaken),
}


def oddity_of(number: int) -> str:
    """The oddity of the cell of this number: each one in turn."""
    return list(ODDITIES)[number % len(ODDITIES)]
