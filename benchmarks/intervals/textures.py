"""Does the interval hold on texture of real cells? Reconstructions imaged by from_image.

    python -m benchmarks.intervals.textures --save_path runs/benchmarks
    python -m benchmarks.intervals.textures --textures cristae --pixel_sizes_nm 65 --signals_e 8 40

The fields of `benchmarks.scenes.textures`: the structure of the F-actin demo and the Wiener images
of the two real stacks, sharpened, imaged again by the TIRF-SIM behind BioSR at three pixel sizes,
from dim to bright. Neither they nor that microscope are among the cells of the calibration. One row
per structure and band of signal: coverage of the 90 % interval over all pixels and over the lit
fifth, as predicted and as calibrated.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.benchmarks.scenes.textures import (
    PIXEL_SIZES_NM,
    SIGNALS_E,
    TEXTURES,
    texture_scenes,
)
from bayesdl_sim.benchmarks.shared.common import open_posterior, posterior_of
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.benchmarks.uncertainty import samples_of
from bayesdl_sim.evaluation.groups import SIGNAL_BANDS_E, group_calibration, lit_fifth
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scoring import Sample
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main", "parse_args", "rows"]

ROOM = "benchmarks.intervals"
EVERYTHING = "all"


def rows(samples: Sequence[Sample], calibration: Calibration) -> list[dict[str, Any]]:
    """Coverage of the lit fifth and mean z^2 per structure, and per band of signal within it."""
    table = []
    names = [EVERYTHING, *dict.fromkeys(sample.structure for sample in samples)]
    for name in names:
        of_structure = [s for s in samples if name in (EVERYTHING, s.structure)]
        for lit in group_calibration(lit_fifth(of_structure, calibration), calibration):
            low, high = (float(end) for end in lit["group"].split(" ")[0].split("-"))
            in_band = [s for s in of_structure if low <= s.signal_e < high]
            table.append(
                {
                    "structure": name,
                    "signal": lit["group"],
                    "stacks": len(in_band),
                    "lit fifth covered, as predicted, %": 100 * lit["coverage, as predicted"],
                    "lit fifth covered, calibrated, %": 100 * lit["coverage, calibrated"],
                    "lit fifth, mean z^2": lit["mean z^2, calibrated"],
                    "all pixels covered, calibrated, %": 100 * _covered(in_band, calibration),
                }
            )
    return table


def _covered(samples: Sequence[Sample], calibration: Calibration) -> float:
    """Mean over stacks of the share of pixels in the 90 % interval."""
    low, high, _ = calibration.bounds(0.9, guaranteed=False)
    z = [sample.error / sample.calibrated(calibration) for sample in samples]
    return float(np.mean([np.mean((values >= low) & (values <= high)) for values in z]))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("textures", "The interval on reconstructions.", room=ROOM)
    parser.add_argument("--textures", nargs="+", choices=list(TEXTURES), default=list(TEXTURES))
    parser.add_argument(
        "--pixel_sizes_nm", nargs="+", type=float, default=list(PIXEL_SIZES_NM), help="raw pixel"
    )
    parser.add_argument(
        "--signals_e",
        nargs="+",
        type=float,
        default=list(SIGNALS_E),
        help="median electrons per lit pixel, each a level",
    )
    parser.add_argument("--seed", type=int, default=20263, help="of phases and noise")
    args = parser.parse_args(argv)
    at_least(args, seed=0)
    low, high = SIGNAL_BANDS_E[0][0], SIGNAL_BANDS_E[-1][1]
    if not all(low <= signal < high for signal in args.signals_e):
        raise InputError(f"--signals_e: expected {low:g} to {high:g}, found {args.signals_e}")
    if not min(args.pixel_sizes_nm) > 0:
        raise InputError(f"--pixel_sizes_nm: expected lengths, found {args.pixel_sizes_nm}")
    return args


def main(argv: list[str] | None = None) -> None:
    """One table."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    scenes = texture_scenes(args.seed, args.textures, args.pixel_sizes_nm, args.signals_e)
    samples: list[Sample] = []
    for cell, scene in enumerate(tqdm(scenes, "fields", unit="field"), start=1):
        samples += samples_of(scene, posterior_of(scene, posterior), cell)
    facts = {name: getattr(args, name) for name in ("textures", "pixel_sizes_nm", "signals_e")}
    facts |= {"seed": args.seed, "members": len(posterior.members)}
    table = rows(samples, posterior.calibration)
    write_tables("textures", {"Texture of real reconstructions": table}, args.save_path, facts)


if __name__ == "__main__":
    run_script(main)
