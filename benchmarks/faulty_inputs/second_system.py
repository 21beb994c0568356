"""Readers of the second system, which this room does not import: its folder may be deleted."""

import importlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile

from bayesdl_sim.benchmarks.shared.second_system import WING, wing_is_here
from bayesdl_sim.utils.checkpoints import save_checkpoint
from bayesdl_sim.utils.files import write_json

__all__ = ["Reader", "wing_readers", "write_wing_files"]


class Reader(NamedTuple):
    """A file name, the function that reads the file, and its form, a key of `damage.DAMAGES`."""

    file: str
    read: Callable[[Path], Any]
    form: str = "binary"


def _wing(module: str) -> Any:
    return importlib.import_module(f"bayesdl_sim.{WING}.{module}")


def wing_readers() -> dict[str, Reader]:
    """Its readers by their names; none where the folder is missing."""
    if not wing_is_here():
        return {}
    return {
        "DLBI: member": Reader("blinking.pth", _member, "checkpoint"),
        "DLBI: calibration.json": Reader("map.json", _map, "json"),
        "DLBI: parameters.json": Reader("case/parameters.json", _parameters, "json"),
        "DLBI: movie.tif": Reader("case/movie.tif", _movie),
        "DLBI: scene": Reader("scene_1_00000.npz", _scene),
    }


def _member(path: Path) -> None:
    _wing("network.posterior").read_member(path, path.read_bytes())


def _map(path: Path) -> None:
    _wing("network.occupation").read_map(path)


def _parameters(path: Path) -> None:
    list(_wing("scoring.cases").cases_of(path.parent))


def _movie(path: Path) -> None:
    for frames in _wing("movies.reading").open_movie(path).pieces():
        frames.sum()


def _scene(path: Path) -> None:
    _wing("network.samples").load_sample(path)


def write_wing_files(folder: Path, rng: np.random.Generator) -> None:
    """A movie with its truth, a scene, a member and a calibration; nothing without the wing."""
    if not wing_is_here():
        return
    network = _wing("network.unrolled").MomentsGenerator(8)
    member = {"format": _wing("network.posterior").FORMAT, "state": network.state_dict()}
    settings = {"generator": "moments", **network.settings}
    save_checkpoint(folder / "blinking.pth", {**member, "network": settings})
    occupation = _wing("network.occupation")
    slopes = {"constant": 0.0, "low": 0.5, "high": 1.0}
    limits = {
        name: occupation.FieldDensity(end, end, end) for name, end in (("least", -1), ("most", 1))
    }
    plain = occupation.OccupationMap(**slopes, ratio=1.0, share=0.1, lit=-0.3, **limits)
    stored = occupation.StoredMap(map=plain, names=("a.pth",), hashes=("0",), facts={"scenes": 1})
    occupation.write_map(folder / "map.json", stored)
    case = folder / "case"
    case.mkdir(exist_ok=True)
    movie = rng.poisson(60, (24, 16, 18)).astype(np.uint16)
    tifffile.imwrite(case / "movie.tif", movie, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(case / "fluorophores.tif", np.zeros((128, 144), np.float32))
    facts = {"fine_pixel_nm": 20.0, "microscopy": {"fwhm_px": 2.4}, "seed": 0}
    write_json(case / "parameters.json", facts)
    names = [field.name for field in fields(_wing("network.features").Features)]
    scene = {name: rng.random((1, 2, 4, 4), dtype=np.float32) for name in names}
    truth = {"fluorophores": np.zeros((1, 32, 32), np.uint8), "brightness": np.ones(1)}
    np.savez(folder / "scene_1_00000.npz", **scene, **truth)
