"""Results that were written to a folder, as layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.inference.output.map_kinds import CHANNELS, FACTS, MAPS
from bayesdl_sim.napari.steps.layers import DOUBLED, LayerData, map_layers
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.schema import list_of, optional, read_record, text

__all__ = ["is_result", "saved_layers"]


def is_result(path: Path) -> bool:
    """Whether it is a folder that holds a result, or the file with its channels."""
    if path.is_dir():
        return (path / CHANNELS).is_file()
    return path.name == CHANNELS and path.is_file()


def saved_layers(path: Path, name: str | None = None) -> list[LayerData]:
    """The maps of a result folder, or of its `Channels.ome.tif` alone.

    Args:
        path: the result folder, or its `Channels.ome.tif`.
        name: name of the stack; None: that of the file in the result.

    Raises:
        InputError: the file has no named channels, or cannot be read.
    """
    folder = path if path.is_dir() else path.parent
    images, fine_nm = _channels(folder / CHANNELS)
    facts = _facts(folder / FACTS)
    stored_name = facts.pop("name") or folder.resolve().name
    raw_nm = None if fine_nm is None else DOUBLED * fine_nm
    if path.is_dir():
        further = (kind for kind in MAPS if kind not in images)
        images |= {
            kind: read_tiff(folder / f"{kind}.tif")[0]
            for kind in further
            if (folder / f"{kind}.tif").is_file()
        }
    return map_layers(images, name or stored_name, raw_nm, {"pixel_size_nm": raw_nm, **facts})


def _channels(path: Path) -> tuple[dict[str, NDArray], float | None]:
    """The named channels (T, 2H, 2W), and the size of their pixels in nm."""
    images, pixel_nm = read_tiff(path)
    with tifffile.TiffFile(path) as file:
        described = file.ome_metadata or "<OME/>"
    names = [
        element.get("Name", "")
        for element in ElementTree.fromstring(described).iter()
        if element.tag.endswith("}Channel")
    ]
    if not names or "" in names or len(images) % len(names):
        raise InputError(
            f"{path}: expected an OME-TIFF with named channels, as test.py writes it, found "
            f"{len(images)} images and the channels {names}"
        )
    return {name: np.asarray(images[n :: len(names)]) for n, name in enumerate(names)}, pixel_nm


def _facts(path: Path) -> dict[str, Any]:
    """The entries of the result's record for its layers; few where the record is missing."""
    if not path.is_file():
        return {"name": "", "decision": None}
    stored = read_record(path, {"channels": optional(list_of(text()))}, "result")
    file = (stored.get("source") or {}).get("file", "")
    verdict = stored.get("verdict") or {}
    return {"name": Path(file).stem, "decision": verdict.get("decision")}
