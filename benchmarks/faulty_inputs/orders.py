"""Frames in a wrong order: put right, refused, warned of, or accepted without a warning?

    python -m benchmarks.faulty_inputs.orders --stacks 60 --save_path runs/orders

Random structures, a quarter of them smooth bright bundles, under random microscopes with fringes of
modulation 0.1 to 0.5, at 20 to 250 electrons per lit pixel. Each stack passes through the two steps
of `test.py` with frames of different orientations exchanged, and in phase-major order:
`fringe_order.proved_order` puts frames in order, the findings of the raw checks judge what is left.

Only stacks count whose fringes are worth something: by the first guess (the Wiener filter with the
patterns that are found, no network) they gain at least 0.5 dB over the same frames without
patterns. (Frames shuffled pixel by pixel are no fair control here: their fringes become white
noise, to which the filter then adapts.)
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.data.fringe_order import proved_order
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.inference.judging.findings import findings
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.physics.checks.raw_checks import raw_checks
from bayesdl_sim.physics.image_formation import (
    expected_frames,
    grid_for,
    raw_counts,
    soften,
    target_image,
)
from bayesdl_sim.physics.microscopes import random_microscope, relit
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.physics.structures.mixture import KINDS, draw
from bayesdl_sim.utils.errors import InputError, run_script
from bayesdl_sim.utils.sampling import generator_from, integer, uniform

__all__ = ["LEAST_GAIN_DB", "main", "order_rows", "outcome", "parse_args", "simulated"]

LEAST_GAIN_DB = 0.5
MODULATION, SIGNAL_E, BUNDLE_NM = (0.1, 0.5), (20.0, 250.0), (120.0, 250.0)
BUNDLES = "smooth bundles"
PHASE_MAJOR = (0, 3, 6, 1, 4, 7, 2, 5, 8)
EXCHANGES = [(a, b) for a, b in combinations(range(9), 2) if a // 3 != b // 3]
RIGHT, WRONG = "put right", "put in a wrong order"
REFUSED, WARNED, ACCEPTED = "refused", "warned", "accepted"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One simulated stack with its target and its parameters.

    Attributes:
        raw: (9, H, W) counts, in the right order.
        target: (2H, 2W).
        structure: kind of the structure, or `BUNDLES`.
        modulation: modulation of the fringes, 0 to 1.
        signal_e: electrons per lit pixel.
    """

    raw: Tensor
    target: Tensor
    structure: str
    modulation: float
    signal_e: float


def simulated(seed: int, number: int, size: int) -> Stack:
    """Stack of that number, a function of the arguments alone."""
    generator = generator_from(seed, number)
    grid, microscope = grid_for((size, size)), random_microscope(generator)
    pixel_nm = microscope.optics.pixel_size_nm / 2
    kind = BUNDLES if number % 4 == 0 else KINDS[integer(generator, 0, len(KINDS))]
    structure = draw("F-actin" if kind == BUNDLES else kind, grid.shape, pixel_nm, generator)
    if kind == BUNDLES:
        structure = soften(structure, uniform(generator, *BUNDLE_NM), pixel_nm)
    depth = uniform(generator, *MODULATION)
    microscope = relit(microscope, modulation=(depth,) * 3)
    low, high = SIGNAL_E
    signal = low * (high / low) ** uniform(generator)
    raw = raw_counts(expected_frames(structure, microscope, grid), signal, microscope, generator)
    target = target_image(structure, microscope, grid)
    return Stack(raw=raw, target=target, structure=kind, modulation=depth, signal_e=signal)


def fringe_gain(stack: Stack) -> float:
    """Gain of the first guess by the estimated patterns, in dB."""
    target, estimated = stack.target.numpy(), estimate(stack.raw)
    with_them, without = (
        quality(first_guess(stack.raw, patterns).numpy(), target).psnr
        for patterns in (estimated, replace(estimated, probability=(0.0, 0.0, 0.0)))
    )
    return with_them - without


def outcome(raw: Tensor, order: tuple[int, ...]) -> tuple[str, str]:
    """Outcome of a stack whose frames were put in another order.

    Args:
        raw: (9, H, W) in the right order.
        order: frame of `raw` at each place.

    Returns:
        The outcome, and the reasons of the findings.
    """
    shown = raw[list(order)]
    try:
        proved = proved_order(shown.numpy()) or tuple(range(len(order)))
    except InputError as error:
        return REFUSED, str(error)
    sorted_frames = [order[frame] for frame in proved]
    if all(len({frame // 3 for frame in sorted_frames[n : n + 3]}) == 1 for n in (0, 3, 6)):
        if list(proved) != list(range(len(order))):
            return RIGHT, ""
    elif list(proved) != list(range(len(order))):
        return WRONG, f"frames {sorted_frames}"
    faults = findings(raw_checks(shown).by_name(), tuple(raw.shape[1:]))
    reasons = "; ".join(fault.reason for fault in faults)
    if any(fault.refuse for fault in faults):
        return REFUSED, reasons
    return (WARNED if faults else ACCEPTED), reasons


def exchanged(count: int, generator: torch.Generator) -> list[tuple[int, ...]]:
    """Orders in which two frames of different orientations have changed places, all different."""
    picked = torch.randperm(len(EXCHANGES), generator=generator)[:count].tolist()
    orders = []
    for a, b in (EXCHANGES[number] for number in picked):
        order = list(range(9))
        order[a], order[b] = b, a
        orders.append(tuple(order))
    return orders


def order_rows(stack: Stack, exchanges: int, generator: torch.Generator) -> list[dict[str, Any]]:
    """One row per order in which the stack is shown."""
    gain = fringe_gain(stack)
    orders = {"right order": tuple(range(9)), "phase-major": PHASE_MAJOR}
    shown = [
        *orders.items(),
        *(("two exchanged", order) for order in exchanged(exchanges, generator)),
    ]
    rows = []
    for name, order in shown:
        result, reasons = outcome(stack.raw, order)
        rows.append(
            {
                "order": name,
                "outcome": result,
                "structure": stack.structure,
                "modulation": round(stack.modulation, 3),
                "signal, e-/px": round(stack.signal_e, 1),
                "fringe gain, dB": round(gain, 2),
                "frames": " ".join(str(frame + 1) for frame in order),
                "reasons": reasons,
            }
        )
    return rows


def counted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per order: how often each outcome was."""
    table = []
    for name in dict.fromkeys(row["order"] for row in rows):
        results = Counter(row["outcome"] for row in rows if row["order"] == name)
        names = (RIGHT, WRONG, REFUSED, WARNED, ACCEPTED)
        table.append(
            {"order": name, "stacks": results.total()}
            | {result: results[result] for result in names}
        )
    return table


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("faulty_inputs.orders", "Frames in a wrong order.", network=False)
    parser.add_argument("--stacks", type=int, default=60)
    parser.add_argument("--exchanges", type=int, default=4, help="per stack; 27 are all")
    parser.add_argument("--size", type=int, default=128, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=20271)
    args = parser.parse_args(argv)
    at_least(args, stacks=1, exchanges=1, size=64, seed=0)
    if args.exchanges > len(EXCHANGES):
        raise InputError(
            f"--exchanges: expected at most {len(EXCHANGES)}, found {args.exchanges}: there are no "
            "more pairs of frames of different orientations"
        )
    return args


def main(argv: list[str] | None = None) -> None:
    """Shows all stacks in all orders and prints the tables."""
    args = parse_args(argv)
    generator, rows = torch.Generator().manual_seed(args.seed), []
    for number in tqdm(range(args.stacks), "stacks"):
        rows += order_rows(simulated(args.seed, number, args.size), args.exchanges, generator)
    worth = [row for row in rows if row["fringe gain, dB"] >= LEAST_GAIN_DB]
    rest = [row for row in rows if row["fringe gain, dB"] < LEAST_GAIN_DB]
    tables = {f"Fringes gain {LEAST_GAIN_DB} dB or more": counted(worth), "Less": counted(rest)}
    facts = {name: getattr(args, name) for name in ("stacks", "exchanges", "size", "seed")}
    write_tables(
        "orders",
        {name: table for name, table in tables.items() if table},
        args.save_path,
        facts,
        rows,
    )


if __name__ == "__main__":
    run_script(main)
