"""Baselines tuned in their own favour, and super-resolved images of other programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter

from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.reconstruction.wiener import wiener_sim
from bayesdl_sim.utils.errors import InputError, require_folder
from bayesdl_sim.utils.files import atomic_path

__all__ = [
    "best_variants",
    "other_image",
    "other_programs",
    "stack_name",
    "wiener_variants",
    "write_stacks",
]

CONSTANTS = (None, 0.001, 0.01, 0.1)  # of the Wiener filter; None: measured on the stack
BLURS_PX = (0.0, 0.6, 1.0, 1.5)  # sigma of a Gaussian after it, super-resolution pixels


def wiener_variants(scene: Scene) -> dict[str, list[np.ndarray]]:
    """Per level, the Wiener filter with the true OTF for every constant and Gaussian post-blur.

    The patterns are estimated once per level.
    """
    images: dict[str, list[np.ndarray]] = {}
    for stack in scene.raw:
        light = estimate(stack, scene.optics).illumination
        for constant in CONSTANTS:
            sharp = wiener_sim(stack, scene.optics, light, constant).numpy()
            for blur in BLURS_PX:
                name = f"constant {'measured' if constant is None else constant}, blur {blur:g} px"
                images.setdefault(name, []).append(gaussian_filter(sharp, blur) if blur else sharp)
    return images


def best_variants(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The variant of a method that is best at each level by its mean PSNR.

    It is chosen on the very stacks that it is judged on, in the favour of the baseline.
    """
    scores: dict[tuple, dict[str, list[float]]] = {}
    for record in records:
        key = (record["method"], record["level"])
        scores.setdefault(key, {}).setdefault(record["variant"], []).append(record["psnr"])
    best = {
        key: max(variants, key=lambda variant, variants=variants: np.mean(variants[variant]))
        for key, variants in scores.items()
    }
    return [
        dict(record)
        for record in records
        if record["variant"] == best[record["method"], record["level"]]
    ]


def stack_name(number: int, level: int) -> str:
    """File name of a test stack and of its reconstruction by another program."""
    return f"cell_{number:03d}_level_{level}.tif"


def write_stacks(folder: Path, number: int, scene: Scene) -> None:
    """Writes the raw stacks of a scene, nine frames of counts each, for other programs."""
    for level, stack in enumerate(scene.raw.numpy().astype(np.uint16), start=1):
        with atomic_path(folder / stack_name(number, level)) as partial:
            tifffile.imwrite(partial, stack, photometric="minisblack")


def other_programs(folder: Path) -> dict[str, Path]:
    """The subfolders of a folder, one per program.

    Raises:
        InputError: none.
    """
    paths = sorted(require_folder(folder, "other programs").iterdir())
    programs = {path.name: path for path in paths if path.is_dir()}
    if not programs:
        raise InputError(
            f"{folder}: expected a subfolder per program with files such as {stack_name(1, 1)}"
        )
    return programs


def other_image(folder: Path, number: int, level: int, scene: Scene) -> np.ndarray:
    """The image of another program for a stack, (2H, 2W), any units.

    Raises:
        InputError: missing, unreadable, or not on the doubled grid.
    """
    path = folder / stack_name(number, level)
    image = read_image(path)
    if image.shape != scene.target.shape:
        raise InputError(
            f"{path} is {image.shape[0]}x{image.shape[1]} px, expected "
            f"{scene.target.shape[0]}x{scene.target.shape[1]} px (twice the raw frames)"
        )
    return image.astype(np.float64)
