"""Results that were written earlier, with their frames where these are found; read in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bayesdl_sim.data.stacks import StackEntry
from bayesdl_sim.napari.steps.banner import Banner, banner_for
from bayesdl_sim.napari.steps.layers import MARK, LayerData
from bayesdl_sim.napari.steps.saved import is_result, saved_layers
from bayesdl_sim.napari.views.choosing import Chosen, read_entry

if TYPE_CHECKING:
    from bayesdl_sim.napari.steps.batch import Row
    from bayesdl_sim.napari.steps.trust import TrustMaps

__all__ = ["Saved", "read_path", "read_row"]


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A result from the disk.

    Attributes:
        name: name of the stack.
        layers: its maps; none where nothing was written.
        trust: what the slider works on; None without a total uncertainty.
        chosen: its raw stack; None where it is not known.
        banner: its verdict, where it is known.
    """

    name: str
    layers: tuple[LayerData, ...] = ()
    trust: TrustMaps | None = None
    chosen: Chosen | None = None
    banner: Banner | None = None


def read_path(path: Path) -> Saved | tuple[list[StackEntry], Chosen]:
    """A result, or the stacks of a raw file and the first of them.

    Raises:
        InputError: neither.
    """
    if is_result(path):
        return _result(path)
    from bayesdl_sim.napari.steps.opening import entries_of

    entries = entries_of(path)
    return entries, read_entry(entries[0])


def read_row(row: Row) -> Saved:
    """What a row of a batch stands for.

    Raises:
        InputError: its file is no stack, or its result cannot be read.
    """
    from bayesdl_sim.napari.steps.opening import entries_of

    entries = entries_of(row.source)
    matches = [entry for entry in entries if entry.name == row.name]
    chosen = read_entry((matches or entries)[0], name=row.name)
    banner = banner_for(row.decision, row.p_value, row.reasons, made=row.folder is not None)
    if row.folder is None:
        return Saved(name=row.name, chosen=chosen, banner=banner)
    result = _result(row.folder, row.name)
    return Saved(
        name=row.name, layers=result.layers, trust=result.trust, chosen=chosen, banner=banner
    )


def _result(path: Path, name: str | None = None) -> Saved:
    from bayesdl_sim.napari.steps.trust import TrustMaps

    layers = saved_layers(path, name)
    maps = {options["metadata"][MARK]["kind"]: image for image, options, _ in layers}
    mark = layers[0][1]["metadata"][MARK]
    trust = None
    if {"SR", "Total"} <= set(maps):
        trust = TrustMaps(
            name=mark["name"],
            sr=maps["SR"],
            total=maps["Total"],
            raw_pixel_nm=mark["pixel_size_nm"],
        )
    return Saved(name=mark["name"], layers=tuple(layers), trust=trust)
