"""The tab Patterns: the spectra of a stack's fringes, and their measured parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDialog, QVBoxLayout, QWidget

from bayesdl_sim.napari.views.jobs import Latest
from bayesdl_sim.napari.views.parts import Picture, note

if TYPE_CHECKING:
    from bayesdl_sim.napari.steps.reconstructing import Outcome

__all__ = ["FaultWindow", "PatternsTab"]

LEAST_HEIGHT = 360  # of the picture, screen pixels: the marks of the carriers are small
EXPLAINED = (
    "Each orientation has a bright pair of spots, the carriers, inside the cut-off circle of the "
    "lens. Periods of the three are alike, angles are 60 degrees apart, phases 120."
)


class PatternsTab(QWidget):
    """Spectrum, carriers, cut-off circle and modulation of the three orientations."""

    def __init__(self) -> None:
        super().__init__()
        self.message = note(EXPLAINED)
        self.found = note()
        self.picture = Picture("The spectra of a stack stand here once it was looked at.")
        self.picture.setMinimumHeight(LEAST_HEIGHT)
        self._pictures = Latest(self.picture.show_picture, self)
        column = QVBoxLayout(self)
        column.addWidget(self.message)
        column.addWidget(self.picture, 1)
        column.addWidget(self.found)

    @property
    def is_busy(self) -> bool:
        """Whether the picture is still to come."""
        return self._pictures.is_busy

    def use(self, outcome: Outcome | None) -> None:
        """Shows the patterns of a stack."""
        self.found.setText("")
        self.picture.forget()
        if outcome is not None and outcome.patterns is not None:
            self.found.setText(_sentence(outcome.patterns))
            self._pictures.request(lambda: _patterns(outcome))


class FaultWindow(QDialog):
    """The frames at fault, and the spectra, in a window of their own."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("What is at fault")
        self.resize(1000, 640)
        self.picture = Picture("Drawing ...")
        self._pictures = Latest(self.picture.show_picture, self)
        QVBoxLayout(self).addWidget(self.picture)

    def use(self, outcome: Outcome) -> None:
        """Shows what is at fault in a stack."""
        self.picture.forget()
        self.show()
        self._pictures.request(lambda: _fault(outcome))


def _patterns(outcome: Outcome) -> Any:
    from bayesdl_sim.napari.steps.figures import patterns_picture

    return patterns_picture(outcome.spectra, outcome.patterns)


def _fault(outcome: Outcome) -> Any:
    from bayesdl_sim.napari.steps.figures import fault_picture

    return fault_picture(outcome)


def _sentence(patterns: dict[str, Any]) -> str:
    from bayesdl_sim.inference.fringes import fringe_sentence

    sentence = fringe_sentence([patterns])
    return f"{sentence[:1].upper()}{sentence[1:]}."
