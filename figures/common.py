"""Common parts of the figures: options, the intensity scale of a result, saving of charts."""

import argparse
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from bayesdl_sim.benchmarks.shared.console import arguments
from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.physics.image_formation import LIT_SHARE
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path, read_json

__all__ = [
    "PICTURES",
    "lit_pixels",
    "options",
    "results_options",
    "save",
    "sr_scale",
    "stored_table",
]

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


def results_options(name: str, description: str) -> argparse.ArgumentParser:
    """The options of a figure that draws the results of a benchmark."""
    parser = CommandLine(
        prog=f"python -m figures.{name}", description=description, allow_abbrev=False
    )
    parser.add_argument("--results", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--save_path", type=Path, default=PICTURES)
    return parser


def stored_table(results: Path, benchmark: str, title: str) -> list[dict[str, Any]]:
    """The rows of a table that a benchmark wrote.

    Raises:
        InputError: no such file, or no such table in it.
    """
    path = results / f"{benchmark}.json"
    tables = read_json(path).get("tables", {})
    if title not in tables:
        raise InputError(f"{path} has no table {title!r}: run python -m benchmarks.{benchmark}")
    return tables[title]


def sr_scale(mean: Tensor) -> Normalisation:
    """The scale of the results of test.py: 0 and 1 are the smallest and the largest mean."""
    return Normalisation(float(mean.min()), float(mean.max()))


def lit_pixels(mean: Tensor) -> Tensor:
    """Where the structure is: above a tenth of the range, as for the signal in electrons.

    An empty background is always credible, and would hide what happens on the structure.
    """
    return mean >= mean.min() + LIT_SHARE * (mean.max() - mean.min())


def save(figure: Figure, path: Path) -> None:
    """Writes the picture, whole or not at all, and prints its path."""
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=DPI)
    print(path)
