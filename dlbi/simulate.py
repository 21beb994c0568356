"""Simulates movies of blinking fluorophores with their truth.

    python -m dlbi.simulate --save_path runs/blinking --structure MT --frames 200 --size 60 60
    python -m dlbi.simulate --save_path runs/photographs --images DIR --fluorophore bleaching

Writes, for each movie, movie.tif (T x H x W counts), fluorophores.tif (their number in each pixel
of the eightfold grid), fluorophores_4x.tif, fluorophores_2x.tif (the same fluorophores on coarser
grids) and parameters.json.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.data.formats.tiff_writer import write_counts, write_map
from bayesdl_sim.dlbi.blinking import (
    FINE,
    MARGIN,
    BlinkingMovie,
    Microscopy,
    binned,
    simulate_movie,
)
from bayesdl_sim.dlbi.movies.checks import FULL_SCALES, MOST_SATURATED
from bayesdl_sim.dlbi.movies.reading import FEWEST, SMALLEST
from bayesdl_sim.dlbi.simulation.images import image_density, list_images
from bayesdl_sim.dlbi.simulation.scenes import draw_density
from bayesdl_sim.dlbi.simulation.spots import KERNELS
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.physics.structures.mixture import KINDS
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.folders.staging import remove_leftovers, results_folder, staged

__all__ = ["main", "parse_args", "write_movie"]

POSITIVE = (
    "movies",
    "frames",
    "fine_pixel_nm",
    "fluorophores_per_px",
    "fwhm_px",
    "photons",
    "gain",
)
# Least and largest value of the others. Widths that spread by more would be negative at times.
RANGES = {
    "density": (0.0, 1.0),
    "width_jitter": (0.0, 0.5),
    "photon_spread": (0.0, 3.0),
    "background_fraction": (0.0, 1e4),
    "offset": (0.0, 65535.0),
    "read_noise": (0.0, 1e4),
    "seed": (0, math.inf),
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m dlbi.simulate",
        description="Simulates movies of blinking fluorophores.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--save_path", required=True, help="folder that gets one folder for each movie")
    add("--movies", type=int, default=1, help="number of movies (default 1)")
    add("--structure", choices=KINDS, default="MT", help="kind of procedural cell (default MT)")
    add("--density", type=float, help="0 (sparse) to 1 (dense) of the procedural cell; else random")
    add("--images", help="folder of grey-scale images whose edges are the structure instead")
    add("--fluorophore", choices=sorted(FLUOROPHORES), default="mEos3.2", help="switching table")
    add("--frames", type=int, default=200, help="number of frames (default 200)")
    add("--size", type=int, nargs=2, default=(60, 60), metavar=("H", "W"), help="camera pixels")
    add("--fine_pixel_nm", type=float, default=20.0, help="an eighth of a camera pixel, nm")
    add("--fluorophores_per_px", type=float, default=0.5, help="expected number per camera pixel")
    add("--fwhm_px", type=float, default=2.4, help="full width of a spot, camera pixels")
    add("--width_jitter", type=float, default=0.05, help="relative spread of that width")
    add("--kernel", choices=KERNELS, default="gaussian", help="shape of a spot")
    add("--photons", type=float, default=400.0, help="mean photoelectrons of an emitting frame")
    add("--photon_spread", type=float, default=0.3, help="spread of their logarithm")
    add("--background_fraction", type=float, help="background over mean signal; else random")
    add("--gain", type=float, default=2.2, help="counts per electron")
    add("--offset", type=float, default=100.0, help="counts of a dark pixel")
    add("--read_noise", type=float, default=1.5, help="read noise, electrons")
    add("--seed", type=int, default=0, help="seed of everything")
    args = parser.parse_args(argv)
    for name in POSITIVE:
        if not 0 < getattr(args, name) < math.inf:
            raise InputError(f"{name}: expected a positive number, found {getattr(args, name)}")
    for name, (least, most) in RANGES.items():
        value = getattr(args, name)
        if value is not None and not least <= value <= most:
            limits = f"{least:g} to {most:g}" if most < math.inf else f"at least {least:g}"
            raise InputError(f"{name}: expected {limits}, found {value}")
    if min(args.size) < SMALLEST:
        raise InputError(
            f"size: expected at least {SMALLEST} x {SMALLEST} camera pixels, as a reconstruction "
            f"needs, found {args.size[0]} x {args.size[1]}"
        )
    if args.frames < FEWEST:
        raise InputError(
            f"frames: expected at least {FEWEST}, as a reconstruction needs, found {args.frames}"
        )
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with results_folder(args.save_path) as folder:
        _simulate(args, folder)
    noun = "movie" if args.movies == 1 else "movies"
    print(f"{args.movies} {noun} of {args.frames} x {args.size[0]} x {args.size[1]} in {folder}")


def _simulate(args: argparse.Namespace, folder: Path) -> None:
    """Draws and writes all movies."""
    images = list_images(args.images) if args.images else []
    for number in counted(range(1, args.movies + 1), "simulating", unit="movie"):
        entropy = np.random.SeedSequence([args.seed, number]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(entropy >> np.uint64(1)))
        source = images[(number - 1) % len(images)] if images else None
        density = _density(args, source, generator)
        fraction = args.background_fraction
        if fraction is None:
            fraction = float(torch.rand((), generator=generator))
        microscopy = Microscopy(
            fwhm_px=args.fwhm_px,
            width_jitter=args.width_jitter,
            photons=args.photons,
            photon_spread=args.photon_spread,
            background_fraction=fraction,
            kernel=args.kernel,
            camera=Camera(gain=args.gain, offset=args.offset, read_noise_e=args.read_noise),
        )
        expected = args.fluorophores_per_px * density.numel() / FINE**2
        fluorophore = FLUOROPHORES[args.fluorophore]
        movie = simulate_movie(density, expected, args.frames, generator, fluorophore, microscopy)
        parameters = {
            "structure": str(source.name) if source else args.structure,
            "fluorophore": {"name": args.fluorophore, **asdict(fluorophore)},
            "microscopy": asdict(microscopy),
            "background_e": movie.background_e,
            "fine_pixel_nm": args.fine_pixel_nm,
            "seed": args.seed,
        }
        remove_leftovers(folder / f"movie_{number}")
        write_movie(folder / f"movie_{number}", movie, args.fine_pixel_nm, parameters)
        for text in unusable(movie):
            print(f"note: movie_{number}: {text}")


def unusable(movie: BlinkingMovie) -> list[str]:
    """Sentences on a movie that no reconstruction can use, empty for others."""
    texts, top = [], movie.counts.max()
    if not bool(movie.fluorophores.any()):
        texts.append("no fluorophore lies in the field: raise fluorophores_per_px")
    saturated = float((movie.counts == top).float().mean())
    if float(top) in FULL_SCALES and saturated > MOST_SATURATED:
        texts.append(
            f"{100 * saturated:.3g} % of its values are at the limit of the camera, and a "
            "reconstruction refuses it: lower photons, gain or fluorophores_per_px"
        )
    return texts


def write_movie(folder: Path, movie: BlinkingMovie, fine_nm: float, parameters: dict) -> None:
    """Writes a movie, its truth on three grids, and how it was made: all of it, or nothing."""
    with staged(folder, last="parameters.json") as partial:
        write_counts(partial / "movie.tif", movie.counts.numpy(), FINE * fine_nm)
        write_map(partial / "fluorophores.tif", movie.fluorophores.numpy(), fine_nm)
        for name, factor in (("4x", 2), ("2x", 4)):
            coarse = binned(movie.fluorophores, factor).numpy()
            write_map(partial / f"fluorophores_{name}.tif", coarse, factor * fine_nm)
        write_json(partial / "parameters.json", parameters)


def _density(args: argparse.Namespace, source: Path | None, generator: torch.Generator) -> Tensor:
    height, width = args.size
    if source is None:
        return draw_density(
            args.structure, (height, width), args.fine_pixel_nm, generator, args.density
        )
    return image_density(source, tuple(FINE * (n + 2 * MARGIN) for n in (height, width)))


if __name__ == "__main__":
    run_script(main)
