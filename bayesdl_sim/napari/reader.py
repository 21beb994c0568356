"""The reader: raw stacks, result folders and `Channels.ome.tif` as named layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bayesdl_sim.data.stacks import list_stacks
from bayesdl_sim.napari.steps.layers import LayerData, raw_layers
from bayesdl_sim.napari.steps.saved import is_result, saved_layers
from bayesdl_sim.utils.errors import InputError

__all__ = ["get_reader", "read_path"]


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """The reader of a path; None where it holds no SIM stack, so that napari tries another one.

    Only headers are read here, no pixels.
    """
    if not isinstance(path, str):
        if len(path) != 1:
            return None
        path = path[0]
    source = Path(path)
    try:
        readable = is_result(source) or bool(list_stacks(source))
    except InputError:
        return None
    return read_path if readable else None


def read_path(path: str | Sequence[str]) -> list[LayerData]:
    """The layers of a result, or of every stack of a raw file, each colour, position and plane.

    Raises:
        InputError: the file cannot be read.
    """
    source = Path(path if isinstance(path, str) else path[0])
    if is_result(source):
        return saved_layers(source)
    return [layer for entry in list_stacks(source) for layer in raw_layers(entry.read())]
