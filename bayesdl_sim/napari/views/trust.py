"""The tab Trust: a tolerance that recolours the informed picture, and the profile along a line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSlider, QVBoxLayout, QWidget

from bayesdl_sim.bayes.tolerance import DELTA
from bayesdl_sim.napari.steps.layers import MARK, place_of
from bayesdl_sim.napari.views.canvas import layer_like, mark_of
from bayesdl_sim.napari.views.jobs import Latest
from bayesdl_sim.napari.views.parts import Picture, note

if TYPE_CHECKING:
    from napari.layers import Image, Shapes
    from napari.viewer import Viewer

    from bayesdl_sim.napari.steps.trust import Recoloured, TrustMaps

__all__ = ["TrustTab"]

STEPS_PER_UNIT = 1000  # of the slider: a tenth of a percent
LINE = "profile line"
RANGE = (5, 300)  # steps of the slider
EXPLAINED = (
    "Brightness is the super-resolved intensity, colour is the probability that the error is below "
    "the tolerance: blue is credible, orange is not."
)


class TrustTab(QWidget):
    """How far to trust every pixel; works on a result that was just made, or opened again.

    Signals:
        delta_changed: the tolerance, as a share of the range of the structure.
    """

    delta_changed = Signal(float)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.maps: TrustMaps | None = None
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(*RANGE)
        self.slider.setValue(round(STEPS_PER_UNIT * DELTA))
        self.slider.valueChanged.connect(self._slid)
        self.message = note(EXPLAINED)
        self.found = note()
        self.draw = QPushButton("Draw a profile line")
        self.draw.clicked.connect(self.begin_line)
        self.profile = Picture("Draw a line across a detail: its profile and 90 % band stand here.")
        self._colours = Latest(self._show_colours, self)
        self._profiles = Latest(self.profile.show_picture, self)
        row = QHBoxLayout()
        row.addWidget(note("tolerated error"), 0)
        row.addWidget(self.slider, 1)
        column = QVBoxLayout(self)
        column.addWidget(self.message)
        column.addLayout(row)
        column.addWidget(self.found)
        column.addWidget(self.draw)
        column.addWidget(self.profile, 1)
        self.setEnabled(False)
        viewer.dims.events.current_step.connect(self._request_profile)
        viewer.layers.events.inserted.connect(self._connect_line)

    @property
    def delta(self) -> float:
        """The tolerated error, as a share of the range of the structure."""
        return self.slider.value() / STEPS_PER_UNIT

    @property
    def is_busy(self) -> bool:
        """Whether colours or a profile are still to come."""
        return self._colours.is_busy or self._profiles.is_busy

    def use(self, maps: TrustMaps | None) -> None:
        """Shows the trust of these maps; None: there is no total uncertainty."""
        self.maps = maps
        self.setEnabled(maps is not None)
        self.found.setText("")
        self.profile.forget()
        if maps is not None:
            self._slid()
            self._request_profile()

    def begin_line(self) -> None:
        """A Shapes layer on the maps in which the mouse draws a line."""
        layer = layer_like(self.viewer, LINE, self.maps.name) or self._new_line()
        self.viewer.layers.selection.active = layer
        layer.mode = "add_line"

    def _new_line(self) -> Shapes:
        place = place_of(self.maps.raw_pixel_nm, 2)
        return self.viewer.add_shapes(
            name=f"{self.maps.name} {LINE}",
            ndim=2,
            scale=(place.scale,) * 2,
            translate=(place.offset,) * 2,
            units=(place.unit,) * 2,
            edge_color="cyan",
            edge_width=1.5,
            metadata={MARK: {"kind": LINE, "name": self.maps.name}},
        )

    def _slid(self) -> None:
        self.delta_changed.emit(self.delta)
        if self.maps is not None:
            self._colours.request(partial(self.maps.recoloured, self.delta))

    def _show_colours(self, recoloured: Recoloured) -> None:
        maps = self.maps
        layer = layer_like(self.viewer, "informed", maps.name)
        if layer is None or layer.data.shape != recoloured.colours.shape:
            self._add_informed(recoloured.colours, layer)
        else:
            layer.data = recoloured.colours
        self.found.setText(
            f"{100 * recoloured.delta:.1f} % of the range of the structure. Mean credibility of "
            f"the lit pixels: {recoloured.credible:.2f}."
        )

    def _add_informed(self, colours: Any, earlier: Image | None) -> None:
        if earlier is not None:
            self.viewer.layers.remove(earlier)
        place, leading = place_of(self.maps.raw_pixel_nm, 2), colours.ndim - 3
        self.viewer.add_image(
            colours,
            rgb=True,
            name=f"{self.maps.name} informed",
            scale=(*(1.0,) * leading, *(place.scale,) * 2),
            translate=(*(0.0,) * leading, *(place.offset,) * 2),
            units=(*("pixel",) * leading, *(place.unit,) * 2),
            metadata={MARK: {"kind": "informed", "name": self.maps.name}},
        )

    def _connect_line(self, event: Any) -> None:
        if mark_of(event.value).get("kind") == LINE:
            event.value.events.set_data.connect(self._request_profile)  # also while the mouse moves

    def _request_profile(self, event: Any = None) -> None:
        maps, ends = self.maps, self._ends()
        if maps is not None and ends is not None:
            t = self._time()
            sr, total = (x if x.ndim == 2 else x[t] for x in (maps.sr, maps.total))
            self._profiles.request(partial(_profile, sr, total, maps.pixel_size_nm, ends))

    def _ends(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Both ends (row, column) of the last line, in pixels of the maps."""
        layer = None if self.maps is None else layer_like(self.viewer, LINE, self.maps.name)
        if layer is None or not len(layer.data):
            return None
        places = np.asarray(layer.data[-1])[:, -2:]
        return tuple(map(float, places[0])), tuple(map(float, places[-1]))

    def _time(self) -> int:
        """The time point that is shown: the axis before rows and columns."""
        step = self.viewer.dims.current_step
        if self.maps.sr.ndim == 2:
            return 0
        return min(int(step[-3]), len(self.maps.sr) - 1)


def _profile(*what: Any) -> Any:
    # Loaded only here, in its thread: pictures are slow to load.
    from bayesdl_sim.napari.steps.figures import profile_picture

    return profile_picture(*what)
