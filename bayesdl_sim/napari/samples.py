"""Sample data: the demo stacks and the blinking movie, with their pixel sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bayesdl_sim
from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.napari.steps.layers import LayerData, layer_of, place_of, raw_layers
from bayesdl_sim.utils.errors import InputError

__all__ = ["actin", "blinking", "cristae", "hela", "sample_path"]


def actin() -> list[LayerData]:
    """F-actin, simulated from the reconstruction of a real cell."""
    return _stack("F-actin")


def cristae() -> list[LayerData]:
    """Mitochondria, measured."""
    return _stack("cristae")


def hela() -> list[LayerData]:
    """A HeLa cell, measured."""
    return _stack("hela")


def blinking() -> list[LayerData]:
    """A movie of blinking fluorophores, simulated."""
    path = sample_path("blinking", "movie.tif")
    frames, pixel_size_nm = read_tiff(path)
    facts = {"source": str(path), "pixel_size_nm": pixel_size_nm}
    return [
        layer_of(frames, "movie", "blinking", place_of(pixel_size_nm), visible=True, facts=facts)
    ]


def sample_path(folder: str, file: str = "raw.tif") -> Path:
    """A file of the demo data, beside the code in a checkout and inside it in a wheel.

    Raises:
        InputError: the installation lacks it.
    """
    for base in bayesdl_sim.__path__:
        path = Path(base) / "data" / folder / file
        if path.is_file():
            return path
    raise InputError(f"the sample data/{folder}/{file} is missing: install again")


def _stack(folder: str) -> list[LayerData]:
    return raw_layers(replace(read_stack(sample_path(folder)), name=folder))
