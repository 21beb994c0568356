"""Accuracy on simulated test cells: wide field, Wiener SIM and the posterior mean, per level.

    python -m benchmarks.accuracy --save_path runs/benchmarks
    python -m benchmarks.accuracy --cells 6 --levels 3 --size 96      # a quick look

    # Other programs beside ours: write the stacks, reconstruct them into DIR/PROGRAM, score both
    python -m benchmarks.accuracy --cells 6 --levels 3 --size 96 --write_stacks runs/stacks
    python -m benchmarks.accuracy --cells 6 --levels 3 --size 96 --others runs/others

Every cell has its own structure and microscope. The Wiener filter estimates the patterns from the
frames. It is given no optics (that image is what the network starts from), or the nominal optics
(aperture, wavelength, pixel size: known in every lab), or the OTF that made the frames (at best
measured by a careful lab); with --oracle also the true patterns. The row "tuned" is the last but
with the constant of the filter and a Gaussian post-blur that are best at each light level on these
very stacks. The network is given no optics, or the nominal ones; with --wrong_by also optics whose
wavelength is wrong by that share.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bayesdl_sim.benchmarks.shared.baselines import (
    best_variants,
    other_image,
    other_programs,
    wiener_variants,
    write_stacks,
)
from bayesdl_sim.benchmarks.shared.common import (
    open_posterior,
    posterior_of,
    wide_field_images,
    wiener_images,
)
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import QUALITY_SCORES, quality
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.physics.reconstruction.first_guess import first_guess
from bayesdl_sim.utils.errors import run_script, writable_folder

__all__ = ["bars", "main", "mean_by", "method_table", "score_scenes", "standard_methods"]

WIDE_FIELD, OURS = "wide field", "BayesDL-SIM"
OURS_NOMINAL, OURS_WRONG = "BayesDL-SIM, nominal optics", "BayesDL-SIM, wrong optics"
GUESS = "Wiener, typical optics"
NOMINAL = "Wiener, nominal optics"
WIENER = "Wiener, true OTF"
TUNED = "Wiener, true OTF, tuned per level"
ORACLE = "Wiener, true OTF and patterns"
GAIN_BARS = {"psnr": 5.0, "ssim": 0.2}
Method = Callable[[Scene], Sequence[np.ndarray]]


def standard_methods(
    posterior: Posterior, oracle: bool = False, wrong_by: float | None = None
) -> dict[str, Method]:
    """The methods that are compared, each a function of a scene that gives an image per level.

    Args:
        oracle: also the Wiener filter with the true patterns.
        wrong_by: relative error of the wavelength in a further row; None: no such row.
    """
    methods: dict[str, Method] = {WIDE_FIELD: wide_field_images}
    methods[GUESS] = lambda scene: [first_guess(stack).numpy() for stack in scene.raw]
    methods[NOMINAL] = lambda scene: wiener_images(scene, true_optics=False)
    methods[WIENER] = wiener_images
    if oracle:
        methods[ORACLE] = lambda scene: wiener_images(scene, true_patterns=True)

    def ours(scene: Scene, optics: Optics | None = None) -> np.ndarray:
        return posterior_of(scene, posterior, optics=optics).mean[:, 0].numpy()

    methods[OURS] = ours
    methods[OURS_NOMINAL] = lambda scene: ours(scene, scene.optics.nominal)
    if wrong_by is not None:
        methods[OURS_WRONG] = lambda scene: ours(scene, _wrong(scene.optics.nominal, wrong_by))
    return methods


def _wrong(optics: Optics, by: float) -> Optics:
    return replace(optics, emission_nm=optics.emission_nm * (1 + by))


def score_scenes(
    scenes: Iterable[Scene],
    methods: Mapping[str, Method],
    border: int = 0,
    tuned: bool = False,
    others: Mapping[str, Path] | None = None,
) -> list[dict[str, Any]]:
    """One record per scene, level and method, with its `Quality` against the target.

    Args:
        border: raw pixels at each side that are left out for every method.
        tuned: also the Wiener filter tuned in its own favour, see `shared.baselines`.
        others: program -> folder of its images, see `shared.baselines.other_image`.
    """
    inside = slice(2 * border, -2 * border or None)
    records, variants = [], []
    for number, scene in enumerate(scenes, start=1):

        def rows(
            name: str, images: Iterable[np.ndarray], scene: Scene = scene, number: int = number
        ) -> Iterator[dict[str, Any]]:
            for level, image in enumerate(images, start=1):
                score = quality(image[inside, inside], scene.target[inside, inside])
                known = {"cell": number, "structure": scene.name, "level": level}
                known |= {"signal_e": scene.signals[level - 1], "method": name}
                yield known | asdict(score)

        for name, method in methods.items():
            records += rows(name, method(scene))
        for variant, images in (wiener_variants(scene) if tuned else {}).items():
            variants += [row | {"variant": variant} for row in rows(TUNED, images)]
        for name, folder in (others or {}).items():
            levels = range(1, len(scene.signals) + 1)
            records += rows(name, [other_image(folder, number, n, scene) for n in levels])
    chosen = best_variants(variants)
    return [{**record, "variant": ""} for record in records] + chosen if tuned else records


def mean_by(records: Sequence[Mapping[str, Any]], *keys: str) -> list[dict[str, Any]]:
    """Means of every score over the records that share these keys, in order of appearance."""
    groups: dict[tuple, list] = {}
    for record in records:
        groups.setdefault(tuple(record[key] for key in keys), []).append(record)
    rows = []
    for values, members in groups.items():
        means = {name: float(np.mean([m[name] for m in members])) for name in QUALITY_SCORES}
        rows.append(dict(zip(keys, values, strict=True)) | {"stacks": len(members)} | means)
    return rows


def method_table(records: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    """`mean_by` key and method, the methods of one key below each other."""
    rows = mean_by(records, key, "method")
    order = sorted({row[key] for row in rows})
    return sorted(rows, key=lambda row: order.index(row[key]))  # stable: methods keep their order


def bars(records: Sequence[Mapping[str, Any]], gains: Mapping[str, float]) -> list[dict[str, Any]]:
    """Does the posterior mean beat wide field by the gains, and Wiener at every level?"""
    overall = {row["method"]: row for row in mean_by(records, "method")}
    rows = []
    for metric, bar in gains.items():
        gain = overall[OURS][metric] - overall[WIDE_FIELD][metric]
        what = f"{metric.upper()} above wide field, mean over levels"
        rows.append(_bar(what, gain, f">= {bar:g}", gain >= bar))
    per_level = {(row["level"], row["method"]): row for row in mean_by(records, "level", "method")}
    levels = sorted({level for level, _ in per_level})
    methods = [name for name in (GUESS, NOMINAL, WIENER, TUNED) if name in overall]
    for baseline, metric in product(methods, gains):
        gap = min(per_level[n, OURS][metric] - per_level[n, baseline][metric] for n in levels)
        what = f"{metric.upper()} above {baseline}, smallest of all levels"
        rows.append(_bar(what, gap, "> 0", gap > 0))
    return rows


def _bar(what: str, measured: float, bar: str, holds: bool) -> dict[str, Any]:
    return {"what": what, "measured": measured, "bar": bar, "holds": "yes" if holds else "NO"}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("accuracy", "PSNR, SSIM and NRMSE on simulated test cells.")
    parser.add_argument("--cells", type=int, default=24)
    parser.add_argument("--levels", type=int, default=5, help="signal levels, 2-400 e-/px")
    parser.add_argument("--size", type=int, default=192, help="raw field, pixels per side")
    parser.add_argument("--border", type=int, default=0, help="raw pixels left out at each side")
    parser.add_argument("--seed", type=int, default=20261, help="not that of a training set")
    parser.add_argument("--wrong_by", type=float, help="error of the wavelength, such as 0.15")
    parser.add_argument("--oracle", action="store_true", help="also Wiener with the true patterns")
    parser.add_argument(
        "--others", type=Path, metavar="DIR", help="folder with a subfolder of images per program"
    )
    parser.add_argument(
        "--write_stacks", type=Path, metavar="DIR", help="write the raw stacks there, and stop"
    )
    args = parser.parse_args(argv)
    at_least(args, cells=1, levels=1, size=32, seed=0, border=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Scores all methods on all cells and prints the tables."""
    args = parse_args(argv)
    scenes = tqdm(
        simulated_cells(args.seed, args.cells, args.levels, args.size), "cells", args.cells
    )
    if args.write_stacks is not None:
        folder = writable_folder(args.write_stacks)
        for number, scene in enumerate(scenes, start=1):
            write_stacks(folder, number, scene)
        print(f"raw stacks are in {folder}")
        return
    others = {} if args.others is None else other_programs(args.others)
    posterior = open_posterior(args)
    methods = standard_methods(posterior, args.oracle, args.wrong_by)
    records = score_scenes(scenes, methods, args.border, tuned=True, others=others)
    tables = {
        "Mean over all levels": mean_by(records, "method"),
        "Bars": bars(records, GAIN_BARS),
        "Per signal level": method_table(_with_signal(records), "signal, e-/px"),
        "Per structure": method_table(records, "structure"),
        "Chosen for the tuned Wiener filter": chosen_variants(records),
    }
    facts = {"cells": args.cells, "levels": args.levels, "size": args.size, "seed": args.seed}
    facts |= {"members": len(posterior.members), "border": args.border}
    write_tables("accuracy", tables, args.save_path, facts, records)


def chosen_variants(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Which constant and blur the tuned filter has at each level."""
    variants = {record["level"]: record["variant"] for record in records if record["variant"]}
    return [{"level": level, "variant": variants[level]} for level in sorted(variants)]


def _with_signal(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Names each level by the median of its signals; a cell draws its own within the level."""
    levels = sorted({record["level"] for record in records})
    median = {
        n: round(float(np.median([r["signal_e"] for r in records if r["level"] == n])), 1)
        for n in levels
    }
    return [{**record, "signal, e-/px": median[record["level"]]} for record in records]


if __name__ == "__main__":
    run_script(main)
