"""What a fault at one place of a stack costs elsewhere, and whether it is named.

    python -m benchmarks.faulty_inputs.local --fast --save_path runs/local

Every exposure of simulated test cells gets each fault, and is reconstructed and judged as by
`test.py`. PSNR and coverage are those of the pixels away from the fault, after an affine fit there,
beside the same pixels of the exposure without it. A fault is named where verdict or report say
something that they do not say without it.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from bayesdl_sim.benchmarks.scenes.local_faults import LOCAL_FAULTS, Fault
from bayesdl_sim.benchmarks.shared.common import open_posterior, within_interval
from bayesdl_sim.benchmarks.shared.console import arguments, at_least, cell_arguments
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.inference.facts import lit
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.metrics.images import affine_fit
from bayesdl_sim.utils.errors import InputError, run_script

__all__ = ["fault_arguments", "main", "outcomes", "parse_args", "print_faults"]

BORDER = 8  # raw pixels that are not scored
LOSS_BAR = 0.5  # dB


class Score(NamedTuple):
    """PSNR in dB, and the share of the lit pixels within their interval in per cent."""

    psnr: float
    covered: float


def scored(
    result: Reconstruction, posterior: Posterior, target: NDArray, away: NDArray[np.bool_]
) -> Score:
    """Scores of a result over some pixels (H, W), after an affine fit to the target there."""
    inner = np.zeros_like(away)
    inner[BORDER:-BORDER, BORDER:-BORDER] = away[BORDER:-BORDER, BORDER:-BORDER]
    fine = inner.repeat(2, axis=0).repeat(2, axis=1) & np.isfinite(result.sr[0])
    # Images of one row, as `affine_fit` takes them.
    mean, truth, sigma = (image[fine][None] for image in (result.sr[0], target, result.total[0]))
    rest = (affine_fit(mean, truth) - truth) / np.ptp(target)
    inside = within_interval(posterior, affine_fit(truth, mean) - mean, sigma)
    psnr = -10 * np.log10(np.square(rest).mean())
    return Score(float(psnr), 100 * float(inside[lit(truth)].mean()))


def words_of(result: Reconstruction) -> set[str]:
    """What verdict and report say of the stack, without its numbers."""
    said = list(result.verdict.reasons)
    if result.facts.get("bright_spot"):
        said.append("a bright spot")
    return {"".join(c for c in reason if not c.isdigit()) for reason in said}


def outcomes(
    scene: Scene, posterior: Posterior, generator: torch.Generator, faults: Mapping[str, Fault]
) -> Iterator[dict[str, Any]]:
    """One row for every exposure of a scene and every fault."""
    for level, signal in enumerate(scene.signals):
        good = posterior.reconstruct(scene.stack(level))
        for name, change in faults.items():
            raw, away = change(scene, scene.raw[level], generator)
            facts = {"fault": name, "structure": scene.name, "signal": signal}
            before = scored(good, posterior, scene.target, away)
            try:
                result = posterior.reconstruct(replace(scene, raw=raw[None]).stack())
            except InputError as error:
                yield facts | {"refused": True, "said": str(error)}
                continue
            after = scored(result, posterior, scene.target, away)
            said = words_of(result) - words_of(good)
            yield facts | {
                "refused": result.verdict.decision == "refuse",
                "change": after.psnr - before.psnr,
                "covered": after.covered,
                "covered without": before.covered,
                "named": bool(said),
                "said": "; ".join(sorted(said)),
            }


def table_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per fault: what it costs, how many stacks keep within the bar, how many are named."""
    table = []
    for name in dict.fromkeys(row["fault"] for row in rows):
        of_fault = [row for row in rows if row["fault"] == name]
        made = [row for row in of_fault if "change" in row]
        table.append(
            {
                "fault": name,
                "stacks": len(of_fault),
                "mean change, dB": _of(np.mean, "change", made),
                "worst, dB": _of(np.min, "change", made),
                f"within {LOSS_BAR:g} dB": sum(row["change"] > -LOSS_BAR for row in made),
                "lit pixels covered, %": _of(np.mean, "covered", made),
                "without the fault, %": _of(np.mean, "covered without", made),
                "named": sum(row["named"] for row in made),
                "refused": sum(row["refused"] for row in of_fault),
            }
        )
    return table


def _of(measure: Callable[[list[float]], float], name: str, rows: list[dict[str, Any]]) -> Any:
    """A measure of one column; empty without rows."""
    return round(float(measure([row[name] for row in rows])), 2) if rows else ""


def fault_arguments(
    name: str, description: str, seed: int, argv: list[str] | None
) -> argparse.Namespace:
    """The command line of a benchmark of faults."""
    parser = arguments(f"faulty_inputs.{name}", description)
    cell_arguments(parser, cells=8, levels=3, size=144, seed=seed)
    parser.add_argument("--fast", action="store_true", help="the student instead of the members")
    args = parser.parse_args(argv)
    at_least(args, cells=1, levels=1, size=96, seed=0)
    return args


def print_faults(
    name: str, title: str, faults: Mapping[str, Fault], args: argparse.Namespace
) -> None:
    """Reconstructs all exposures with all faults, and prints the table."""
    posterior = open_posterior(args, args.fast)
    generator = torch.Generator().manual_seed(args.seed)
    cells = simulated_cells(args.seed, args.cells, args.levels, args.size)
    rows = [
        row
        for scene in tqdm(cells, "cells", args.cells, disable=None)
        for row in outcomes(scene, posterior, generator, faults)
    ]
    facts = {name: getattr(args, name) for name in ("cells", "levels", "size", "seed", "fast")}
    write_tables(name, {title: table_of(rows)}, args.save_path, facts, rows)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    return fault_arguments("local", "Faults at one place of a stack.", 20301, argv)


def main(argv: list[str] | None = None) -> None:
    """Reconstructs all exposures with all faults, and prints the table."""
    print_faults("local", "Faults at one place", LOCAL_FAULTS, parse_args(argv))


if __name__ == "__main__":
    run_script(main)
