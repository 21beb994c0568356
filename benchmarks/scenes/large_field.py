"""One simulated field of any size: F-actin under fringes that extend over all of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdl_sim.physics.illumination import Illumination, patterns
from bayesdl_sim.physics.image_formation import bin_to_camera, blur, excite
from bayesdl_sim.physics.microscopes import Microscope, random_microscope
from bayesdl_sim.physics.optics import otf
from bayesdl_sim.physics.structures.mixture import draw
from bayesdl_sim.utils.pieces.spans import blocks_of, doubled

__all__ = ["simulate_field"]

PIECE, MARGIN = 512, 32  # raw pixels
DRAWN = 1024  # pixels of the doubled grid, of the structure that is repeated
SIGNAL_E, BACKGROUND = 150.0, 100.0  # electrons in the brightest places, counts
MODULATION = (0.7,) * 3


def simulate_field(path: Path, side: int, seed: int) -> Illumination:
    """Writes nine frames of a field as TIFF, made piece by piece.

    Returns:
        The fringes, phases at the first raw pixel of the field.
    """
    generator = torch.Generator().manual_seed(seed)
    microscope = random_microscope(generator)
    light = replace(microscope.illumination, modulation=MODULATION)
    microscope = replace(microscope, illumination=light)
    pixel_nm = microscope.optics.pixel_size_nm / 2
    tile = draw("F-actin", (DRAWN, DRAWN), pixel_nm, generator)
    tile, frames = tile / tile.max(), np.empty((9, side, side), np.uint16)
    for block in blocks_of((side, side), PIECE, MARGIN):
        expected = _expected(tile, microscope, block.read)[:, *block.keep]
        counts = torch.poisson(SIGNAL_E * expected.clamp(min=0), generator=generator) + BACKGROUND
        frames[:, *block.write] = counts.numpy().astype(np.uint16)
    tifffile.imwrite(path, frames, photometric="minisblack")
    return light


def _expected(tile: Tensor, microscope: Microscope, square: tuple[slice, slice]) -> Tensor:
    """The frames (9, h, w) of a part of the field without noise."""
    rows, columns = (_mirrored(doubled(part)) for part in square)
    structure, light = tile[rows][:, columns], microscope.illumination
    phase = []
    for k, angle, steps in zip(light.frequency, light.angle, light.phase, strict=True):
        way = math.cos(angle) * square[1].start + math.sin(angle) * square[0].start
        phase.append(tuple(step + 2 * math.pi * k * way for step in steps))
    shape = (len(rows), len(columns))
    fringes = patterns(replace(light, phase=tuple(phase)), shape, "cpu")
    return bin_to_camera(blur(excite(structure, fringes), otf(microscope.optics, shape)))


def _mirrored(part: slice) -> NDArray[np.int64]:
    """Places within a tile that is repeated forwards and backwards."""
    place = np.arange(part.start, part.stop) % (2 * DRAWN)
    return np.minimum(place, 2 * DRAWN - 1 - place)
