"""CPU seconds of the exact core: scans over time against the plain recursion, and a whole sweep.

python -m dlbi.benchmark
python -m dlbi.benchmark --chains 1000 --frames 200 --repeats 20
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from bayesdl_sim.dlbi.fhmm import StateSampler
from bayesdl_sim.dlbi.inference.chains import (
    Switching,
    sample_chains,
    sample_chains_by_recursion,
)
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main", "parse_args"]

ODDS = 3.0  # standard deviation of the log odds: most frames are clear, some are not
SIDE = 60  # camera pixels of the field of the sweep
AMPLITUDE, WIDTH, SIGMA = 400.0, 1.0, 8.0


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m dlbi.benchmark",
        description="Measures CPU seconds of the exact core of the Bayesian stage.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--chains", type=int, default=1000, help="number of chains and of fluorophores")
    add("--frames", type=int, default=200, help="frames of the movie")
    add("--repeats", type=int, default=20, help="repeats of each measurement; the best counts")
    add("--seed", type=int, default=0, help="seed of everything")
    args = parser.parse_args(argv)
    for name in ("chains", "frames", "repeats"):
        if getattr(args, name) < 1:
            raise InputError(f"{name}: expected a positive number, found {getattr(args, name)}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    print("| fluorophore | recursion, ms | scans, ms | times faster | sweep of the field, ms |")
    print("|---|---|---|---|---|")
    for name in ("mEos3.2", "bleaching", "sparse"):
        fluorophore = FLUOROPHORES[name]
        switching = Switching(fluorophore.transition, fluorophore.initial)
        shape = (args.chains, args.frames)
        log_odds = np.random.default_rng(args.seed).normal(size=shape) * ODDS
        generator = np.random.default_rng(args.seed)
        recursion, scans = (
            _least(partial(draw, log_odds, switching, generator), args.repeats)
            for draw in (sample_chains_by_recursion, sample_chains)
        )
        sweep = _least(partial(_sampler(args, switching).sweep, generator), min(args.repeats, 3))
        cells = (recursion, scans, recursion / scans * 1e-3, sweep)
        print(f"| {name} | " + " | ".join(f"{1e3 * cell:.1f}" for cell in cells) + " |")


def _least(function: Callable[[], object], repeats: int) -> float:
    """The least CPU seconds of a call; other programs only increase them."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        seconds.append(time.process_time() - started)
    return max(min(seconds), 1e-9)


def _sampler(args: argparse.Namespace, switching: Switching) -> StateSampler:
    """Fluorophores at random places of a movie of noise and background."""
    generator = np.random.default_rng(args.seed)
    movie = 50.0 + SIGMA * generator.normal(size=(args.frames, SIDE, SIDE))
    return StateSampler(
        movie,
        generator.random((args.chains, 2)) * (SIDE - 1),
        AMPLITUDE,
        WIDTH,
        50.0,
        SIGMA,
        switching.transition,
        switching.initial,
    )


if __name__ == "__main__":
    run_script(main)
