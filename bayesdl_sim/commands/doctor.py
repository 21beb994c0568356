"""The command line of `bayesdl doctor`: describes this installation and checks that it works."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.console.threads import set_threads
from bayesdl_sim.utils.errors import InputError

__all__ = ["main", "parse_args"]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(
        description="Prints versions, devices, threads, free memory and disk, and checks a run of "
        "the shipped posterior. Paste what it prints into a report.",
        allow_abbrev=False,
    )
    parser.add_argument("--members", type=int, help="members of the run (default: all)")
    args = parser.parse_args(argv)
    if args.members is not None and args.members < 2:
        raise InputError(f"--members: expected at least 2, found {args.members}")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the report.

    Raises:
        InputError: a check failed.
    """
    args = parse_args(argv)
    set_threads()
    # Only now, as in `test`: OpenMP reads its settings when PyTorch is loaded.
    from bayesdl_sim.tools.doctor import examine, require_sound

    lines = examine(Path.cwd(), args.members)
    for line in lines:
        mark = "! " if line.warning else "  "
        print(mark + line.text)
    require_sound(lines)
    print("  everything works" + (", but see the lines with !" * any(x.warning for x in lines)))
