"""How much light is enough: credibility against the exposure, and the next exposure to take.

    # Simulated for your own optics
    python -m figures.acquisition --na 1.4 --wavelength_nm 525 --pixel_size_nm 65 \
        --structure F-actin --goal 0.7

    # From two of your own stacks: one field at two exposures
    python -m figures.acquisition --stack_low low.tif --stack_high high.tif --goal 0.7

The credibility of an image is the mean over its lit pixels of P(|error| < delta), in normalised SR
intensity. The truth of the simulation is known, so the share of lit pixels whose error is below
delta is drawn beside it. The truth of two measured stacks is not: between and beyond them, the
variance of every pixel is modelled as `A + B / exposure`, where more light reduces only the second
term. A and B follow from the mean variance at both exposures, and the ratio of the exposures from
the wide fields. Extrapolation by more than a few times is a guess, and printed as such. The
simulation tests this model too: every exposure is predicted from the two before it.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from bayesdl_sim.bayes.credibility import credibility
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.benchmarks.shared.common import open_posterior, posterior_of
from bayesdl_sim.benchmarks.shared.console import at_least
from bayesdl_sim.benchmarks.uncertainty import normalised_targets
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene
from bayesdl_sim.figures.common import lit_pixels, options, save, sr_scale
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.physics.image_formation import expected_frames, grid_for, raw_counts, target_image
from bayesdl_sim.physics.microscopes import (
    CUTOFF_RANGE,
    PATTERN_RANGE,
    Microscope,
    biosr_microscope,
)
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.sensor.camera import Camera
from bayesdl_sim.physics.structures.mixture import KINDS, draw
from bayesdl_sim.tools.exposure import advice, exposure_ratio, measured_pair, next_exposure
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["main", "simulated_scene"]

EXPOSURES_E = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
PATTERN_OVER_CUTOFF = 0.9
COLOURS = ("tab:red", "black", "tab:green")
COLUMNS = {
    "credibility": "credibility",
    "share that is right": "right",
    "predicted from the two before": "predicted",
}
FARTHEST = 1000.0  # times the lower exposure


# ---------------------------------------------------------------------------------- simulated


def microscope_of(args: argparse.Namespace, generator: torch.Generator) -> Microscope:
    """The stand of the options, with phases and brightness drawn as those of a TIRF-SIM."""
    optics = Optics(args.na, args.wavelength_nm, args.pixel_size_nm, args.damping)
    base = biosr_microscope(generator, optics)
    frequency = args.pattern_frequency or PATTERN_OVER_CUTOFF * optics.cutoff
    light = replace(
        base.illumination, frequency=(frequency,) * 3, modulation=(args.modulation,) * 3
    )
    camera = Camera(read_noise_e=args.read_noise_e)
    return replace(base, illumination=light, camera=camera)


def warn_outside_training(microscope: Microscope) -> None:
    """Warns where the optics leave the range that the shipped posterior was trained on."""
    values = {
        "cut-off": (microscope.optics.cutoff, CUTOFF_RANGE),
        "pattern frequency": (microscope.illumination.mean_frequency, PATTERN_RANGE),
    }
    for name, (value, (low, high)) in values.items():
        if not low <= value <= high:
            print(
                f"WARNING: {name} {value:.3f} cycles per pixel; the shipped posterior was trained "
                f"on {low} to {high}: its credibility is not to be trusted there"
            )


def simulated_scene(args: argparse.Namespace, number: int) -> Scene:
    """One structure under the user's optics at every exposure; a function of seed and number."""
    seed = np.random.SeedSequence([args.seed, number]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(seed >> np.uint64(1)))
    microscope = microscope_of(args, generator)
    grid = grid_for((args.size, args.size))
    structure = draw(args.structure, grid.shape, microscope.optics.pixel_size_nm / 2, generator)
    expected = expected_frames(structure, microscope, grid)
    raw = torch.stack([raw_counts(expected, e, microscope, generator) for e in args.exposures_e])
    return Scene(
        name=args.structure,
        raw=raw,
        target=target_image(structure, microscope, grid).numpy(),
        signals=tuple(args.exposures_e),
        optics=microscope.optics,
        illumination=None,
    )


def records_of(scene: Scene, posterior: Posterior, delta: float) -> list[dict[str, float]]:
    """Per exposure: stated credibility, and the share of lit pixels that are right within delta."""
    prediction = posterior_of(scene, posterior, calibrated=True)
    rows = []
    for level, target in enumerate(normalised_targets(scene)):
        mean, total = prediction.mean[level], prediction.total[level]
        scale, lit = sr_scale(mean), lit_pixels(mean)
        row = {"exposure": scene.signals[level]}
        row["credibility"] = float(credibility(total / scale.scale, delta)[lit].mean())
        right = math.nan
        if target is not None:
            error = (target - mean).abs() / scale.scale
            right = float((error < delta)[lit].float().mean())
        rows.append(row | {"right": right, "predicted": predicted(scene, prediction, level, delta)})
    return rows


def predicted(scene: Scene, prediction: Prediction, level: int, delta: float) -> float:
    """The credibility at a level, predicted from the two levels before; NaN where there are none.

    Source: `bayesdl_sim.tools.exposure.measured_pair`, as for two stacks.
    """
    if level < 2:
        return math.nan
    lit = lit_pixels(prediction.mean[level - 1])
    low, high = (
        prediction.total[i][lit] / sr_scale(prediction.mean[i]).scale
        for i in (level - 2, level - 1)
    )
    exposures = [exposure / scene.signals[level - 2] for exposure in scene.signals]
    return measured_pair(low, high, exposures[level - 1], delta).credibility(
        exposures[level], delta
    )


def simulate(args: argparse.Namespace, posterior: Posterior) -> Figure:
    """Prints and draws the curve of the user's optics."""
    warn_outside_training(microscope_of(args, torch.Generator().manual_seed(0)))
    numbers = tqdm(range(1, args.cells + 1), "fields")
    records = [
        row
        for number in numbers
        for row in records_of(simulated_scene(args, number), posterior, args.delta)
    ]
    rows = []
    for exposure in args.exposures_e:
        here = [row for row in records if row["exposure"] == exposure]
        row = {"electrons per lit pixel": exposure}
        for name, key in COLUMNS.items():
            known = [r[key] for r in here if not math.isnan(r[key])]
            row[name] = float(np.mean(known)) if known else ""
        rows.append(row)
    credible = [row["credibility"] for row in rows]
    dose = next_exposure(args.exposures_e, credible, args.goal)
    names = ("na", "wavelength_nm", "pixel_size_nm", "structure", "goal", "delta", "cells", "size")
    facts = {name: getattr(args, name) for name in names} | {"next_exposure_e": dose}
    write_tables("acquisition", {"Credibility against exposure": rows}, args.tables, facts)
    if dose is None:
        print(f"credibility {args.goal:g} is not reached up to {args.exposures_e[-1]:g} e-/px")
    else:
        print(f"credibility {args.goal:g} is reached at {dose:.3g} electrons per lit pixel")
    labels = (
        "stated credibility",
        "share that is right (truth known)",
        "predicted from the two exposures before",
    )
    curves = {
        name: (args.exposures_e, [math.nan if row[key] == "" else row[key] for row in rows], style)
        for name, key, style in zip(labels, COLUMNS, ("o-", "s--", "x"), strict=True)
    }
    title = f"{args.structure}, NA {args.na:g}, {args.wavelength_nm:g} nm"
    return drawn(curves, dose, args, title, "electrons per lit pixel")


# ---------------------------------------------------------------------------- two real stacks


def ask_stacks(args: argparse.Namespace, posterior: Posterior) -> Figure:
    """Prints and draws the next exposure, predicted from two stacks of one field."""
    stacks = [read_stack(path).raw[0] for path in (args.stack_low, args.stack_high)]
    if stacks[0].shape != stacks[1].shape:
        raise InputError(
            f"{args.stack_low} has frames of {stacks[0].shape[1:]} px, {args.stack_high} of "
            f"{stacks[1].shape[1:]} px: expected one field"
        )
    ratio = exposure_ratio(*stacks)
    predictions = [posterior.predict(torch.from_numpy(stack)[None]) for stack in stacks]
    lit = lit_pixels(predictions[1].mean[0])
    sigmas = [p.total[0][lit] / sr_scale(p.mean[0]).scale for p in predictions]
    pair = measured_pair(*sigmas, ratio, args.delta)
    exposures = np.geomspace(1.0, FARTHEST, 200)
    curve = [pair.credibility(x, args.delta) for x in exposures]
    dose = next_exposure(exposures, curve, args.goal)
    at_high = pair.credibility(ratio, args.delta)
    rows: list[dict[str, Any]] = [
        {"stack": str(args.stack_low), "exposure": 1.0, "credibility": pair.low},
        {"stack": str(args.stack_high), "exposure": ratio, "credibility": at_high},
    ]
    share = pair.fixed / (pair.fixed + pair.per_light / ratio)
    facts = {"goal": args.goal, "delta": args.delta, "next_exposure": dose, "fixed_share": share}
    write_tables("acquisition", {"Two exposures of one field": rows}, args.tables, facts)
    print(advice(pair, dose, args.goal, share))
    curves = {
        "A + B / exposure": (exposures, curve, "-"),
        "the two stacks": ([1.0, ratio], [pair.low, at_high], "o"),
    }
    return drawn(curves, dose, args, "two stacks of one field", "exposure of the first stack")


# --------------------------------------------------------------------------------- the picture


def drawn(
    curves: dict[str, tuple], dose: float | None, args: argparse.Namespace, title: str, unit: str
) -> Figure:
    """Credibility against exposure, with the goal and the dose that reaches it."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for (name, (x, y, style)), colour in zip(curves.items(), COLOURS, strict=False):
        axes.plot(x, y, style, color=colour, markersize=5, label=name)
    axes.axhline(args.goal, color="tab:blue", linewidth=0.8, linestyle=":")
    if dose is not None:
        axes.axvline(dose, color="tab:blue", linewidth=0.8, linestyle=":")
        label = f"{args.goal:g} reached at {dose:.3g}"
        axes.plot([dose], [args.goal], "D", color="tab:blue", label=label)
    axes.set(xscale="log", xlabel=unit, title=title, ylim=(0, 1))
    axes.set_ylabel(f"P(|error| < {args.delta:g}), mean over lit pixels")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = options("acquisition", "Credibility against exposure, and the next exposure to take.")
    parser.add_argument("--goal", type=float, default=0.7, help="credibility to reach")
    parser.add_argument("--delta", type=float, default=DELTA, help="tolerated error, SR intensity")
    add = parser.add_argument_group("simulated optics").add_argument
    add("--na", type=float, default=1.4, help="numerical aperture")
    add("--wavelength_nm", type=float, default=525.0, help="of the emission")
    add("--pixel_size_nm", type=float, default=65.0, help="of the raw frames")
    add("--damping", type=float, default=0.5, help="of the OTF; 1 is ideal")
    add("--pattern_frequency", type=float, help="cycles per raw pixel (default 0.9 of the cut-off)")
    add("--modulation", type=float, default=0.5, help="of the fringes, 0 to 1")
    add("--read_noise_e", type=float, default=1.5, help="electrons")
    add("--structure", choices=KINDS, default="F-actin")
    unit = "electrons per lit pixel, rising"
    add("--exposures_e", type=float, nargs="+", default=list(EXPOSURES_E), help=unit)
    add("--cells", type=int, default=4, help="fields to average over")
    add("--size", type=int, default=112, help="raw field, pixels per side")
    add("--seed", type=int, default=20264, help="same seed, same fields")
    stacks = parser.add_argument_group("two real stacks of one field")
    stacks.add_argument("--stack_low", type=Path, help="the darker stack")
    stacks.add_argument("--stack_high", type=Path, help="the brighter stack")
    args = parser.parse_args(argv)
    at_least(args, cells=1, size=32, seed=0)
    check(args)
    return args


def check(args: argparse.Namespace) -> None:
    """`InputError` for options that name no microscope, no goal, or one stack only."""
    if (args.stack_low is None) != (args.stack_high is None):
        raise InputError("--stack_low and --stack_high belong together: one field, two exposures")
    if not (0 < args.goal < 1 and args.delta > 0):
        raise InputError(
            f"expected 0 < --goal < 1 and --delta > 0, found {args.goal}, {args.delta}"
        )
    if not all(0 < a < b for a, b in zip(args.exposures_e, args.exposures_e[1:], strict=False)):
        raise InputError("--exposures_e: expected positive numbers in rising order")
    positive = (args.na, args.wavelength_nm, args.pixel_size_nm, args.damping)
    if min(positive) <= 0 or not 0 <= args.modulation <= 1 or args.read_noise_e < 0:
        raise InputError("the optics must be positive, and the modulation between 0 and 1")


def main(argv: list[str] | None = None) -> None:
    """Predicts the next exposure by simulation or from two stacks, and writes acquisition.png."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    print("\n".join(posterior.notes))
    figure = simulate(args, posterior) if args.stack_low is None else ask_stacks(args, posterior)
    save(figure, args.save_path / "acquisition.png")


if __name__ == "__main__":
    run_script(main)
