"""The widget in a window of napari; skipped by name where there is no napari or no display."""

import importlib.util
import os
import sys

import pytest

NO_NAPARI = "napari is not installed: pip install -r requirements-napari.txt"
NO_DISPLAY = "there is no display: run the tests under xvfb-run"
WAIT_MS = 120_000


def has_display():
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY"))


def pytest_collection_modifyitems(items):
    """Skips the tests of this folder before any fixture opens a window."""
    reasons = []
    if importlib.util.find_spec("napari") is None or importlib.util.find_spec("pytestqt") is None:
        reasons.append(NO_NAPARI)
    elif not has_display():
        reasons.append(NO_DISPLAY)
    for item in items:
        if os.path.dirname(__file__) in str(item.path):
            for reason in reasons:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def settled(qtbot):
    """Waits until a widget has nothing left to do."""

    def settled(widget):
        qtbot.waitUntil(lambda: not widget.is_busy, timeout=WAIT_MS)

    return settled


@pytest.fixture
def widget(make_napari_viewer, opener):
    """The widget in a dock, with a small posterior."""
    from bayesdl_sim.napari.views.widget import SimWidget

    viewer = make_napari_viewer()
    widget = SimWidget(viewer, opener)
    viewer.window.add_dock_widget(widget, name="SIM with uncertainty", area="right")
    yield widget
    widget.stop()


@pytest.fixture
def click(qtbot):
    """Clicks a button as a mouse does; it has to be enabled."""
    from qtpy.QtCore import Qt

    def click(button):
        assert button.isEnabled()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return click


@pytest.fixture
def reconstructed(widget, settled, click):
    """Reads a file and presses the one button."""

    def reconstructed(path):
        widget.use_file(path)
        settled(widget)
        click(widget.run)
        settled(widget)
        return widget

    return reconstructed


@pytest.fixture
def kinds():
    """The kinds of the layers of a viewer, from below."""
    from bayesdl_sim.napari.views.canvas import mark_of

    return lambda viewer: [mark_of(layer).get("kind") for layer in viewer.layers]
