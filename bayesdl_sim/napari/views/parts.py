"""Small parts of the tabs: bars for the parts of a job, a picture, and the banner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from bayesdl_sim.napari.steps.banner import Banner

__all__ = ["Bars", "BannerView", "DropTarget", "Picture", "buttons_in_a_row", "note"]


class Bars(QWidget):
    """A bar for every part of the work, in the order in which the parts begin."""

    def __init__(self, parts: Sequence[str] = ()) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self.bars: dict[str, QProgressBar] = {}
        for part in parts:
            self._add(part)
        self.hide()

    def begin(self) -> None:
        """All bars to the left."""
        for bar in self.bars.values():
            bar.setRange(0, 1)
            bar.setValue(0)
        self.show()

    def advance(self, done: int, total: int, part: str) -> None:
        """Moves a bar; before the first step is done it only shows that something goes on."""
        bar = self.bars.get(part) or self._add(part)
        bar.setRange(0, 0 if done == 0 and total == 1 else total)
        bar.setValue(done)

    def end(self) -> None:
        """Bars that never ended stand still; the others are full."""
        for bar in self.bars.values():
            if bar.maximum() == 0:
                bar.setRange(0, 1)
        self.hide()

    def _add(self, part: str) -> QProgressBar:
        bar, row = QProgressBar(), len(self.bars)
        bar.setFormat("%v of %m")
        self._grid.addWidget(QLabel(part), row, 0)
        self._grid.addWidget(bar, row, 1)
        self.bars[part] = bar
        return bar


class Picture(QLabel):
    """A picture that is made smaller with its window, never larger than it is."""

    def __init__(self, words: str) -> None:
        """`words` stand there until a picture comes."""
        super().__init__(words)
        self._words, self._whole = words, QPixmap()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setWordWrap(True)
        self.setMinimumSize(80, 60)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)

    @property
    def is_empty(self) -> bool:
        """Whether no picture has come."""
        return self._whole.isNull()

    def show_picture(self, image: NDArray) -> None:
        """Shows an image (h, w, 3) of uint8."""
        height, width = image.shape[:2]
        kind = QImage.Format.Format_RGB888
        self._whole = QPixmap.fromImage(QImage(image.tobytes(), width, height, 3 * width, kind))
        self._fit()

    def forget(self) -> None:
        """Shows the text again."""
        self._whole = QPixmap()
        self.setText(self._words)

    def sizeHint(self) -> QSize:  # noqa: N802, the name is Qt's
        return QSize(420, 260)

    def resizeEvent(self, event: object) -> None:  # noqa: N802, the name is Qt's
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if not self.is_empty:
            size = self.size().boundedTo(self._whole.size())
            self.setPixmap(
                self._whole.scaled(
                    size,
                    Qt.AspectRatioMode.KeepAspectRatio,
                    Qt.TransformationMode.SmoothTransformation,
                )
            )


class BannerView(QFrame):
    """The verdict: green, amber, red or grey, with its reasons, and what can be done about it.

    Signals:
        show_requested: the frames or the spectrum at fault.
        force_requested: a reconstruction of refused frames.
    """

    show_requested = Signal()
    force_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("banner")
        self.headline, self.sentences = QLabel(), QLabel()
        self.sentences.setWordWrap(True)
        self.sentences.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.show_me = QPushButton("Show me")
        self.force = QPushButton("Reconstruct all the same")
        self.show_me.clicked.connect(self.show_requested)
        self.force.clicked.connect(self.force_requested)
        column = QVBoxLayout(self)
        column.addWidget(self.headline)
        column.addWidget(self.sentences)
        column.addLayout(buttons_in_a_row(self.show_me, self.force))
        self.hide()

    def show_verdict(self, banner: Banner, fault: bool, forcible: bool) -> None:
        """Shows a verdict.

        Args:
            fault: whether there is something at fault to show.
            forcible: whether a reconstruction was refused.
        """
        self.headline.setText(banner.headline)
        self.sentences.setText("\n".join(banner.sentences))
        self.show_me.setVisible(fault)
        self.force.setVisible(forcible)
        letters = f"color: {banner.letters};"
        self.setStyleSheet(
            f"#banner {{ background: {banner.background}; border-radius: 6px; }}"
            f"#banner QLabel {{ background: transparent; {letters} }}"
        )
        self.headline.setStyleSheet(f"font-size: 18px; font-weight: bold; {letters}")
        self.show()


class DropTarget(QWidget):
    """A widget that takes a file or folder from a file manager.

    Signals:
        dropped: its path.
    """

    dropped = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802, the name is Qt's
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802, the name is Qt's
        self.dropped.emit(event.mimeData().urls()[0].toLocalFile())
        event.acceptProposedAction()


def note(words: str = "") -> QLabel:
    """A label of several lines."""
    label = QLabel(words)
    label.setWordWrap(True)
    return label


def buttons_in_a_row(*buttons: QWidget) -> QHBoxLayout:
    """A row of buttons."""
    row = QHBoxLayout()
    for button in buttons:
        row.addWidget(button)
    return row
