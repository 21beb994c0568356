"""A movie of a blinking sample through DLBI, where that part of the project is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bayesdl_sim.napari.steps.layers import LayerData, layer_of, place_of
from bayesdl_sim.utils.errors import InputError

__all__ = ["MISSING", "STAGES", "Movie", "is_installed", "movie_layers"]

MISSING = (
    "This installation holds no DLBI. It comes with a copy of the source, in the folder dlbi/: "
    "start napari there."
)
STAGES = ("moments", "network", "bayes")


class Movie(NamedTuple):
    """The result of a movie: its layers, and a few sentences."""

    layers: list[LayerData]
    sentences: tuple[str, ...]


def is_installed() -> bool:
    """Whether DLBI can be used; the folder may have been left out."""
    return find_spec("bayesdl_sim.dlbi") is not None


def movie_layers(
    path: Path, progress: Callable[[int, int, str], None], stage: str = STAGES[-1]
) -> Movie:
    """Mean image, structure, probability and uncertainty of a movie.

    Args:
        path: TIFF file of all frames, or folder of single frames.
        progress: called with (done, total, part); raises `Stopped` to end the work.
        stage: the last one, of `STAGES`.

    Raises:
        InputError: no movie, or no DLBI.
    """
    if not is_installed():
        raise InputError(MISSING)
    from bayesdl_sim.dlbi.blinking import FINE
    from bayesdl_sim.dlbi.movies.reading import open_movie
    from bayesdl_sim.dlbi.stages.pipeline import Settings, run_stages

    movie = open_movie(path)
    progress(0, movie.frames, "frames")
    prepared, results = run_stages(movie, Settings(stage=stage), progress)
    last, name, pixel_nm = results[-1], path.stem, movie.pixel_size_nm
    facts = {"source": str(path), "pixel_size_nm": pixel_nm}
    fine = place_of(pixel_nm, FINE)
    mean = layer_of(
        prepared.moments.mean.numpy(), "mean image", name, place_of(pixel_nm), facts=facts
    )
    maps = {
        "fluorophore uncertainty": last.uncertainty,
        "probability": last.probability,
        "structure": last.structure,
    }
    layers = [mean] + [
        layer_of(image, kind, name, fine, visible=kind == "structure", facts=facts)
        for kind, image in maps.items()
    ]
    size = f" ({prepared.calibration.fwhm_px * pixel_nm:.0f} nm)" if pixel_nm else ""
    sentences = (
        f"{movie.frames} frames, spots {prepared.calibration.fwhm_px:.2f} px{size} wide.",
        *(f"{text[:1].upper()}{text[1:]}." for text in prepared.warnings),
    )
    return Movie(layers, sentences)
