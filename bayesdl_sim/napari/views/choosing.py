"""Which stack is worked on: one from the disk, or one that a layer shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesdl_sim.data.layouts import FRAMES, FrameLayout
from bayesdl_sim.data.stacks import RawStack, StackEntry
from bayesdl_sim.napari.steps.command import as_line, stack_words
from bayesdl_sim.napari.steps.layers import LayerData, raw_layers
from bayesdl_sim.napari.views.canvas import mark_of

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["Chosen", "chosen_layer", "read_entry", "shown_movie"]

SMALLEST_FIELD = 64  # raw pixels: smaller ones have no misfit


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The stack that is worked on.

    Attributes:
        stack: the stack, with its frames in the order that the fringes prove.
        order: a sentence about the order.
        layout: what chooses it in its file.
        layers: the layers that show it.
        layer: the layer that shows it already; None: it came from the disk.
    """

    stack: RawStack
    order: str
    layout: FrameLayout
    layers: tuple[LayerData, ...] = ()
    layer: Layer | None = None

    @property
    def has_file(self) -> bool:
        """Whether it lies in a file, which a command can name."""
        return self.stack.source.exists()

    def is_shown_by(self, layer: Layer) -> bool:
        """Whether the layer shows this stack."""
        mark = mark_of(layer)
        shows = (mark.get("source"), mark.get("name"))
        return layer is self.layer or shows == (str(self.stack.source), self.stack.name)

    def command(self, delta: float, forced: bool) -> str:
        """The line that reconstructs it in a terminal."""
        source = self.stack.source
        words = stack_words(
            source,
            self.layout,
            source.with_name(f"{self.stack.name}-results"),
            misfit=min(self.stack.raw.shape[-2:]) >= SMALLEST_FIELD,
            delta=delta,
            forced=forced,
        )
        return as_line(words)


def read_entry(entry: StackEntry, layer: Layer | None = None, name: str | None = None) -> Chosen:
    """Reads a stack and finds the order of its frames; for a thread.

    Args:
        layer: the layer that shows it already.
        name: name of the stack; None: as its file is called.

    Raises:
        InputError: no stack of 3 x 3 frames.
    """
    # Loaded only here, in its thread: PyTorch takes seconds.
    from bayesdl_sim.napari.steps.opening import opened, order_sentence

    stack = opened(entry)
    stack = stack if name is None else replace(stack, name=name)
    return Chosen(
        stack=stack,
        order=order_sentence(stack),
        layout=entry.layout,
        layers=tuple(raw_layers(stack)),
        layer=layer,
    )


def chosen_layer(layer: Layer) -> Callable[[], Chosen] | None:
    """What reads the stack that a layer shows, in a thread; None where it shows none."""
    mark = mark_of(layer)
    if mark.get("kind") in ("raw", "wide field") and "source" in mark:
        return partial(_from_file, Path(mark["source"]), mark["name"], layer)
    images = layer.data if type(layer).__name__ == "Image" and not mark else None
    if images is None or getattr(images, "ndim", 0) < 3 or getattr(layer, "rgb", False):
        return None
    if images.shape[-3] % FRAMES:
        return None
    path = layer.source.path
    if path and Path(path).exists():
        return partial(_from_file, Path(path), layer.name, layer)
    return partial(_from_array, images, layer)


def shown_movie(layer: Layer) -> Path | None:
    """The file of a movie that a layer shows."""
    mark = mark_of(layer)
    if mark.get("kind") == "movie":
        return Path(mark["source"])
    path = layer.source.path
    is_long = getattr(layer.data, "ndim", 0) == 3 and len(layer.data) > 5 * FRAMES
    return Path(path) if path and is_long and not mark else None


def _from_file(path: Path, name: str, layer: Layer) -> Chosen:
    from bayesdl_sim.napari.steps.opening import entries_of

    entries = entries_of(path)
    matches = [entry for entry in entries if entry.name == name]
    return read_entry((matches or entries)[0], layer, name)


def _from_array(images: Any, layer: Layer) -> Chosen:
    from bayesdl_sim.napari.steps.opening import order_sentence, stack_of_array

    in_um = str(layer.units[-1]) in ("micrometer", "um")
    pixel_nm = 1000 * float(layer.scale[-1]) if in_um else None
    stack = stack_of_array(images, layer.name, pixel_nm)
    return Chosen(stack=stack, order=order_sentence(stack), layout=FrameLayout(), layer=layer)
