"""Accuracy on the F-actin demo stack: a dense real structure whose target is known.

    python -m benchmarks.demo --save_path runs/benchmarks

The stack was simulated from a real super-resolved image, sharpened beyond its own resolution, with
the measured OTF of the BioSR microscope at 488 nm, which the Wiener filter is given.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from bayesdl_sim.benchmarks.accuracy import bars, mean_by, score_scenes, standard_methods
from bayesdl_sim.benchmarks.shared.common import open_posterior
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.benchmarks.shared.stacks import DEMO_STACKS
from bayesdl_sim.data.formats.otf import measured_optics
from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main"]

GAIN_BARS = {"psnr": 2.0, "ssim": 0.15}


def read_scene(raw_path: Path, target_path: Path) -> Scene:
    """The first time point of a stack with its target.

    Raises:
        InputError: unreadable files, or a target that is not twice the raw size.
    """
    raw = torch.from_numpy(read_stack(raw_path).raw[:1])
    target = read_image(target_path).astype(np.float32)
    expected = (2 * raw.shape[-2], 2 * raw.shape[-1])
    if target.shape != expected:
        raise InputError(
            f"{target_path} is {target.shape} px, but the target of {raw_path} is expected to be "
            f"{expected}: name the target of this stack"
        )
    return Scene(
        name="F-actin",
        raw=raw,
        target=target,
        signals=(float("nan"),),
        optics=measured_optics()[0],
        illumination=None,
    )


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("demo", "PSNR, SSIM and NRMSE on the F-actin demo stack.")
    parser.add_argument("--raw", type=Path, default=DEMO_STACKS / "F-actin" / "raw.tif")
    parser.add_argument("--target", type=Path, default=DEMO_STACKS / "F-actin" / "gt.tif")
    args = parser.parse_args(argv)
    at_least(args)
    return args


def main(argv: list[str] | None = None) -> None:
    """Scores all methods on the stack."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    records = score_scenes([read_scene(args.raw, args.target)], standard_methods(posterior))
    tables = {"F-actin demo stack": mean_by(records, "method"), "Bars": bars(records, GAIN_BARS)}
    write_tables("demo", tables, args.save_path, {"members": len(posterior.members)}, records)


if __name__ == "__main__":
    run_script(main)
