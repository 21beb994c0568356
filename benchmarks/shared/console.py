"""The options that benchmarks and figures have in common."""

import argparse
from pathlib import Path

import torch

from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError, writable_folder

__all__ = ["arguments", "at_least", "cell_arguments"]


def arguments(
    name: str,
    description: str,
    network: bool = True,
    room: str = "benchmarks",
    save_path: Path | None = None,
    saved: str = "folder for JSON and CSV; none: print only",
) -> argparse.ArgumentParser:
    """The options that benchmarks have in common; figures name their room and what they save."""
    parser = CommandLine(
        prog=f"python -m {room}.{name}", description=description, allow_abbrev=False
    )
    parser.add_argument("--save_path", type=Path, default=save_path, help=saved)
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's own choice)")
    if network:
        parser.add_argument(
            "--pretrained_G",
            type=Path,
            default=shipped_folder(),
            help="folder of members",
        )
        parser.add_argument("--members", type=int, help="use this many (default: all)")
        parser.add_argument("--tile", type=int, default=512, help="side of a tile, raw pixels")
        parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
        parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    return parser


def cell_arguments(
    parser: argparse.ArgumentParser, *, cells: int, levels: int, size: int, seed: int
) -> None:
    """Adds the options of simulated test cells, with their defaults."""
    parser.add_argument("--cells", type=int, default=cells)
    parser.add_argument("--levels", type=int, default=levels, help="signal levels, 2-400 e-/px")
    parser.add_argument("--size", type=int, default=size, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=seed, help="not that of a training set")


def at_least(args: argparse.Namespace, **least: int) -> None:
    """Checks number options; sets the threads; makes the results folder before the work starts."""
    for name, lowest in {"threads": 1, "members": 1, **least}.items():
        value = getattr(args, name, None)
        if value is not None and value < lowest:
            raise InputError(f"--{name}: expected at least {lowest}, found {value}")
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.save_path is not None:
        writable_folder(args.save_path)
