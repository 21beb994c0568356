"""Fields with the texture of real cells: their reconstructions, imaged by `from_image`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.benchmarks.shared.stacks import DEMO_STACKS
from bayesdl_sim.data.formats.otf import MEASURED_OTFS
from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.DatasetGenerate.from_image import optics_from, simulate_stack, structure_from
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.reconstruction.deconvolution import sharpened
from bayesdl_sim.physics.reconstruction.wiener import wiener_sim
from bayesdl_sim.utils.errors import InputError

__all__ = ["PIXEL_SIZES_NM", "SIGNALS_E", "TEXTURES", "texture_scenes", "textures"]

SIGNALS_E = (5.0, 9.0, 20.0, 40.0, 100.0, 250.0)  # median electrons per lit pixel
PIXEL_SIZES_NM = (56.0, 62.6, 70.0)
SATURATED = 99.9  # percentile: a few bright clumps would set the scale of everything else
F_ACTIN_STEPS, MITOCHONDRIA_STEPS = 20, 5  # of Richardson-Lucy; the latter images are noisier
PARTS = 2  # of the sides of the large image

Image = Callable[[], NDArray]


def _measured(path: Path, optics: Optics) -> NDArray:
    """Wiener image (2H, 2W) of a measured stack."""
    raw = torch.from_numpy(read_stack(path).raw[0])
    return wiener_sim(raw, optics).numpy()


# Name -> image (2H, 2W), the optics and pattern frequency that made it, steps to sharpen it by.
TEXTURES: dict[str, tuple[Image, Optics, float, int]] = {
    "F-actin": (
        partial(read_image, DEMO_STACKS / "F-actin" / "gt.tif"),
        Optics(1.41, 516.0, 62.6),
        0.348,
        F_ACTIN_STEPS,
    ),
    "cristae": (
        partial(_measured, DEMO_STACKS / "cristae" / "raw.tif", Optics(1.3, 569.0, 65.0)),
        Optics(1.3, 569.0, 65.0),
        0.207,
        MITOCHONDRIA_STEPS,
    ),
    "HeLa mitochondria": (
        partial(_measured, DEMO_STACKS / "hela" / "raw.tif", Optics(1.3, 660.0, 65.0)),
        Optics(1.3, 660.0, 65.0),
        0.187,
        MITOCHONDRIA_STEPS,
    ),
}


def textures(names: Sequence[str] = tuple(TEXTURES)) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and density (2H, 2W) of every field, maximum 1; a large image gives four.

    Raises:
        InputError: no such texture.
    """
    for name in names:
        if name not in TEXTURES:
            raise InputError(f"textures: expected some of {', '.join(TEXTURES)}, found {name!r}")
        read, optics, frequency, steps = TEXTURES[name]

        def sharpen(image: NDArray, known: tuple = (optics, frequency, steps)) -> NDArray:
            return sharpened(image, *known)

        density, _ = structure_from(read(), name, SATURATED, sharpen)
        parts = PARTS if min(density.shape) >= 512 else 1
        for rows in np.array_split(density, parts):
            for part in np.array_split(rows, parts, axis=1):
                yield name, np.ascontiguousarray(part)


def texture_scenes(
    seed: int,
    names: Sequence[str] = tuple(TEXTURES),
    pixel_sizes_nm: Sequence[float] = PIXEL_SIZES_NM,
    signals_e: Sequence[float] = SIGNALS_E,
) -> Iterator[Scene]:
    """Every field at every pixel size, by the TIRF-SIM behind BioSR; a level per signal.

    The measured OTF of 488 nm; phases and modulation are drawn once per scene, noise per level.
    """
    for number, (name, density) in enumerate(textures(names)):
        for index, pixel_size_nm in enumerate(pixel_sizes_nm):
            optics = optics_from(MEASURED_OTFS[0][0], pixel_size_nm)
            drawn = seed + 1000 * number + index
            stacks = [simulate_stack(density, optics, "biosr", s, drawn) for s in signals_e]
            raw = np.stack([stack.raw for stack in stacks]).astype(np.float32)
            yield Scene(
                name=name,
                raw=torch.from_numpy(raw),
                target=stacks[0].target,
                signals=tuple(signals_e),
                optics=optics,
                illumination=None,
            )
