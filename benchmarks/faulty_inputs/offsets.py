"""What it costs when every frame has a background of its own.

    python -m benchmarks.faulty_inputs.offsets --members 2 --save_path runs/offsets

Random offsets, normal with a standard deviation of a share of the structure's light, are added to
the frames of simulated test cells. The posterior levels them (`physics.sensor.offsets`).
"""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.benchmarks.shared.common import open_posterior, posterior_of
from bayesdl_sim.benchmarks.shared.console import arguments, at_least, cell_arguments
from bayesdl_sim.evaluation.report.tables import write_tables
from bayesdl_sim.evaluation.scenes import Scene, simulated_cells
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.physics.image_formation import lit_median
from bayesdl_sim.physics.patterns.measured import background_of
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "offset_scores", "parse_args", "with_offsets"]

SHARES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3)  # of the light of the lit pixels
BORDER = 16  # fine pixels that are not scored


def with_offsets(raw: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Counts (9, H, W) with an offset of each frame of its own."""
    light = raw.mean(dim=0)
    scale = lit_median(light - background_of(light.flatten()))
    return raw + share * scale * torch.randn(9, 1, 1, generator=generator)


def offset_scores(
    scene: Scene, posterior: Posterior, generator: torch.Generator
) -> dict[float, list[float]]:
    """PSNR in dB per share and level of a scene."""
    inner = (slice(BORDER, -BORDER),) * 2
    scores = {}
    for share in SHARES:
        raw = torch.stack([with_offsets(stack, share, generator) for stack in scene.raw])
        images = posterior_of(replace(scene, raw=raw), posterior).mean[:, 0].numpy()
        scores[share] = [quality(image[inner], scene.target[inner]).psnr for image in images]
    return scores


def table_of(scores: list[dict[float, list[float]]]) -> list[dict[str, Any]]:
    """One row per share: mean PSNR, and its mean and largest loss against no offsets."""
    psnr = {share: np.concatenate([cell[share] for cell in scores]) for share in SHARES}
    return [
        {
            "offsets, share of the light": share,
            "PSNR, dB": round(float(values.mean()), 2),
            "change, dB": round(float((values - psnr[0.0]).mean()), 2),
            "worst, dB": round(float((values - psnr[0.0]).min()), 2),
        }
        for share, values in psnr.items()
    ]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = arguments("faulty_inputs.offsets", "Frames with backgrounds of their own.")
    cell_arguments(parser, cells=12, levels=2, size=128, seed=20281)
    args = parser.parse_args(argv)
    at_least(args, cells=1, levels=1, size=64, seed=0)
    return args


def main(argv: list[str] | None = None) -> None:
    """Scores all cells with all offsets and prints the table."""
    args = parse_args(argv)
    posterior, generator = open_posterior(args), torch.Generator().manual_seed(args.seed)
    cells = simulated_cells(args.seed, args.cells, args.levels, args.size)
    scores = [
        offset_scores(scene, posterior, generator)
        for scene in tqdm(cells, "cells", args.cells, disable=None)
    ]
    facts = {name: getattr(args, name) for name in ("cells", "levels", "size", "seed")}
    write_tables("offsets", {"Offsets of frames": table_of(scores)}, args.save_path, facts)


if __name__ == "__main__":
    run_script(main)
