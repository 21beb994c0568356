"""The command line of the profile along a line of a result."""

import argparse
from pathlib import Path

from bayesdl_sim.tools.profile import write_profile
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError

__all__ = ["main", "parse_args"]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(
        prog="python -m figures.profile",
        description="Draws the super-resolved profile along a line with its interval.",
        allow_abbrev=False,
    )
    parser.add_argument("--result", type=Path, required=True, help="folder that test.py wrote")
    parser.add_argument(
        "--line",
        type=float,
        nargs=4,
        metavar=("Y0", "X0", "Y1", "X1"),
        help="ends in pixels of the SR image (default: two clicks)",
    )
    parser.add_argument("--raw", type=Path, help="raw stack of the result, for its wide field")
    parser.add_argument("--level", type=float, default=0.9, help="of the interval")
    parser.add_argument("--time", type=int, default=0, help="time point, from 0")
    parser.add_argument("--save_path", type=Path, help="PNG (default: Profile.png in --result)")
    args = parser.parse_args(argv)
    if not 0 < args.level < 1:
        raise InputError(f"--level: expected a probability between 0 and 1, found {args.level}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Writes the picture, and prints where it is."""
    args = parse_args(argv)
    ends = None if args.line is None else tuple(args.line)
    print(write_profile(args.result, ends, args.raw, args.level, args.time, args.save_path))
