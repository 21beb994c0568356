"""The command line of calibrate.py: options into settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from bayesdl_sim.commands.data_options import (
    SHIPPED,
    add_run_options,
    at_least,
    cell_numbers,
    posterior_settings,
    sampling,
)
from bayesdl_sim.evaluation.calibrate import CalibrationSettings, calibrate

__all__ = ["main", "parse_args"]


def parse_args(argv: list[str] | None = None) -> CalibrationSettings:
    """The settings that a command line asks for."""
    parser = argparse.ArgumentParser(
        description="Calibrates a BayesDL posterior on validation cells.", allow_abbrev=False
    )
    data = parser.add_argument_group("data")
    data.add_argument("--root_dir", type=Path, required=True, help="data set (Raw, GT, WF)")
    data.add_argument(
        "--cells",
        "--calibration_cells",
        type=cell_numbers,
        default=(),
        help="cells to fit on, e.g. 1-30,42 (default: the validation cells)",
    )
    data.add_argument(
        "--pretrained_G",
        type=Path,
        default=SHIPPED,
        help="folder of members; the files are written there (%(default)s)",
    )
    add_run_options(parser.add_argument_group("run"))
    args = parser.parse_args(argv)
    at_least(args, pixels=100, seed=0, tile=32)
    return CalibrationSettings(
        root_dir=args.root_dir,
        pretrained_G=args.pretrained_G,
        cells=args.cells,
        posterior=posterior_settings(args),
        sampling=sampling(args),
    )


def main(argv: list[str] | None = None) -> None:
    """Fits, and writes the files."""
    calibrate(parse_args(argv))
