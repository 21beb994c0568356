"""Work beside the window's thread: with progress, to be stopped, and never two at once."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from bayesdl_sim.napari.steps.stopping import Stopped
from bayesdl_sim.utils.errors import InputError, in_plain_words, printable

__all__ = ["Job", "Latest"]

Work = Callable[["_Reporting"], Any]


class _Failure:
    """Why the work ended without a result; an empty reason where it was stopped."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason


class Job(QObject):
    """One piece of work at a time.

    The work is called in a thread, with an object of which it may call `progress(done, total,
    part)` and `hand_over(item)`. `progress` ends a job that was stopped.

    Signals:
        progressed: done, total and part, in the window's thread.
        handed_over: an item, before the work has ended.
        ended: the job is over, with whatever result.
    """

    progressed = Signal(int, int, str)
    handed_over = Signal(object)
    ended = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._stop: Event | None = None
        self._worker: Any = None

    @property
    def is_running(self) -> bool:
        """Whether the work goes on."""
        return self._worker is not None

    def start(self, work: Work, done: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        """Starts the work; one that still runs is stopped, and what it gives is dropped.

        Args:
            done: called with the result of the work.
            failed: called with the reason in plain words, empty where it was stopped.
        """
        self.stop()
        stop = self._stop = Event()
        worker = self._worker = create_worker(_guarded, work, _Reporting(self, stop))

        def over(value: Any) -> None:
            if self._worker is worker:
                self._worker = None
                if isinstance(value, _Failure):
                    failed(value.reason)
                else:
                    done(value)
                self.ended.emit()

        def broken(error: Exception) -> None:
            over(_Failure(f"a fault of the program: {error!r}"))

        worker.returned.connect(over)
        worker.errored.connect(broken)
        worker.start()

    def stop(self) -> None:
        """Requests the work to end, which it does at its next progress."""
        if self._stop is not None:
            self._stop.set()


class _Reporting:
    """The interface of a job for its work, in its thread."""

    def __init__(self, job: Job, stop: Event) -> None:
        self._job, self._stop = job, stop

    def progress(self, done: int, total: int, part: str) -> None:
        """Reports progress; raises `Stopped` where the user has stopped the work."""
        if self._stop.is_set():
            raise Stopped
        try:
            self._job.progressed.emit(done, total, part)
        except RuntimeError:  # the window is gone
            raise Stopped from None

    def hand_over(self, item: Any) -> None:
        """Gives an item to the window."""
        if not self._stop.is_set():
            self._job.handed_over.emit(item)


def _guarded(work: Work, reporting: _Reporting) -> Any:
    """What the work returns; mistakes of the user and lacks of memory or disk as a `_Failure`."""
    try:
        return work(reporting)
    except Stopped:
        return _Failure()
    except Exception as error:
        message = in_plain_words(error)
        if message is None:
            raise
        return _Failure(printable(message))


class Latest(QObject):
    """Computes the newest request: while one is in progress, only the last of the others waits."""

    def __init__(self, show: Callable[[Any], None], parent: QObject | None = None) -> None:
        """`show` is called with each result."""
        super().__init__(parent)
        self._show, self._waiting, self._busy = show, None, False

    @property
    def is_busy(self) -> bool:
        """Whether a result is still to come."""
        return self._busy

    def request(self, compute: Callable[[], Any]) -> None:
        """Computes a request in a thread, as soon as the previous one is done."""
        self._waiting = compute
        if not self._busy:
            self._next()

    def _next(self) -> None:
        compute, self._waiting = self._waiting, None
        self._busy = compute is not None
        if compute is not None:
            worker = create_worker(_quietly, compute)
            worker.returned.connect(self._received)
            worker.errored.connect(lambda error: self._next())
            worker.start()

    def _received(self, result: Any) -> None:
        if result is not None:
            self._show(result)
        self._next()


def _quietly(compute: Callable[[], Any]) -> Any:
    """The result; None where the request makes no sense (yet), as a line without length."""
    try:
        return compute()
    except InputError:
        return None
