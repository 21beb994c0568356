"""Contents of a cell: random fluorophore densities that look like six kinds of sample."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdl_sim.physics.structures.canvas import Canvas
from bayesdl_sim.physics.structures.cells import random_cell
from bayesdl_sim.physics.structures.filaments import f_actin, microtubules
from bayesdl_sim.physics.structures.organelles import mitochondria, reticulum
from bayesdl_sim.physics.structures.puncta import beads, coated_pits
from bayesdl_sim.utils.errors import InputError

__all__ = ["KINDS", "draw"]

_PAINTERS = {
    "F-actin": f_actin,
    "MT": microtubules,
    "ER": reticulum,
    "CCPs": coated_pits,
    "Mitochondria": mitochondria,
    "beads": beads,
}
KINDS = tuple(_PAINTERS)


def draw(
    kind: str,
    shape: tuple[int, int],
    pixel_size_nm: float,
    generator: torch.Generator,
    density: float | None = None,
) -> Tensor:
    """Draws one structure.

    Args:
        kind: one of `KINDS`.
        shape: rows and columns of the SR grid.
        pixel_size_nm: side of one SR pixel, about 30-50 nm.
        generator: CPU generator that every draw is taken from; no global state is touched.
        density: 0 (sparse) to 1 (so dense that no method can resolve it); None draws it.

    Returns:
        `(H, W)` float32, fluorophore density scaled to a maximum of 1, never negative.

    Raises:
        InputError: for an unknown kind, fewer than 2 rows or columns, a pixel size that is not
            positive, or a density outside 0..1.
    """
    if kind not in _PAINTERS:
        raise InputError(f"unknown structure {kind!r}: expected one of {', '.join(KINDS)}")
    if len(shape) != 2 or min(shape) < 2:
        raise InputError(f"a structure needs at least 2 rows and 2 columns, found {tuple(shape)}")
    if not pixel_size_nm > 0:
        raise InputError(f"the pixel size must be positive, in nm, found {pixel_size_nm}")
    if density is not None and not 0 <= density <= 1:
        raise InputError(f"density goes from 0 (sparse) to 1 (dense), found {density}")
    canvas = Canvas(tuple(shape), float(pixel_size_nm), generator)
    if density is None:
        density = canvas.number(0.0, 1.0)
    image = torch.zeros(canvas.shape)
    while not image.any():  # a mesh may be wider than a small field: look elsewhere
        cell = random_cell(canvas, whole=kind == "beads")
        image = _PAINTERS[kind](canvas, cell, density) * cell.focus
    return image / image.max()
