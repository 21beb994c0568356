"""The command line of calibrate.py: options into settings."""

from __future__ import annotations

from pathlib import Path

from bayesdl_sim.commands.data_options import (
    add_run_options,
    at_least,
    cell_numbers,
    posterior_settings,
    sampling,
)
from bayesdl_sim.evaluation.calibrate import GATE_SEED, CalibrationSettings, calibrate
from bayesdl_sim.inference.judging.findings import SMALLEST_FIELD
from bayesdl_sim.inference.judging.gate import LEAST_CELLS
from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError

__all__ = ["main", "parse_args"]


def parse_args(argv: list[str] | None = None) -> CalibrationSettings:
    """The settings of a command line."""
    parser = CommandLine(
        description="Calibrates a BayesDL posterior on validation cells.", allow_abbrev=False
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--root_dir", type=Path, help="data set (Raw, GT, WF); without one, only the gate is fitted"
    )
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
        default=shipped_folder(),
        help="folder of members; the files are written there (%(default)s)",
    )
    gate = parser.add_argument_group("gate, which the verdict of test.py compares stacks with")
    gate.add_argument(
        "--gate_cells",
        type=int,
        default=200,
        help="simulated cells, at least 19 (default %(default)s; 0: no gate)",
    )
    gate.add_argument("--gate_size", type=int, default=128, help="of their raw field, pixels")
    gate.add_argument("--gate_seed", type=int, default=GATE_SEED, help="(default %(default)s)")
    add_run_options(parser.add_argument_group("run"))
    args = parser.parse_args(argv)
    at_least(args, pixels=100, seed=0, tile=32, gate_cells=0, gate_size=SMALLEST_FIELD, gate_seed=0)
    if 0 < args.gate_cells < LEAST_CELLS:
        raise InputError(
            f"--gate_cells: expected 0 or at least {LEAST_CELLS}, found {args.gate_cells}"
        )
    if args.root_dir is None and not args.gate_cells:
        raise InputError("nothing to fit: expected --root_dir, --gate_cells, or both")
    if args.cells and args.root_dir is None:
        raise InputError(
            "--cells: needs --root_dir, the set that they belong to; the cells of the gate are "
            "simulated, and --gate_cells is their number"
        )
    return CalibrationSettings(
        root_dir=args.root_dir,
        pretrained_G=args.pretrained_G,
        cells=args.cells,
        gate_cells=args.gate_cells,
        gate_size=args.gate_size,
        gate_seed=args.gate_seed,
        posterior=posterior_settings(args),
        sampling=sampling(args),
    )


def main(argv: list[str] | None = None) -> None:
    """Fits, and writes the files."""
    calibrate(parse_args(argv))
