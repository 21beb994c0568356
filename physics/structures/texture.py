"""A second structure, fainter and softer, below the first: real cells are fuller than one."""

import torch
from torch import Tensor

from bayesdl_sim.physics.image_formation import soften
from bayesdl_sim.physics.structures.mixture import KINDS, draw
from bayesdl_sim.utils.sampling import integer, uniform

__all__ = ["with_texture"]

TEXTURED_SHARE = 0.3
FAINTNESS = (0.05, 0.6)  # of the structure's own maximum
SOFTNESS_NM = 250.0


def with_texture(structure: Tensor, pixel_size_nm: float, generator: torch.Generator) -> Tensor:
    """Adds a second random structure to a density in three of ten cases; maximum 1 again.

    Args:
        structure: (rows, columns) density, not negative.
        pixel_size_nm: pixel size of its grid.
    """
    if uniform(generator) >= TEXTURED_SHARE:
        return structure
    kind = KINDS[integer(generator, 0, len(KINDS))]
    second = draw(kind, tuple(structure.shape), pixel_size_nm, generator)
    second = soften(second, uniform(generator, 0.0, SOFTNESS_NM), pixel_size_nm)
    weight = uniform(generator, *FAINTNESS) * structure.max() / second.max()
    combined = structure + weight * second
    return combined / combined.max()
