"""Reconstructs a structure on an eightfold grid from a movie of a blinking fluorophore.

    python -m dlbi.reconstruct --movie MOVIE.tif --save_path DIR
    python -m dlbi.reconstruct --movie FOLDER --save_path DIR --stage moments --pixel_size_nm 100
    python -m dlbi.reconstruct --movie TWO_COLOURS.tif --save_path DIR --channel 2

Writes Structure.tif, Probability.tif, Uncertainty.tif (8H x 8W, float32), Overview.png and
reconstruction.json; with `--draws N` also Draws.tif, N structures of whole fluorophores. The width
of the spots, the gain and the background come from the movie where they are not given.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch

from bayesdl_sim.dlbi.blinking import FINE
from bayesdl_sim.dlbi.movies.axes import Choice
from bayesdl_sim.dlbi.movies.reading import open_movie
from bayesdl_sim.dlbi.stages.baseline import CHOICES, run_stages_or_baseline
from bayesdl_sim.dlbi.stages.records import DEFAULT_STAGE, Prepared, Settings, StageResult
from bayesdl_sim.dlbi.stages.results import write_results
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.console.progress import Progress
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError, printable, run_script
from bayesdl_sim.utils.folders.staging import results_folder

__all__ = ["main", "parse_args"]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m dlbi.reconstruct",
        description="Reconstructs a structure from a movie of a blinking fluorophore.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--movie", required=True, help="TIFF file of all frames, or folder of single frames")
    add("--save_path", required=True, help="folder for the results")
    add("--channel", help="colour to take, by its name, its wavelength in nm or its number from 1")
    add("--position", type=int, help="position to take, from 1")
    add("--plane", type=int, help="plane to take, from 1")
    add("--stage", choices=CHOICES, default=DEFAULT_STAGE, help="last stage; 3b: baseline")
    add("--pixel_size_nm", type=float, help="camera pixel in the sample, nm; else from the file")
    add("--fwhm_nm", type=float, help="full width at half maximum of a spot, nm; else estimated")
    add("--gain", type=float, help="counts per electron; else estimated")
    add("--offset", type=float, help="counts of a dark pixel; else estimated with the background")
    add("--pretrained_G", type=Path, help="folder of members (default: the shipped ones)")
    add("--members", type=int, help="number of members that are asked (default: all)")
    add("--draws", type=int, default=0, help="structures to draw from the Bayesian stage")
    add("--seed", type=int, default=0, help="seed of the Bayesian stage and of the draws")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"), help="of the network")
    args = parser.parse_args(argv)
    for name in ("pixel_size_nm", "fwhm_nm", "gain", "members"):
        value = getattr(args, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise InputError(f"{name}: expected a positive number, found {value}")
    if args.draws < 0:
        raise InputError(f"draws: expected 0 or more, found {args.draws}")
    if args.draws and args.stage != "bayes":
        raise InputError(
            f"draws: the stage {args.stage} has none; leave stage out for the last one"
        )
    if args.offset is not None and not math.isfinite(args.offset):
        raise InputError(f"offset: expected a finite number, found {args.offset}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_flush_denormal(True)  # faint pixels are full of them, and take a seventh of the time
    movie = open_movie(
        args.movie, Choice(channel=args.channel, position=args.position, plane=args.plane)
    )
    pixel_size_nm = args.pixel_size_nm or movie.pixel_size_nm
    if args.fwhm_nm and pixel_size_nm is None:
        raise InputError(
            f"fwhm_nm: {args.movie} does not state its pixel size; give pixel_size_nm, too"
        )
    device = choose_device(args.device)
    settings = Settings(
        stage=args.stage,
        fwhm_px=args.fwhm_nm / pixel_size_nm if args.fwhm_nm else None,
        gain=args.gain,
        offset=args.offset,
        members=args.pretrained_G,
        limit=args.members,
        seed=args.seed,
        device=device,
        dtype=choose_precision(args.precision, device),
    )
    record = {
        "movie": str(args.movie),
        "settings": {name: str(value) for name, value in vars(args).items() if value is not None},
    }
    started = time.perf_counter()
    with results_folder(args.save_path) as folder:
        with Progress(printable(Path(movie.name).name)) as progress:
            prepared, results = run_stages_or_baseline(movie, settings, progress)
        write_results(folder, prepared, results, pixel_size_nm, record, args.draws, args.seed)
    print(_summary(prepared, results, pixel_size_nm))
    height, width = (FINE * pixels for pixels in movie.shape)
    print(f"{height} x {width} in {folder}, {time.perf_counter() - started:.1f} s")


def _summary(prepared: Prepared, results: list[StageResult], pixel_size_nm: float | None) -> str:
    """The estimated properties of the movie, one line each."""
    calibration, drift = prepared.calibration, prepared.drift
    width = f"{calibration.fwhm_px:.2f} px"
    if pixel_size_nm is not None:
        width += f" ({calibration.fwhm_px * pixel_size_nm:.0f} nm)"

    def source(name: str) -> str:
        return "estimated" if name in calibration.estimated else "given"

    background = f"background {results[0].facts['background_e']:.1f} e"
    if calibration.read_noise_e is not None:
        light = results[0].facts["background_light_e"]
        background += f" ({light:.1f} e of light, read noise {calibration.read_noise_e:.1f} e)"
    lines = [
        f"spots {width} wide ({source('fwhm_px')}), gain {calibration.gain:.3g} counts per "
        f"electron ({source('gain')}), {background}",
        f"drift {drift.length_px:.2f} px{' on a curve' * (drift.path_px is not None)}"
        f"{', corrected' * drift.corrected}",
    ]
    times = ", ".join(f"{result.name} {result.seconds:.1f} s" for result in results)
    return "\n".join([*lines, *(f"note: {text}" for text in prepared.warnings), times])


if __name__ == "__main__":
    run_script(main)
