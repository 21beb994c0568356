"""What the fringes show: the demo stack with its frames shuffled, and as it was measured.

    python -m figures.control

Shuffling every pixel's nine values keeps the wide field and the noise and destroys the fringes.
The network's image of the shuffled frames is deconvolution. The gain by the true order is SIM.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesdl_sim.benchmarks.demo import read_scene
from bayesdl_sim.benchmarks.shared.common import open_posterior
from bayesdl_sim.benchmarks.shared.console import at_least
from bayesdl_sim.benchmarks.shared.stacks import DEMO_STACKS
from bayesdl_sim.figures.common import options, save
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.physics.fringeless import shuffled
from bayesdl_sim.physics.reconstruction.wiener import wide_field_upsampled
from bayesdl_sim.utils.errors import run_script

__all__ = ["main"]

PICTURE = "control.png"
SEED = 0  # of the shuffling
BRIGHTEST = 99.8  # percentile that is shown white


def panels(images: dict[str, NDArray], square: tuple[slice, slice]) -> Figure:
    """The images side by side, each with its PSNR against the last one.

    Args:
        images: title -> (2H, 2W); the last is the truth.
        square: rows and columns that are shown.
    """
    figure = Figure(figsize=(3.2 * len(images), 3.5), layout="constrained")
    truth = list(images.values())[-1]
    for axes, (title, image) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        low, high = np.percentile(image, (0.5, BRIGHTEST))
        axes.imshow(image[square], cmap="magma", vmin=low, vmax=high)
        score = "" if image is truth else f", {quality(image, truth).psnr:.1f} dB"
        axes.set_title(title + score, fontsize=10)
        axes.set_axis_off()
    return figure


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = options("control", "The demo stack, its frames shuffled and in their true order.")
    parser.add_argument("--raw", type=Path, default=DEMO_STACKS / "F-actin" / "raw.tif")
    parser.add_argument("--target", type=Path, default=DEMO_STACKS / "F-actin" / "gt.tif")
    parser.add_argument("--side", type=int, default=220, help="of the square shown, SR pixels")
    args = parser.parse_args(argv)
    at_least(args, side=8)
    return args


def main(argv: list[str] | None = None) -> None:
    """Reconstructs both stacks and draws them."""
    args = parse_args(argv)
    scene, posterior = read_scene(args.raw, args.target), open_posterior(args)
    control = shuffled(scene.raw[0], torch.Generator().manual_seed(SEED))
    mean = posterior.predict(torch.stack([control, scene.raw[0]]), calibrated=False).mean[:, 0]
    images = {
        "wide field": wide_field_upsampled(scene.raw[0]).numpy(),
        "frames shuffled": mean[0].numpy(),
        "true order": mean[1].numpy(),
        "truth": scene.target,
    }
    centre = [n // 2 for n in scene.target.shape]
    square = tuple(slice(max(c - args.side // 2, 0), c + args.side // 2) for c in centre)
    save(panels(images, square), args.save_path / PICTURE)


if __name__ == "__main__":
    run_script(main)
