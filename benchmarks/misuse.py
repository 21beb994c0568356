"""Does the gate detect misuse, and does it accept good stacks?

    python -m benchmarks.misuse --save_path runs/benchmarks
    python -m benchmarks.misuse --cells 10 --scenes 2   # a quick look

The gate itself is fitted by calibrate.py.

Three tables. *Misuse*: AUROC of the gate between unseen test cells and each scenario of
`benchmarks.scenes.faults`, the share that is warned of and refused, and for comparison the AUROC of
the mean intensity and of the signal-to-noise ratio of the input, each in its better direction.
*Raw-stack checks*: faults of the frames at modulation 0.3 or more; a stack counts as judged where
at least six frames show clear fringes, or where the fault is visible without. *Invented structure*:
a blob of three total standard deviations is added to the image, and the re-simulation map at its
place is compared with the same place without it.
"""

import argparse
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.benchmarks.real import STACKS, read_scene
from bayesdl_sim.benchmarks.scenes.faults import FAULTS, FRAME_FAULTS, GROSS, WEAK, fault_scene
from bayesdl_sim.benchmarks.shared.common import open_posterior, posterior_of
from bayesdl_sim.benchmarks.shared.console import arguments, at_least
from bayesdl_sim.evaluation.calibrate import GATE_SEED
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.inference.beside_spots import undimmed
from bayesdl_sim.inference.judging.findings import Finding, findings
from bayesdl_sim.inference.judging.gate import (
    ALARM_RATE,
    Gate,
    judge,
)
from bayesdl_sim.inference.judging.verdict import scores_at
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import auroc
from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.estimation import estimate
from bayesdl_sim.physics.reconstruction.resimulation import resimulate
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["Judged", "judge_scene", "main", "misuse_table"]

GROSS_BAR, WEAK_BAR, BLOB_BAR = 0.95, 0.80, 0.90
LEAST_MODULATION = 0.3
NEEDS_NO_FRINGES = ("one frame dark", "one exposure stored twice")
BLOB_FWHM = 9.0  # super-resolution pixels: three resolution elements of 3 pixels each
BLOBS = 4  # per cell, one after the other
# Title -> limits, electrons per lit pixel.
SIGNAL_BANDS = {"2-10": (0, 10), "10-60": (10, 60), "60-400": (60, 1e9), "all": (0, 1e9)}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One stack before the gate.

    Attributes:
        faults: findings on the raw stack.
        scores: scores from `bayesdl_sim.inference.judging.gate.stack_scores`.
        intensity, snr: the trivial scores.
        modulation: the smallest of the true ones, NaN where unknown.
        clear_frames: number of frames that show clear fringes.
    """

    faults: list[Finding]
    scores: dict[str, float]
    intensity: float
    snr: float
    modulation: float
    clear_frames: int


def judge_scene(scene: Scene, posterior: Posterior) -> Judged:
    """Predicts and examines the first exposure of a scene."""
    prepared = posterior.prepare(scene.stack())
    shown = prepared.network_input(0, posterior.inputs)
    maps = predict(posterior.functions, shown, posterior.likelihood)
    images = undimmed(prepared, 0, maps).mean, maps.epistemic
    mean, epistemic = (image[0, 0].float().cpu().numpy() for image in images)
    checks, light = prepared.checks(0), scene.illumination
    shared = epistemic if posterior.has_epistemic else None
    return Judged(
        faults=findings(checks.by_name(), prepared.field),
        scores=scores_at(prepared, 0, mean, shared),
        intensity=float(mean.mean()),
        snr=checks.light.snr,
        modulation=math.nan if light is None else min(light.modulation),
        clear_frames=sum(len(group) for group in checks.fringes.groups),
    )


def suspicion(judged: Judged, gate: Gate) -> float:
    """One number per stack: `1 - p`, and beyond all of them where a finding refuses."""
    p = judge([], judged.scores, gate).p_value
    return 2.0 - p if any(f.refuse for f in judged.faults) else 1.0 - p


def either_way(negative: list[float], positive: list[float]) -> float:
    """AUROC of a score whose direction is not known beforehand: the better of the two."""
    area = auroc(negative, positive)
    return max(area, 1 - area)


def misuse_table(
    known: Sequence[Judged], faults: dict[str, list[Judged]], gate: Gate
) -> list[dict[str, Any]]:
    """One row per scenario, then test cells themselves: false alarms."""
    rows, normal = [], [suspicion(judged, gate) for judged in known]
    groups = dict(faults)
    groups["all gross misuse"] = [j for name in GROSS if name in faults for j in faults[name]]
    for name, stacks in {**groups, "test cells (false alarms)": list(known)}.items():
        if not stacks:
            continue
        verdicts = [judge(j.faults, j.scores, gate).decision for j in stacks]
        bar = GROSS_BAR if name in GROSS or name.startswith("all") else math.nan
        bar = WEAK_BAR if name == WEAK else bar
        area = auroc(normal, [suspicion(j, gate) for j in stacks])
        row: dict[str, Any] = {"scenario": name, "stacks": len(stacks), "AUROC, gate": area}
        row["bar"] = "" if math.isnan(bar) else f">= {bar:g}: {'yes' if area >= bar else 'NO'}"
        row["AUROC, mean intensity"] = either_way(
            [j.intensity for j in known], [j.intensity for j in stacks]
        )
        row["AUROC, input SNR"] = either_way([j.snr for j in known], [j.snr for j in stacks])
        row["warned or refused"] = float(np.mean([v != "accept" for v in verdicts]))
        row["refused"] = float(np.mean([v == "refuse" for v in verdicts]))
        rows.append(row)
    limit = ALARM_RATE + 3 * math.sqrt(ALARM_RATE * (1 - ALARM_RATE) / len(known))
    rows[-1]["bar"] = f"<= {limit:.3f}: {'yes' if rows[-1]['warned or refused'] <= limit else 'NO'}"
    return rows


def checks_table(known: Sequence[Judged], faults: dict[str, list[Judged]]) -> list[dict[str, Any]]:
    """How often the findings alone are right, at modulation 0.3 or more."""
    rows = []
    for name in ("no fault (must pass)", *(n for n in FRAME_FAULTS if n in faults)):
        fault = name in faults
        examined = faults[name] if fault else known
        stacks = [j for j in examined if j.modulation >= LEAST_MODULATION]
        judged = [j for j in stacks if not fault or name in NEEDS_NO_FRINGES or j.clear_frames >= 6]
        right = [any(f.refuse for f in j.faults) == fault for j in judged]
        row = {"fault": name, "stacks": len(stacks), "judged": len(judged)}
        row["right, of the judged"] = float(np.mean(right)) if right else math.nan
        row["bar: all"] = "yes" if right and all(right) else "NO" if right else ""
        rows.append(row)
    return rows


def invented_table(
    scenes: Iterable[Scene], posterior: Posterior, generator: torch.Generator
) -> list[dict[str, Any]]:
    """AUROC of the map at the place of an added blob, against the same place without it."""
    without, added, signals = [], [], []
    for scene in scenes:
        raw = scene.raw[0]
        mean, _, _, total = (image[0, 0] for image in posterior_of(scene, posterior))
        light = estimate(raw, TYPICAL_OPTICS).illumination
        plain = resimulate(mean, raw, light).invented
        for _ in range(BLOBS):
            y, x = (int(torch.randint(24, n - 24, (), generator=generator)) for n in mean.shape)
            image = mean + 3 * total[y, x] * blob(mean.shape, y, x)
            without.append(float(plain[y // 2, x // 2]))
            added.append(float(resimulate(image, raw, light).invented[y // 2, x // 2]))
            signals.append(scene.signals[0])
    rows = []
    for title, (low, high) in SIGNAL_BANDS.items():
        here = [i for i, s in enumerate(signals) if low <= s < high]
        if not here:
            continue
        area = auroc([without[i] for i in here], [added[i] for i in here])
        row = {"signal, e-/px": title, "blobs": len(here), "AUROC": area}
        rows.append(row | {f">= {BLOB_BAR:g}": "yes" if area >= BLOB_BAR else "NO"})
    return rows


def blob(shape: Sequence[int], y: int, x: int) -> Tensor:
    """A Gaussian of height 1 and FWHM `BLOB_FWHM` on the super-resolution grid."""
    rows, columns = torch.arange(shape[0])[:, None] - y, torch.arange(shape[1])[None] - x
    return torch.exp(-4 * math.log(2) * (rows**2 + columns**2) / BLOB_FWHM**2)


def real_table(posterior: Posterior, gate: Gate) -> list[dict[str, Any]]:
    """The verdict over the two real stacks, which must not be refused."""
    rows = []
    for name, stack in STACKS.items():
        judged = judge_scene(read_scene(name, stack), posterior)
        verdict = judge(judged.faults, judged.scores, gate)
        row = {"stack": name, "verdict": verdict.decision, "p": verdict.p_value}
        row["reasons"] = "; ".join(verdict.reasons)
        rows.append(row | {"not refused": "NO" if verdict.decision == "refuse" else "yes"})
    return rows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("misuse", "Is misuse noticed, and are good stacks left alone?")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    parser.add_argument("--cells", type=int, default=100, help="unseen test cells")
    parser.add_argument("--scenes", type=int, default=16, help="stacks per scenario")
    parser.add_argument("--size", type=int, default=128, help="raw field, pixels per side")
    parser.add_argument("--seed", type=int, default=20263, help="of test cells and scenarios")
    args = parser.parse_args(argv)
    if args.fit is not None:
        raise InputError(
            "--fit is now part of calibrate.py: python calibrate.py --gate_cells 200 with the same "
            "--pretrained_G"
        )
    at_least(args, cells=2, scenes=1, size=64, seed=0)
    if args.seed == GATE_SEED:
        raise InputError(f"--seed {GATE_SEED} makes the cells of the gate: choose another")
    return args


def record(scenario: str, judged: Judged, gate: Gate) -> dict[str, Any]:
    """The record of one stack in the results file."""
    return {
        "scenario": scenario,
        "modulation": judged.modulation,
        "clear_frames": judged.clear_frames,
        "refused by finding": any(fault.refuse for fault in judged.faults),
        "reasons": "; ".join(fault.reason for fault in judged.faults),
        "suspicion": suspicion(judged, gate),
        "intensity": judged.intensity,
        **judged.scores,
    }


def scored(scenes: Iterable[Scene], posterior: Posterior) -> Iterator[Judged]:
    """`judge_scene` of each."""
    for scene in scenes:
        yield judge_scene(scene, posterior)


def main(argv: list[str] | None = None) -> None:
    """Judges test cells and scenarios, and prints the tables."""
    args = parse_args(argv)
    posterior = open_posterior(args)
    gate = posterior.gate
    if gate is None:
        raise InputError(
            f"{posterior.folder} holds no gate.json of these members: fit it first "
            "(python calibrate.py --gate_cells 200)"
        )
    cells = simulated_cells(args.seed, args.cells, 1, args.size)
    known = list(scored(tqdm(cells, "test cells", args.cells), posterior))
    faults = {
        name: [
            judge_scene(fault_scene(name, i, args.size, args.seed), posterior)
            for i in range(args.scenes)
        ]
        for name in tqdm(FAULTS, "scenarios")
    }
    blobs = simulated_cells(args.seed + 1, max(2, args.cells // 3), 1, args.size)
    generator = torch.Generator().manual_seed(args.seed)
    tables = {
        "Misuse": misuse_table(known, faults, gate),
        f"Raw-stack checks at modulation {LEAST_MODULATION} or more": checks_table(known, faults),
        "Invented structure": invented_table(blobs, posterior, generator),
        "Real stacks": real_table(posterior, gate),
    }
    scenarios = {"test cells": known, **faults}
    records = [record(name, j, gate) for name, stacks in scenarios.items() for j in stacks]
    names = ("cells", "scenes", "size", "seed")
    facts = {name: getattr(args, name) for name in names} | {"members": len(posterior.members)}
    write_tables("misuse", tables, args.save_path, facts, records)


if __name__ == "__main__":
    run_script(main)
