"""The tab Blinking: a movie in, structure and probability out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication, QFileDialog, QPushButton, QVBoxLayout, QWidget

from bayesdl_sim.napari.steps.command import as_line, movie_words
from bayesdl_sim.napari.views.canvas import Turns
from bayesdl_sim.napari.views.jobs import Job
from bayesdl_sim.napari.views.parts import Bars, buttons_in_a_row, note

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["BlinkingTab"]

EXPLAINED = (
    "A movie of a densely labelled sample whose fluorophores blink (at least 100 frames) becomes "
    "one image with eight rows and columns to each camera pixel, and a probability for each."
)
PARTS = ("reading", "moments", "network", "bayes")


class BlinkingTab(QWidget):
    """DLBI on a movie: the selected layer's, or one from the disk."""

    def __init__(self, viewer: Viewer, turns: Turns, is_there: Callable[[], bool]) -> None:
        super().__init__()
        self.viewer, self.turns = viewer, turns
        self.movie: Path | None = None
        self.stage = PARTS[-1]
        self.said = note(EXPLAINED)
        self.choose = QPushButton("Choose a movie ...")
        self.run = QPushButton("Reconstruct the movie")
        self.cancel = QPushButton("Cancel")
        self.copy = QPushButton("Copy as command")
        self.bars = Bars(PARTS)
        self.found = note()
        self.job = Job(self)
        self.job.progressed.connect(self.bars.advance)
        self.job.ended.connect(self._ended)
        self.choose.clicked.connect(self._ask_movie)
        self.run.clicked.connect(self.start)
        self.cancel.clicked.connect(self.job.stop)
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.command()))
        column = QVBoxLayout(self)
        column.addWidget(self.said)
        column.addWidget(self.choose)
        column.addLayout(buttons_in_a_row(self.run, self.cancel, self.copy))
        column.addWidget(self.bars)
        column.addWidget(self.found)
        column.addStretch(1)
        self.has_dlbi = is_there()
        if not self.has_dlbi:
            from bayesdl_sim.napari.steps.blinking import MISSING

            self.said.setText(MISSING)
        self._enable()

    def use(self, movie: Path) -> None:
        """Takes a movie from the disk."""
        self.movie = movie
        self.found.setText(f"Movie: {movie}")
        self._enable()

    def command(self) -> str:
        """The line that does the same."""
        return as_line(movie_words(self.movie, self.movie.with_name(f"{self.movie.stem}-results")))

    def start(self) -> None:
        """Reconstructs the movie."""
        movie, stage = self.movie, self.stage
        self.bars.begin()

        def work(report: Any) -> Any:
            from bayesdl_sim.napari.steps.blinking import movie_layers

            return movie_layers(movie, report.progress, stage)

        self.job.start(work, self._done, self._failed)
        self._enable()

    def _done(self, movie: Any) -> None:
        self.found.setText(" ".join(movie.sentences))
        self.turns.add_layers(self.viewer, movie.layers)

    def _failed(self, reason: str) -> None:
        self.found.setText(reason or "Stopped.")

    def _ended(self) -> None:
        self.bars.end()
        self._enable()

    def _enable(self) -> None:
        running, chosen = self.job.is_running, self.movie is not None
        self.run.setEnabled(self.has_dlbi and chosen and not running)
        self.choose.setEnabled(self.has_dlbi and not running)
        self.copy.setEnabled(self.has_dlbi and chosen)
        self.cancel.setEnabled(running)

    def _ask_movie(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "A movie of a blinking sample", "", "Movies (*.tif *.tiff)"
        )
        if chosen:
            self.use(Path(chosen))
