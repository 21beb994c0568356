"""Test movies with their truth: simulated ones for all stages, and folders of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.dlbi.blinking import FINE, Microscopy, simulate_movie
from bayesdl_sim.dlbi.movies.reading import Movie, open_movie
from bayesdl_sim.dlbi.simulation.scenes import draw_density
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES
from bayesdl_sim.utils.errors import InputError, require_folder
from bayesdl_sim.utils.schema import number, read_record, record

__all__ = ["SEED", "STANDARD", "Case", "cases_of", "standard_cases"]

PARAMETERS = {
    "fine_pixel_nm": number(above=0),
    "microscopy": record({"fwhm_px": number(above=0)}),
}
SIZE, FINE_NM, FRAMES = (60, 60), 20.0, 200
SEED = 20260  # no scene of the training set has it
# Name, density of the cell, expected fluorophores, switching, photons, FWHM in camera pixels.
STANDARD = (
    ("mt white", 0.55, 6000, "mEos3.2", 400.0, 2.3),
    ("mt white, dim", 0.55, 3000, "mEos3.2", 120.0, 2.6),
    ("mt bleaching", 0.55, 6000, "bleaching", 400.0, 2.4),
    ("mt sparse", 0.55, 4000, "sparse", 400.0, 2.3),
    ("tub white", 0.8, 10000, "mEos3.2", 400.0, 2.3),
    ("tub white, dim", 0.8, 6000, "mEos3.2", 120.0, 2.6),
    ("tub bleaching", 0.8, 10000, "bleaching", 400.0, 2.4),
    ("tub sparse", 0.8, 8000, "sparse", 400.0, 2.3),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A movie with its truth.

    Args:
        name: name in tables.
        movie: the frames.
        fluorophores: (8H, 8W) number in each fine pixel.
        fine_nm: side of a fine pixel.
        fwhm_px: true full width of the spots, camera pixels; given to baselines only.
    """

    name: str
    movie: Movie
    fluorophores: NDArray[np.float32]
    fine_nm: float
    fwhm_px: float


def standard_cases(
    kernel: str = "gaussian",
    count: int = len(STANDARD),
    labelling: float = 1.0,
    seed: int = SEED,
) -> Iterator[Case]:
    """The first `count` of eight simulated cases, the same every time.

    Args:
        kernel: shape of the spots; the network and the Bayesian stage take all for Gaussians.
        labelling: factor of the number of fluorophores.
        seed: seed of the first case; those that follow have the seeds that follow.
    """
    for index, (name, density, expected, switching, photons, fwhm) in enumerate(STANDARD[:count]):
        generator = torch.Generator().manual_seed(seed + index)
        cell = draw_density("MT", SIZE, FINE_NM, generator, density)
        jitter = 0.0 if kernel == "airy" else 0.05  # widths of Airy spots are slow to compute
        microscopy = Microscopy(fwhm_px=fwhm, photons=photons, kernel=kernel, width_jitter=jitter)
        fluorophore = FLUOROPHORES[switching]
        number_expected = expected * labelling
        movie = simulate_movie(cell, number_expected, FRAMES, generator, fluorophore, microscopy)
        yield Case(
            name=name,
            movie=Movie.of(movie.counts, name),
            fluorophores=movie.fluorophores.numpy(),
            fine_nm=FINE_NM,
            fwhm_px=fwhm,
        )


def cases_of(folder: str | Path) -> Iterator[Case]:
    """Cases that `python -m dlbi.simulate` has written: one folder each, in order of their names.

    Raises:
        InputError: a folder without movies and their truth.
    """
    folder = require_folder(folder, "data")
    folders = sorted(path.parent for path in folder.glob("*/movie.tif"))
    if (folder / "movie.tif").is_file():
        folders.append(folder)
    if not folders:
        raise InputError(
            f"{folder}: expected folders with movie.tif and fluorophores.tif, as python -m "
            "dlbi.simulate writes them, found none"
        )
    for path in folders:
        parameters = read_record(path / "parameters.json", PARAMETERS, "movie's parameters")
        movie, truth = open_movie(path / "movie.tif"), read_image(path / "fluorophores.tif")
        if truth.shape != tuple(FINE * pixels for pixels in movie.shape):
            raise InputError(
                f"{path / 'fluorophores.tif'}: expected {FINE} times the size of the movie "
                f"{movie.shape}, found {truth.shape}"
            )
        yield Case(
            name=path.name,
            movie=movie,
            fluorophores=truth.astype(np.float32),
            fine_nm=parameters["fine_pixel_nm"],
            fwhm_px=parameters["microscopy"]["fwhm_px"],
        )
