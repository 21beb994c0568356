"""What the tabs that run a job share: its buttons, its bars and its job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtWidgets import QApplication, QPushButton, QVBoxLayout, QWidget

from bayesdl_sim.napari.views.jobs import Job, Work
from bayesdl_sim.napari.views.parts import Bars, buttons_in_a_row, note

__all__ = ["JobTab"]


class JobTab(QWidget):
    """A tab with one job on one input: choose it, run, cancel, or copy the command.

    A subclass defines what is chosen (`is_chosen`), a dialog for it (`open_dialog`), `start`, which
    starts the work with `begin`, and the line that does the same (`command`).

    Attributes:
        column: the layout, for what a subclass shows below the bars.
        message: the label that shows how the job ended.
    """

    def __init__(self, words: str, choose: str, run: str, parts: Sequence[str]) -> None:
        """The label above all, the texts of the two buttons, the parts of the work."""
        super().__init__()
        self.explained = note(words)
        self.message = self.explained
        self.choose, self.run = QPushButton(choose), QPushButton(run)
        self.cancel, self.copy = QPushButton("Cancel"), QPushButton("Copy as command")
        self.bars = Bars(parts)
        self.job = Job(self)
        self.job.progressed.connect(self.bars.advance)
        self.job.ended.connect(self._ended)
        self.choose.clicked.connect(lambda: self.open_dialog())
        self.run.clicked.connect(lambda: self.start())
        self.cancel.clicked.connect(self.job.stop)
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.command()))
        self.column = QVBoxLayout(self)
        for part in (self.explained, self.choose):
            self.column.addWidget(part)
        self.column.addLayout(buttons_in_a_row(self.run, self.cancel, self.copy))
        self.column.addWidget(self.bars)

    @property
    def is_chosen(self) -> bool:
        """Whether there is something to work on."""
        raise NotImplementedError

    @property
    def is_available(self) -> bool:
        """Whether this installation can do the work at all."""
        return True

    def open_dialog(self) -> None:
        """Lets the user choose."""
        raise NotImplementedError

    def start(self) -> None:
        """Does the work on what was chosen."""
        raise NotImplementedError

    def command(self) -> str:
        """The line that does the same."""
        raise NotImplementedError

    def begin(self, work: Work, done: Callable[[Any], None], stopped: str) -> None:
        """Starts the work.

        Args:
            done: called with the result.
            stopped: what `message` shows where the user stopped it.
        """
        self.bars.begin()
        self.job.start(work, done, lambda reason: self.message.setText(reason or stopped))
        self.enable()

    def enable(self) -> None:
        """Buttons can be pressed where they make sense."""
        running, chosen = self.job.is_running, self.is_chosen and self.is_available
        self.run.setEnabled(chosen and not running)
        self.copy.setEnabled(chosen)
        self.choose.setEnabled(self.is_available and not running)
        self.cancel.setEnabled(running)

    def _ended(self) -> None:
        self.bars.end()
        self.enable()
