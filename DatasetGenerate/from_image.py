"""Simulates one raw stack from an image that is taken as the fluorophore structure.

    python -m DatasetGenerate.from_image --image SR.tif --save_path DIR --signal 100 --seed 0 \
        --crop 300 300 512 512 --sharpen 20 --saturate 99.9

Writes raw.tif (nine frames of counts), gt.tif (what a reconstruction should show) and
parameters.json. The image lies on the super-resolution grid: two of its pixels to a raw pixel.
The demo stack `data/F-actin/raw.tif` was made so, from a published reconstruction of a real cell;
`--sharpen` takes the blur of SIM off such an image, which would otherwise be blurred twice.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
import torch

from bayesdl_sim.data.formats.otf import MEASURED_OTFS, read_radial_otf
from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.data.formats.tiff_writer import write_map
from bayesdl_sim.DatasetGenerate.simulation import PHASE_ORIGIN
from bayesdl_sim.physics.checks.stored_values import SATURATED
from bayesdl_sim.physics.image_formation import (
    Grid,
    expected_frames,
    grid_for,
    raw_counts,
    target_image,
)
from bayesdl_sim.physics.lens import require_cutoff, require_lens
from bayesdl_sim.physics.microscopes import Microscope, biosr_microscope
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.reconstruction.deconvolution import sharpened
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError, require_file, run_script
from bayesdl_sim.utils.files import atomic_path, sha256, write_json
from bayesdl_sim.utils.folders.staging import results_folder, staged

__all__ = ["cropped", "main", "optics_from", "simulate_stack", "structure_from"]

BACKGROUND_PERCENTILE = 0.5
SMALLEST = 64  # image pixels
MICROSCOPES = {"biosr": biosr_microscope}
FILES = ("gt.tif", "raw.tif", "parameters.json")  # the last one stands for a whole set


class Simulated(NamedTuple):
    """`raw` (9, H, W) uint16 counts, `target` (2H, 2W) float32 of maximum 1, and what made them."""

    raw: np.ndarray
    target: np.ndarray
    microscope: Microscope


def structure_from(
    image: np.ndarray,
    path: str | Path = "image",
    saturate: float = 100.0,
    sharpen: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, float]:
    """Turns an image into a fluorophore density: background subtracted, maximum 1.

    The background is a low percentile, not the minimum, which a single dark pixel would decide.
    A few bright clumps may decide the maximum, too, and with it the scale of every comparison
    with the target; `saturate` cuts them off.

    Args:
        image: (2H, 2W), any units.
        path: named in the message.
        saturate: percentile above which all pixels count as equally bright; 100 cuts nothing.
        sharpen: deconvolution of the image without its background, before anything is cut.

    Returns:
        Density (2H, 2W) float32, never negative, and the background that was taken off.

    Raises:
        InputError: odd or small sides, values that are not finite, a constant image.
    """
    height, width = image.shape
    if height % 2 or width % 2 or min(height, width) < SMALLEST:
        raise InputError(
            f"{path} is {height}x{width} px, but even sides of at least {SMALLEST} px are needed, "
            "since two of its pixels make one raw pixel: crop it"
        )
    image = image.astype(np.float64)
    if not np.isfinite(image).all():
        raise InputError(f"{path} holds NaN or infinite values: save the image again")
    background = float(np.percentile(image, BACKGROUND_PERCENTILE))
    if sharpen is not None and image.max() > background:
        image = background + sharpen(image - background)
    density = np.clip(image, background, np.percentile(image, saturate)) - background
    if density.max() == 0:
        raise InputError(f"{path} is constant or nearly so: choose an image with a structure")
    return (density / density.max()).astype(np.float32), background


def cropped(image: np.ndarray, crop: Sequence[int] | None, path: str | Path) -> np.ndarray:
    """A part of an image: top, left, height and width in pixels; None is all of it.

    Raises:
        InputError: a part that reaches out of the image.
    """
    if crop is None:
        return image
    top, left, height, width = crop
    if min(crop) < 0 or top + height > image.shape[0] or left + width > image.shape[1]:
        raise InputError(
            f"crop: expected top, left, height and width of a part of {path}, which is "
            f"{image.shape[0]}x{image.shape[1]} px; found {' '.join(map(str, crop))}"
        )
    return image[top : top + height, left : left + width]


def optics_from(
    otf_path: Path, pixel_size_nm: float, na: float | None = None, emission_nm: float | None = None
) -> Optics:
    """A measured detection path; beyond its cut-off, 2 NA / emission, the curve is only noise.

    Raises:
        InputError: an OTF that is not one of `MEASURED_OTFS`, without `na` and `emission_nm`; or
            numbers that no microscope has.
    """
    lenses = {path.name: (known_na, nm) for path, known_na, nm in MEASURED_OTFS}
    known_na, known_nm = lenses.get(otf_path.name, (None, None))
    na, emission_nm = na or known_na, emission_nm or known_nm
    if na is None or emission_nm is None:
        raise InputError(
            f"{otf_path} is not one of this project's OTFs ({', '.join(lenses)}): give its cut-off "
            "by --na and --emission_nm"
        )
    require_lens(na, emission_nm)
    require_cutoff(na, emission_nm, pixel_size_nm, otf_path.name)
    curve = read_radial_otf(otf_path)
    return Optics(na, emission_nm, pixel_size_nm, 1.0, curve.modulus, curve.step_per_um)


def simulate_stack(
    structure: np.ndarray, optics: Optics, microscope: str, signal_e: float, seed: int
) -> Simulated:
    """Images a density (2H, 2W) at a signal of `signal_e` median electrons per lit raw pixel.

    Raises:
        InputError: a signal that the camera cannot count.
    """
    generator = torch.Generator().manual_seed(seed)
    instrument = MICROSCOPES[microscope](generator, optics)
    grid = grid_for((structure.shape[0] // 2, structure.shape[1] // 2))
    density = torch.from_numpy(_embed(structure, grid))
    expected = expected_frames(density, instrument, grid)
    raw = raw_counts(expected, signal_e, instrument, generator)
    largest = instrument.camera.saturation
    saturated = float((raw >= largest).double().mean())
    if saturated > SATURATED:
        raise InputError(
            f"signal: with {signal_e:g} electrons per lit pixel, {saturated:.1%} of the counts are "
            f"saturated, at {largest}: choose a lower signal"
        )
    target = target_image(density, instrument, grid)
    return Simulated(raw.numpy().astype(np.uint16), target.numpy(), instrument)


def _sharpen(microscope: str, optics: Optics, steps: int, density: np.ndarray) -> np.ndarray:
    light = MICROSCOPES[microscope](torch.Generator().manual_seed(0), optics).illumination
    return sharpened(density, optics, light.mean_frequency, steps)


def _embed(structure: np.ndarray, grid: Grid) -> np.ndarray:
    """The structure on the larger periodic grid; mirrored around, as cells go on there."""
    below = grid.shape[0] - grid.top - structure.shape[0]
    right = grid.shape[1] - grid.left - structure.shape[1]
    return np.pad(structure, ((grid.top, below), (grid.left, right)), mode="reflect")


def write_raw(path: Path, raw: np.ndarray, pixel_size_nm: float) -> None:
    """Writes (9, H, W) counts as a stack that ImageJ opens with its pixel size."""
    with atomic_path(path) as partial:
        tifffile.imwrite(
            partial,
            raw,
            imagej=True,
            photometric="minisblack",
            resolution=(1000 / pixel_size_nm,) * 2,
            resolutionunit="NONE",
            metadata={"axes": "ZYX", "unit": "um"},
        )


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(
        prog="python -m DatasetGenerate.from_image",
        description="Simulates one raw SIM stack from an image.",
        allow_abbrev=False,
    )
    parser.add_argument("--image", type=Path, required=True, help="TIFF of the structure")
    parser.add_argument("--save_path", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--signal", type=float, default=25.0, help="median electrons per lit raw pixel"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same counts")
    parser.add_argument(
        "--saturate",
        type=float,
        default=100.0,
        help="percentile of the image above which all is equally bright (100: cut nothing)",
    )
    parser.add_argument(
        "--crop",
        type=int,
        nargs=4,
        metavar=("TOP", "LEFT", "HEIGHT", "WIDTH"),
        help="part of the image to take, in its pixels (all of it)",
    )
    parser.add_argument(
        "--sharpen",
        type=int,
        default=0,
        help="steps of Richardson-Lucy by the point spread function of SIM, for an image that is "
        "itself a reconstruction and would otherwise be blurred twice (0: none)",
    )
    parser.add_argument("--microscope", choices=sorted(MICROSCOPES), default="biosr")
    parser.add_argument("--pixel_size_nm", type=float, default=62.6, help="of a raw pixel")
    parser.add_argument(
        "--otf",
        type=Path,
        default=MEASURED_OTFS[0][0],
        help="measured radial OTF, MRC (default: 488 nm)",
    )
    parser.add_argument("--na", type=float, help="numerical aperture; for an OTF of your own")
    parser.add_argument(
        "--emission_nm", "--wavelength_nm", type=float, help="of the light; for an OTF of your own"
    )
    args = parser.parse_args(argv)
    for name in ("signal", "pixel_size_nm", "na", "emission_nm"):
        value = getattr(args, name)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"--{name}: expected a positive number, found {value}")
    if not BACKGROUND_PERCENTILE < args.saturate <= 100:
        raise InputError(f"--saturate is a percentile, at most 100; found {args.saturate}")
    for name in ("seed", "sharpen"):
        if getattr(args, name) < 0:
            raise InputError(f"--{name}: expected 0 or more, found {getattr(args, name)}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Reads the image, simulates the stack and writes it."""
    args = parse_args(argv)
    image = read_image(require_file(args.image, "image of the structure"))
    image = cropped(image, args.crop, args.image)
    optics = optics_from(args.otf, args.pixel_size_nm, args.na, args.emission_nm)
    sharpen = partial(_sharpen, args.microscope, optics, args.sharpen) if args.sharpen else None
    structure, background = structure_from(image, args.image, args.saturate, sharpen)
    torch.set_num_threads(1)  # the order of additions, and so the counts, depends on the threads
    refuse_used_folder(args.save_path)
    with results_folder(args.save_path) as folder:
        refuse_used_folder(folder)
        stack = simulate_stack(structure, optics, args.microscope, args.signal, args.seed)
        _write(folder, stack, args, background)
    height, width = stack.raw.shape[1:]
    print(f"9 x {height} x {width} raw frames and their ground truth in {folder}")


def _write(folder: Path, stack: Simulated, args: argparse.Namespace, background: float) -> None:
    """All three files, or none of them."""
    facts: dict[str, Any] = {
        "generator": "DatasetGenerate.from_image",
        "image": args.image.name,
        "image_sha256": sha256(args.image),
        "crop": args.crop,
        "background": background,
        "saturate_percentile": args.saturate,
        "sharpen_steps": args.sharpen,
        "signal_e": args.signal,
        "signal_unit": "median electrons per raw pixel over the lit pixels of the wide field",
        "seed": args.seed,
        "otf": args.otf.name,
        "frequency_unit": "cycles per raw pixel",
        "phase_origin": PHASE_ORIGIN,
        "microscope": stack.microscope.to_dict(),
    }
    with staged(folder, FILES, FILES[-1]) as partial:
        write_json(partial / "parameters.json", facts)
        write_map(partial / "gt.tif", stack.target, args.pixel_size_nm / 2)
        write_raw(partial / "raw.tif", stack.raw, args.pixel_size_nm)


def refuse_used_folder(folder: Path) -> None:
    """A simulated stack must never replace a measured one."""
    for name in FILES:
        if (folder / name).exists():
            raise InputError(f"{folder} already holds {name}: name another folder, or delete it")


if __name__ == "__main__":
    run_script(main)
