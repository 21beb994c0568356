"""What the fringes contribute: patterns found per light level, and their gain in the image.

    python -m benchmarks.fringes --save_path runs/benchmarks
    python -m benchmarks.fringes --cells 4 --size 128 --patterns_only     # a quick look

Patterns are found where all three frequencies are within half a Fourier sample of the true ones and
all nine phases, in the middle of the field, within 15 degrees: with nothing known of the optics,
and with aperture, wavelength and pixel size.

The fringe gain is what the true order of the frames gains over a control: every pixel's nine values
in random order, which keeps wide field and noise and destroys the fringes. True patterns in the
first guess give the upper limit. The share of the finest detail that a result attributes to its
fringes is compared with the squared error that they really remove.
"""

import argparse
import cmath
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.benchmarks.shared.common import open_posterior
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.data.normalise import normalisation_of, target_normalisation
from bayesdl_sim.evaluation.fringes import posterior_mean, share_of_gain, with_true_patterns
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.inference.fringe_share import beyond_wide_field, fringe_share
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.physics.fringeless import shuffled
from bayesdl_sim.physics.illumination import ORIENTATIONS, PHASES, Illumination
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.estimation import FOUND, Estimate, estimate
from bayesdl_sim.physics.reconstruction.deconvolution import deconvolved_wide_field
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.errors import run_script

__all__ = ["gain_rows", "main", "pattern_errors", "pattern_rows", "true_share", "within_limits"]

FREQUENCY_LIMIT, PHASE_LIMIT_DEG = 0.5, 15.0  # Fourier samples, degrees
NETWORK = "BayesDL-SIM"
SHUFFLED, MEASURED, TRUE = "frames shuffled", "as measured", "true patterns"
Image = Callable[[Tensor, Estimate | None], np.ndarray]


def pattern_errors(light: Illumination, true: Illumination, size: int) -> list[tuple[float, float]]:
    """Per orientation the error of the frequency in Fourier samples, and of the phases in degrees.

    The largest of the three phases counts, in the middle of the field, where an error of the wave
    vector does not.
    """
    middle, rows = (size - 1) / 2 * (1 + 1j), []
    for o in range(ORIENTATIONS):
        ours, theirs = (cmath.rect(p.frequency[o], p.angle[o]) for p in (light, true))
        sign = 1 if abs(ours - theirs) <= abs(ours + theirs) else -1  # -k, -phase: the same fringes
        errors = []
        for p in range(PHASES):
            here, there = (
                pattern.phase[o][p] + 2 * math.pi * (wave * middle.conjugate()).real
                for pattern, wave in ((light, ours), (true, theirs))
            )
            errors.append(abs(math.remainder(sign * here - there, 2 * math.pi)))
        rows.append((abs(sign * ours - theirs) * size, math.degrees(max(errors))))
    return rows


def within_limits(errors: Iterable[tuple[float, float]]) -> bool:
    """Whether all orientations are within the limits."""
    return all(f < FREQUENCY_LIMIT and p < PHASE_LIMIT_DEG for f, p in errors)


def pattern_rows(scene: Scene) -> list[dict[str, Any]]:
    """One row per level: found or not, and trusted or not, without and with nominal optics."""
    rows, size = [], scene.raw.shape[-1]
    for level, raw in enumerate(scene.raw, start=1):
        row = {"level": level, "signal, e-/px": scene.signals[level - 1]}
        for name, optics in (("optics unknown", None), ("optics known", scene.optics.nominal)):
            patterns = estimate(raw, optics)
            right = within_limits(pattern_errors(patterns.illumination, scene.illumination, size))
            row[f"found, {name}"] = right
            row[f"trusted, {name}"] = right and min(patterns.probability) > FOUND
        rows.append(row)
    return rows


def gain_rows(
    scene: Scene,
    methods: dict[str, Image],
    generator: torch.Generator,
    posterior: Posterior | None = None,
) -> list[dict[str, Any]]:
    """PSNR of one cell, a row per level: wide field, and each method with and without fringes.

    Args:
        posterior: posterior behind the method "BayesDL-SIM", whose stated share of the detail is
            compared with the true one; None: it is not.
    """
    rows = []
    for level, raw in enumerate(scene.raw, start=1):
        prepared = PreparedStack(scene.stack(level - 1))
        row: dict[str, Any] = {"level": level, "signal, e-/px": scene.signals[level - 1]}
        plain = {
            "wide field": wide_field_upsampled(raw).numpy(),
            "wide field, deconvolved": deconvolved_wide_field(
                raw, TYPICAL_OPTICS, float(raw.mean(dim=0).flatten().quantile(0.01))
            ),
        }
        row |= {name: quality(image, scene.target).psnr for name, image in plain.items()}
        control, patterns = shuffled(raw, generator), prepared.patterns(0)
        for name, make in methods.items():
            images = {
                SHUFFLED: make(control, None),
                MEASURED: make(raw, patterns),
                TRUE: make(raw, with_true_patterns(patterns, scene.illumination)),
            }
            row |= {f"{name}, {k}": quality(v, scene.target).psnr for k, v in images.items()}
            if posterior is not None and name == NETWORK:
                row["share of the detail, stated"] = stated_share(posterior, prepared)
                row["share of the detail, true"] = true_share(raw, scene, images)
        rows.append(row)
    return rows


def stated_share(posterior: Posterior, prepared: PreparedStack) -> float:
    """The share of the detail that a result states; 0 where no patterns were found."""
    if max(prepared.patterns(0).probability) <= FOUND:
        return 0.0
    share = fringe_share(posterior.functions[0], prepared, posterior.inputs)
    return math.nan if share is None else share


def true_share(raw: Tensor, scene: Scene, images: dict[str, np.ndarray | Tensor]) -> float:
    """The squared error that the fringes remove, over the power of the image, beyond the cut-off.

    `(|D0 - T|^2 - |D - T|^2) / |D|^2` with D and D0 of the whole posterior and the target T in
    their units: what `inference.fringe_share` states without a truth.
    """
    norm = target_normalisation(scene.target, raw.mean(dim=0).numpy(), normalisation_of(raw))
    target = torch.from_numpy(norm.apply(scene.target))
    detail, control, truth = (
        beyond_wide_field(torch.as_tensor(image), scene.optics.cutoff)
        for image in (images[MEASURED], images[SHUFFLED], target)
    )
    before, after = (float((x - truth).abs().square().sum()) for x in (control, detail))
    return (before - after) / float(detail.abs().square().sum())


def by_level(rows: list[dict[str, Any]], mean: bool) -> list[dict[str, Any]]:
    """Sums (or means) of the rows of each level; the signal is its median."""
    table = []
    for level in sorted({row["level"] for row in rows}):
        members = [row for row in rows if row["level"] == level]
        names = [n for n in members[0] if n not in ("level", "signal, e-/px")]
        summary = {"signal, e-/px": float(np.median([m["signal, e-/px"] for m in members]))}
        summary["stacks"] = len(members)
        for name in names:
            values = [m[name] for m in members]
            summary[name] = float(np.mean(values)) if mean else int(np.sum(values))
        table.append(summary)
    return table


def gain_table(rows: list[dict[str, Any]], methods: Iterable[str]) -> list[dict[str, Any]]:
    """`by_level`, with the fringe gain and its share of what true patterns would give."""
    table = by_level(rows, mean=True)
    for row in table:
        for name in methods:
            gain = row[f"{name}, {MEASURED}"] - row[f"{name}, {SHUFFLED}"]
            row[f"{name}, fringe gain"] = gain
            row[f"{name}, share"] = share_of_gain(
                *(row[f"{name}, {kind}"] for kind in (SHUFFLED, MEASURED, TRUE))
            )
    return table


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("fringes", "Patterns found, and what fringes gain, on simulated cells.")
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--levels", type=int, default=3, help="signal levels, 2-400 e-/px")
    parser.add_argument("--size", type=int, default=192, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=20261, help="not that of a training set")
    parser.add_argument(
        "--patterns_only", action="store_true", help="no images, and no network: patterns alone"
    )
    args = parser.parse_args(argv)
    at_least(args, cells=1, levels=1, size=32, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Measures all cells and prints the tables."""
    args = parse_args(argv)
    methods: dict[str, Image] = {}
    posterior = None
    if not args.patterns_only:
        methods["Wiener"] = lambda raw, patterns: first_guess(raw, patterns).numpy()
        posterior = open_posterior(args)
        methods[NETWORK] = partial(posterior_mean, posterior)
    generator = torch.Generator().manual_seed(args.seed)
    patterns, gains = [], []
    cells = simulated_cells(args.seed, args.cells, args.levels, args.size)
    for scene in tqdm(cells, "cells", args.cells):
        patterns += pattern_rows(scene)
        gains += gain_rows(scene, methods, generator, posterior) if methods else []
    tables = {"Patterns found": by_level(patterns, mean=False)}
    if methods:
        tables["Fringe gain, PSNR in dB"] = gain_table(gains, methods)
    facts = {"cells": args.cells, "levels": args.levels, "size": args.size, "seed": args.seed}
    rows = [one | gain for one, gain in zip(patterns, gains, strict=True)] if gains else patterns
    write_tables("fringes", tables, args.save_path, facts, rows)


if __name__ == "__main__":
    run_script(main)
