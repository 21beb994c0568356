"""The widget "SIM with uncertainty": drop a raw file, press one button, read the verdict."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from bayesdl_sim.napari.steps.blinking import is_installed
from bayesdl_sim.napari.views.batch import BatchTab
from bayesdl_sim.napari.views.blinking import BlinkingTab
from bayesdl_sim.napari.views.canvas import Turns, layer_like
from bayesdl_sim.napari.views.choosing import Chosen, chosen_layer, read_entry, shown_movie
from bayesdl_sim.napari.views.jobs import Job
from bayesdl_sim.napari.views.parts import BannerView, Bars, DropTarget, buttons_in_a_row, note
from bayesdl_sim.napari.views.patterns import FaultWindow, PatternsTab
from bayesdl_sim.napari.views.saved import Saved, read_path, read_row
from bayesdl_sim.napari.views.trust import TrustTab

if TYPE_CHECKING:
    import napari.viewer

    from bayesdl_sim.inference.posterior import Posterior
    from bayesdl_sim.napari.steps.reconstructing import Outcome

__all__ = ["SimWidget"]

INVITATION = "Drop a raw SIM file here, or select its layer."


class SimWidget(DropTarget):
    """SIM with uncertainty.

    Signals:
        outcome_known: a stack was judged and, unless refused, reconstructed.
    """

    outcome_known = Signal(object)

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        opener: Callable[[], Posterior] | None = None,
    ) -> None:
        """`opener` opens the posterior; None: the shipped one."""
        super().__init__()
        self.viewer, self.opener = viewer, opener or _shipped
        self.chosen: Chosen | None = None
        self.outcome: Outcome | None = None
        self.turns, self.job, self.reading = Turns(self), Job(self), Job(self)
        self._entries: list[Any] = []
        self._make_parts()
        self._jobs = (self.job, self.reading, self.batch.job, self.blinking.job)
        self._lay_out()
        self._connect()
        self._enable()
        self._follow_selection()

    def _make_parts(self) -> None:
        self.message = note(INVITATION)
        self.open = QPushButton("Open a raw file ...")
        self.stacks = QComboBox()
        self.stacks.hide()
        self.run = QPushButton("Reconstruct")
        self.run.setStyleSheet("font-weight: bold; padding: 6px;")
        self.cancel = QPushButton("Cancel")
        self.bars = Bars(("posterior", "fringes", "members", "re-simulation"))
        self.banner = BannerView()
        self.save = QPushButton("Save results ...")
        self.copy = QPushButton("Copy as command")
        self.details = note()
        self.fault: FaultWindow | None = None
        self.trust = TrustTab(self.viewer)
        self.patterns = PatternsTab()
        self.batch = BatchTab(self.opener)
        self.blinking = BlinkingTab(self.viewer, self.turns, is_installed)
        self.tabs = QTabWidget()
        for name in ("trust", "patterns", "batch", "blinking"):
            self.tabs.addTab(getattr(self, name), name.capitalize())

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        for part in (self.message, self.open, self.stacks):
            column.addWidget(part)
        column.addLayout(buttons_in_a_row(self.run, self.cancel))
        for part in (self.bars, self.banner, self.details):
            column.addWidget(part)
        column.addLayout(buttons_in_a_row(self.save, self.copy))
        column.addWidget(self.tabs, 1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(400)

    def _connect(self) -> None:
        self.dropped.connect(self.use_file)
        self.open.clicked.connect(self._choose_file)
        self.stacks.activated.connect(self._choose_entry)
        self.run.clicked.connect(lambda: self.start())
        self.cancel.clicked.connect(self.job.stop)
        self.save.clicked.connect(self._choose_results)
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.command()))
        self.job.progressed.connect(self.bars.advance)
        self.job.ended.connect(self._enable)
        self.reading.ended.connect(self._enable)
        self.banner.show_requested.connect(self.show_fault)
        self.banner.force_requested.connect(lambda: self.start(forced=True))
        self.batch.opened.connect(self._open_row)
        self.viewer.layers.selection.events.active.connect(self._follow_selection)
        QApplication.instance().aboutToQuit.connect(self.stop)

    @property
    def is_busy(self) -> bool:
        """Whether anything is still to come: work, layers or pictures."""
        parts = (self.turns, self.trust, self.patterns)
        return any(job.is_running for job in self._jobs) or any(part.is_busy for part in parts)

    def stop(self) -> None:
        """Ends all work."""
        for job in self._jobs:
            job.stop()

    def use_file(self, path: str | Path) -> None:
        """Reads a raw file, finds the order of its frames, and shows them; or opens a result."""
        path = Path(path)

        def done(opened: Any) -> None:
            if isinstance(opened, Saved):
                return self._show_saved(opened)
            self._entries, chosen = opened
            self.stacks.clear()
            self.stacks.addItems([entry.name for entry in self._entries])
            self.stacks.setVisible(len(self._entries) > 1)
            return self._take(chosen)

        self._begin_reading(path.name, partial(read_path, path), done)

    def _choose_entry(self, number: int) -> None:
        entry = self._entries[number]
        self._begin_reading(entry.name, partial(read_entry, entry), self._take)

    def _begin_reading(self, name: str, read: Callable[[], Any], done: Callable) -> None:
        self.message.setText(f"Reading {name} ...")
        self.reading.start(lambda report: read(), done, self._not_read)
        self._enable()

    def _show_saved(self, saved: Saved) -> None:
        """A result that was written before: with its frames, if they are known."""
        if saved.chosen is None:
            self._forget()
            self.chosen = None
            self.message.setText(f"{saved.name}: a result that was written before.")
        else:
            self._take(saved.chosen)
        self.turns.add_layers(self.viewer, saved.layers)
        self.turns.add(lambda: self.trust.use(saved.trust))
        if saved.banner is not None:
            self.banner.show_verdict(saved.banner, fault=False, forcible=False)

    def _forget(self) -> None:
        """Clears what was shown of the previous stack, since it does not hold for another one."""
        self.outcome = None
        self.banner.hide()
        self.details.setText("")
        self.trust.use(None)
        self.patterns.use(None)

    def _take(self, chosen: Chosen) -> None:
        """A stack that was read becomes the one that is worked on."""
        self._forget()
        self.chosen = chosen
        self.message.setText(f"{chosen.stack.name}: {chosen.order}")
        if chosen.layer is None:
            self.turns.add_layers(self.viewer, chosen.layers)
        shown = layer_like(self.viewer, "raw", chosen.stack.name)
        if shown is not None and chosen.stack.order is not None:
            shown.data = chosen.layers[0][0]  # in the order that was found

    def _not_read(self, reason: str) -> None:
        self.chosen = None
        self._forget()
        self.message.setText(reason or INVITATION)

    def _follow_selection(self, event: Any = None) -> None:
        """A raw layer that is selected becomes the stack, a movie that of the tab Blinking."""
        layer = self.viewer.layers.selection.active
        if layer is None or self.job.is_running or self.turns.is_busy:
            return
        movie = shown_movie(layer)
        if movie is not None and not self.blinking.job.is_running:
            self.blinking.use(movie)
        reader = chosen_layer(layer)
        is_shown = self.chosen is not None and self.chosen.is_shown_by(layer)
        if reader is not None and not is_shown:
            self.stacks.hide()
            self._begin_reading(layer.name, reader, self._take)

    def start(self, forced: bool = False) -> None:
        """Judges and reconstructs the stack; refused frames only if `forced`."""
        stack, opener = self.chosen.stack, self.opener
        self._forget()
        self.bars.begin()

        def work(report: Any) -> Outcome:
            from bayesdl_sim.napari.steps.reconstructing import finished

            return finished(stack, opener, report.progress, forced=forced)

        self.job.start(work, self._done, self._failed)
        self._enable()

    def _done(self, finished: Any) -> None:
        outcome = self.outcome = finished.outcome
        self.bars.end()
        self.banner.show_verdict(finished.banner, finished.fault, outcome.result is None)
        self.details.setText("\n".join(outcome.lines[1:]))
        self.patterns.use(outcome)
        self.turns.add_layers(self.viewer, finished.layers)
        self.turns.add(lambda: self.trust.use(finished.trust))
        self.turns.add(lambda: self.outcome_known.emit(outcome))

    def _failed(self, reason: str) -> None:
        self.bars.end()
        self.details.setText(reason or "Stopped.")

    def show_fault(self) -> None:
        """The frames or the spectrum at fault, in a window; the viewer shows the first of them."""
        frames = [frame for finding in self.outcome.findings for frame in finding.frames]
        if frames and self.viewer.dims.ndim > 2:
            self.viewer.dims.set_current_step(0, frames[0] - 1)
        self.fault = self.fault or FaultWindow(self)
        self.fault.use(self.outcome)

    def command(self) -> str:
        """The line for a terminal that does the same."""
        forced = self.outcome is not None and self.outcome.is_forced
        return self.chosen.command(self.trust.delta, forced)

    def save_results(self, folder: str | Path) -> None:
        """Writes the result as `bayesdl test` does."""
        result, say = self.outcome.result, self.details.setText
        say(f"Writing {folder} ...")
        self.job.start(
            lambda report: result.save(folder),
            lambda where: say(f"Results in {where}."),
            self._failed,
        )
        self._enable()

    def _open_row(self, row: Any) -> None:
        """A row of the batch: its frames, its verdict, and its result where there is one."""
        self._begin_reading(row.name, partial(read_row, row), self._show_saved)

    def _enable(self) -> None:
        running = self.job.is_running
        ready = self.chosen is not None and not self.reading.is_running
        self.run.setEnabled(ready and not running)
        self.cancel.setEnabled(running)
        has_result = self.outcome is not None and self.outcome.result is not None
        self.save.setEnabled(has_result and not running)
        self.copy.setEnabled(ready and self.chosen.has_file)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "A raw SIM stack")
        if path:
            self.use_file(path)

    def _choose_results(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "A folder for the results")
        if folder:
            self.save_results(folder)


def _shipped() -> Posterior:
    # Loaded only here, in its thread: PyTorch takes seconds.
    from bayesdl_sim.napari.steps.reconstructing import shipped

    return shipped()
