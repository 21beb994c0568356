"""The command line of evaluate.py: options into settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from bayesdl_sim.bayes.calibration.stored import CALIBRATION_FILE
from bayesdl_sim.commands.data_options import (
    add_run_options,
    at_least,
    cell_numbers,
    posterior_settings,
    sampling,
)
from bayesdl_sim.evaluation.cases import CaseSettings
from bayesdl_sim.evaluation.evaluate import EvaluationSettings, evaluate
from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError, strict_bool

__all__ = ["main", "parse_args"]


def parse_args(argv: list[str] | None = None) -> EvaluationSettings:
    """The settings of a command line."""
    parser = CommandLine(
        description="Evaluates a BayesDL posterior on the cells of a data set.", allow_abbrev=False
    )
    _add_options(parser)
    args = parser.parse_args(argv)
    if args.calibrate:
        raise InputError(
            "--calibrate is now a separate program: python calibrate.py with the same --root_dir "
            "and --pretrained_G fits the calibration and the gate"
        )
    if args.save_path is None:
        raise InputError("expected --save_path, a folder for the report")
    at_least(args, max_stacks=1, pixels=100, seed=0, tile=32)
    return EvaluationSettings(
        root_dir=args.root_dir,
        pretrained_G=args.pretrained_G,
        save_path=args.save_path,
        compare=tuple(args.compare),
        calibration=args.calibration,
        classical=args.classical,
        cases=CaseSettings(
            part=args.part,
            cells=args.cells,
            calibration_cells=args.calibration_cells,
            max_stacks=args.max_stacks,
            na=args.na,
            wavelength_nm=args.wavelength_nm,
            pixel_size_nm=args.pixel_size_nm,
        ),
        posterior=posterior_settings(args),
        sampling=sampling(args),
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--root_dir", type=Path, required=True, help="data set (Raw, GT, WF)")
    data.add_argument(
        "--part", choices=["test", "validation"], default="test", help="cells to evaluate"
    )
    data.add_argument("--cells", type=cell_numbers, default=(), help="these instead, e.g. 1-30,42")
    data.add_argument(
        "--calibration_cells",
        type=cell_numbers,
        default=(),
        help="cells to fit calibration and baselines on (default: the validation cells)",
    )
    data.add_argument("--max_stacks", type=int, help="evaluate this many, evenly picked")
    _add_optics(parser.add_argument_group("microscope, where the set does not state it"))
    posterior = parser.add_argument_group("posterior")
    posterior.add_argument(
        "--pretrained_G",
        type=Path,
        default=shipped_folder(),
        help="folder of members (%(default)s)",
    )
    posterior.add_argument(
        "--compare", type=Path, nargs="+", default=[], help="other folders of members"
    )
    posterior.add_argument("--calibrate", action="store_true", help=argparse.SUPPRESS)
    posterior.add_argument(
        "--calibration",
        help=f"file of the calibration, or none (default: {CALIBRATION_FILE} beside the members; "
        "without one, fitted for this report on the validation cells)",
    )
    run = parser.add_argument_group("run")
    run.add_argument("--save_path", type=Path, help="folder of the results")
    run.add_argument(
        "--classical",
        type=strict_bool,
        default=True,
        help="True: also Wiener SIM and Richardson-Lucy where the microscope is known, seconds per "
        "stack (default %(default)s)",
    )
    add_run_options(run)


def _add_optics(group: argparse._ArgumentGroup) -> None:
    """What the Wiener filter and Richardson-Lucy need."""
    group.add_argument("--na", type=float, help="numerical aperture; goes with --wavelength_nm")
    group.add_argument(
        "--wavelength_nm",
        "--emission_nm",
        type=float,
        help="emission wavelength in nm; goes with --na",
    )
    group.add_argument(
        "--pixel_size_nm", type=float, help="of the raw frames (default: as their files say)"
    )


def main(argv: list[str] | None = None) -> None:
    """Evaluates, and writes the report."""
    evaluate(parse_args(argv))
