"""The tab Batch: a folder in, a table of verdicts out; a double click opens a result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFileDialog, QTableWidget, QTableWidgetItem

from bayesdl_sim.napari.steps.banner import COLOURS
from bayesdl_sim.napari.steps.command import as_line, folder_words, results_beside
from bayesdl_sim.napari.views.running import JobTab

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayesdl_sim.inference.posterior import Posterior
    from bayesdl_sim.napari.steps.batch import Row

__all__ = ["BatchTab"]

HEADINGS = ("stack", "verdict", "p", "reasons", "seconds")
TABLE = "verdicts.csv"


class BatchTab(JobTab):
    """Every stack of a folder, one after the other; the results go beside the folder.

    Signals:
        opened: a row that was double-clicked.
    """

    opened = Signal(object)

    def __init__(self, opener: Callable[[], Posterior]) -> None:
        super().__init__(
            "Every stack of the folder is judged and reconstructed.",
            "Choose a folder of stacks ...",
            "Reconstruct all",
            ("stacks", "fringes", "members", "re-simulation"),
        )
        self.opener, self.rows = opener, []
        self.folder: Path | None = None
        self.results: Path | None = None
        self.table = QTableWidget(0, len(HEADINGS))
        self.table.setHorizontalHeaderLabels(HEADINGS)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.horizontalHeader().setStretchLastSection(False)
        self.table.cellDoubleClicked.connect(lambda row, column: self.opened.emit(self.rows[row]))
        self.job.handed_over.connect(self._add)
        self.column.addWidget(self.table, 1)
        self.enable()

    @property
    def is_chosen(self) -> bool:
        """Whether there is a folder."""
        return self.folder is not None

    def use(self, folder: Path) -> None:
        """Takes a folder of stacks."""
        self.folder = folder.resolve()
        self.results = results_beside(self.folder)
        self.message.setText(f"Stacks of {self.folder}. Results go to {self.results}.")
        self.enable()

    def command(self) -> str:
        """The line that does the same."""
        return as_line(folder_words(self.folder, self.results))

    def start(self) -> None:
        """Reconstructs every stack."""
        self.rows.clear()
        self.table.setRowCount(0)
        folder, results, opener = self.folder, self.results, self.opener

        def work(report: Any) -> int:
            from bayesdl_sim.napari.steps.batch import batch, write_table

            rows = []
            try:
                for row in batch(folder, results, opener, report.progress):
                    rows.append(row)
                    report.hand_over(row)
            finally:  # stopped, too: what was written stays, and its table
                if rows:
                    write_table(results / TABLE, rows)
            return len(rows)

        self.begin(work, self._done, "Stopped. What was written stays.")

    def _done(self, count: int) -> None:
        self.message.setText(
            f"{count} stacks. A double click opens one. The table is {self.results / TABLE}."
        )

    def open_dialog(self) -> None:
        """Opens a dialog for a folder."""
        chosen = QFileDialog.getExistingDirectory(self, "A folder of raw stacks")
        if chosen:
            self.use(Path(chosen))

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        number = self.table.rowCount()
        self.table.insertRow(number)
        for column, words in enumerate(row.cells()[: len(HEADINGS)]):
            item = QTableWidgetItem(words)
            item.setToolTip(words)
            if HEADINGS[column] == "verdict":
                background, letters = COLOURS.get(row.decision, COLOURS["not judged"])
                item.setBackground(QColor(background))
                item.setForeground(QColor(letters))
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            self.table.setItem(number, column, item)
