"""Options that evaluate.py and calibrate.py share."""

from __future__ import annotations

import argparse

from bayesdl_sim.evaluation.predicting import PosteriorSettings, Sampling
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.number_list import numbers_of, ranges_in

__all__ = ["add_run_options", "at_least", "cell_numbers", "posterior_settings", "sampling"]


def cell_numbers(words: str) -> tuple[int, ...]:
    """`1-3,7` -> 1, 2, 3, 7: type of a command-line option."""
    try:
        numbers = numbers_of(ranges_in(words))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected e.g. 1-30,42, found {words!r}") from None
    return tuple(sorted(set(numbers)))


def add_run_options(run: argparse._ArgumentGroup) -> None:
    """How the members are run, and on which pixels."""
    run.add_argument("--pixels", type=int, default=16384, help="sampled per stack (%(default)s)")
    run.add_argument("--seed", type=int, default=0, help="of samples, draws and bootstrap")
    run.add_argument("--tile", type=int, default=512, help="raw pixels (default %(default)s)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    run.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")


def at_least(args: argparse.Namespace, **least: int) -> None:
    """`InputError` for a number option below its least value; options not given may be None."""
    for name, lowest in least.items():
        value = getattr(args, name)
        if value is not None and value < lowest:
            raise InputError(f"--{name}: expected at least {lowest}, found {value}")


def posterior_settings(args: argparse.Namespace) -> PosteriorSettings:
    """The settings of `add_run_options` that concern the members."""
    return PosteriorSettings(device=args.device, precision=args.precision, tile=args.tile)


def sampling(args: argparse.Namespace) -> Sampling:
    """The settings of `add_run_options` that concern the sampled pixels."""
    return Sampling(pixels=args.pixels, seed=args.seed)
