"""What the figures share: options, the intensity scale of a result, and how a chart is saved."""

import argparse
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.console import arguments
from data.normalise import Normalisation
from physics.sim import LIT_SHARE
from utils.files import atomic_path

__all__ = ["PICTURES", "lit_pixels", "options", "save", "sr_scale"]

PICTURES = Path("figures/pictures")
DPI = 120


def options(name: str, description: str, network: bool = True) -> argparse.ArgumentParser:
    """The options of a figure: those of the benchmarks, where pictures go, and where tables go."""
    saved = "folder of the picture (default %(default)s)"
    parser = arguments(name, description, network, "figures", PICTURES, saved)
    parser.add_argument(
        "--tables", type=Path, help="folder for the numbers as JSON and CSV; none: print only"
    )
    return parser


def sr_scale(mean: Tensor) -> Normalisation:
    """The scale of the results of test.py: 0 and 1 are the smallest and the largest mean."""
    return Normalisation(float(mean.min()), float(mean.max()))


def lit_pixels(mean: Tensor) -> Tensor:
    """Where the structure is: above a tenth of the range, as for the signal in electrons.

    An empty background is always credible, and would hide what happens on the structure.
    """
    return mean >= mean.min() + LIT_SHARE * (mean.max() - mean.min())


def save(figure: Figure, path: Path) -> None:
    """Writes the picture, whole or not at all, and says where."""
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=DPI)
    print(path)
