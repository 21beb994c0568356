"""Layers into the viewer, one in each turn of the window, so that it responds in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from bayesdl_sim.napari.steps.layers import MARK, LayerData

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

__all__ = ["Turns", "layer_like", "mark_of"]


def mark_of(layer: Layer) -> dict[str, Any]:
    """What this plugin wrote on a layer; empty for others."""
    return layer.metadata.get(MARK, {})


def layer_like(viewer: Viewer, kind: str, name: str) -> Layer | None:
    """The layer of that kind of that stack."""
    for layer in viewer.layers:
        mark = mark_of(layer)
        if (mark.get("kind"), mark.get("name")) == (kind, name):
            return layer
    return None


class Turns(QObject):
    """Steps that are done one by one, each in a turn of the window's loop."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: deque[Callable[[], None]] = deque()
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._step)

    @property
    def is_busy(self) -> bool:
        """Whether steps are left."""
        return bool(self._steps)

    def add(self, *steps: Callable[[], None]) -> None:
        """Steps for the next turns."""
        self._steps.extend(steps)
        self._timer.start()

    def add_layers(self, viewer: Viewer, layers: Sequence[LayerData]) -> None:
        """Adds layers, those below first; one of an earlier run gets the new image.

        A layer is made in one turn and added in the next: both take a good part of the 100 ms in
        which the window should respond. Taking one away takes napari three times as long.
        """
        for data in layers:
            made: list[Layer] = []
            self.add(
                lambda data=data, made=made: made.extend(_made(viewer, data)),
                lambda made=made: [viewer.add_layer(layer) for layer in made],
            )

    def _step(self) -> None:
        if self._steps:
            self._steps.popleft()()
        if not self._steps:
            self._timer.stop()


def _made(viewer: Viewer, data: LayerData) -> list[Layer]:
    """The layer to be added; none where one of an earlier run shows the image now."""
    from napari.layers import Layer

    image, options, kind = data
    mark = options["metadata"][MARK]
    earlier = layer_like(viewer, mark["kind"], mark["name"])
    if earlier is not None and earlier.ndim == image.ndim:
        earlier.data = image
        for name in ("contrast_limits", "scale", "translate", "metadata"):
            setattr(earlier, name, options[name])
        return []
    if earlier is not None:
        viewer.layers.remove(earlier)
    return [Layer.create(image, options, kind)]
