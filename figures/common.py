"""What the figures share: options, the intensity scale of a result, and how a chart is saved."""

import argparse
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from bayes.posterior import Prediction
from bayes.recalibration import Calibration, find_calibration
from benchmarks.common import open_posterior
from benchmarks.console import arguments
from data.normalise import Normalisation
from models.members import describe_members
from physics.sim import LIT_SHARE
from utils.files import atomic_path

__all__ = ["PICTURES", "lit_pixels", "open_calibrated", "options", "save", "sr_scale"]

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


def open_calibrated(args: argparse.Namespace) -> Callable[[Tensor], Prediction]:
    """The posterior that the options name, with the calibration beside its members, as test.py."""
    posterior = open_posterior(args)
    members = describe_members(posterior.folder, posterior.limit)
    hashes = {member.path.name: member.sha256 for member in members}
    found, words = find_calibration(posterior.folder, None, hashes)
    print(words)
    calibration = found or Calibration()
    return lambda raw: calibration.apply(posterior(raw))


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
