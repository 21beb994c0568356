"""The tab Blinking: a movie in, structure and probability out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog

from bayesdl_sim.napari.steps.blinking import MISSING, STAGES
from bayesdl_sim.napari.steps.command import as_line, movie_words
from bayesdl_sim.napari.views.canvas import Turns
from bayesdl_sim.napari.views.parts import note
from bayesdl_sim.napari.views.running import JobTab

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["BlinkingTab"]

EXPLAINED = (
    "A movie of a densely labelled sample whose fluorophores blink (at least 100 frames) becomes "
    "one image with eight rows and columns to each camera pixel, and a probability for each."
)


class BlinkingTab(JobTab):
    """DLBI on a movie: the selected layer's, or one from the disk."""

    def __init__(self, viewer: Viewer, turns: Turns, is_installed: Callable[[], bool]) -> None:
        super().__init__(EXPLAINED, "Choose a movie ...", "Reconstruct the movie", ())
        self.viewer, self.turns = viewer, turns
        self.movie: Path | None = None
        self.stage = STAGES[-1]
        self.message = note()
        self.column.addWidget(self.message)
        self.column.addStretch(1)
        self.has_dlbi = is_installed()
        if not self.has_dlbi:
            self.explained.setText(MISSING)
        self.enable()

    @property
    def is_chosen(self) -> bool:
        """Whether there is a movie."""
        return self.movie is not None

    @property
    def is_available(self) -> bool:
        """Whether this installation holds DLBI."""
        return self.has_dlbi

    def use(self, movie: Path) -> None:
        """Takes a movie from the disk."""
        self.movie = movie
        self.message.setText(f"Movie: {movie}")
        self.enable()

    def command(self) -> str:
        """The line that does the same."""
        return as_line(movie_words(self.movie, self.movie.with_name(f"{self.movie.stem}-results")))

    def start(self) -> None:
        """Reconstructs the movie."""
        movie, stage = self.movie, self.stage

        def work(report: Any) -> Any:
            from bayesdl_sim.napari.steps.blinking import movie_layers

            return movie_layers(movie, report.progress, stage)

        self.begin(work, self._done, "Stopped.")

    def _done(self, movie: Any) -> None:
        self.message.setText(" ".join(movie.sentences))
        self.turns.add_layers(self.viewer, movie.layers)

    def open_dialog(self) -> None:
        """Opens a dialog for a movie."""
        chosen, _ = QFileDialog.getOpenFileName(
            self, "A movie of a blinking sample", "", "Movies (*.tif *.tiff)"
        )
        if chosen:
            self.use(Path(chosen))
