"""The widget from the file to the banner: good, other order, refused, cancelled, forced, saved."""

import shlex
from threading import Event

import numpy as np
import pytest

from bayesdl_sim.commands.testing.options import parse_args
from bayesdl_sim.napari.steps.banner import COLOURS
from bayesdl_sim.napari.steps.stopping import Stopped

MAPS = {"SR", "Aleatoric", "Epistemic", "Credibility", "Contradicted"}
pytestmark = [
    pytest.mark.filterwarnings("error::FutureWarning"),  # napari's deprecations
    pytest.mark.filterwarnings("error::DeprecationWarning:bayesdl_sim"),
]


def layer_of(viewer, kind):
    from bayesdl_sim.napari.views.canvas import mark_of

    (layer,) = [layer for layer in viewer.layers if mark_of(layer).get("kind") == kind]
    return layer


def test_nothing_can_be_run_before_a_file_is_chosen(widget):
    assert "Drop a raw SIM file" in widget.message.text()
    assert not widget.run.isEnabled()
    assert not widget.copy.isEnabled()
    assert widget.banner.isHidden()
    names = [widget.tabs.tabText(number) for number in range(widget.tabs.count())]
    assert names == ["Trust", "Patterns", "Batch", "Blinking"]


def test_good_stack_becomes_layers_that_lie_on_each_other(reconstructed, good, kinds):
    widget = reconstructed(good)
    assert "as the file has them" in widget.message.text()
    assert not widget.banner.isHidden()
    assert widget.banner.headline.text() == "Not judged"
    assert COLOURS["not judged"][0] in widget.banner.styleSheet()
    viewer = widget.viewer
    assert {"raw", "wide field", "informed", *MAPS} <= set(kinds(viewer))
    raw, sr = layer_of(viewer, "raw"), layer_of(viewer, "SR")
    assert [str(unit) for unit in sr.units] == ["micrometer", "micrometer"]
    np.testing.assert_allclose(raw.scale[-2:], 2 * sr.scale)
    half = np.stack([-sr.scale / 2, sr.scale * (np.array(sr.data.shape) - 0.5)]) + sr.translate
    whole = np.array([-0.5, raw.data.shape[-1] - 0.5]) * raw.scale[-1]
    np.testing.assert_allclose(half[:, 0], whole, atol=1e-6)
    assert any("fringes found in 3 of 3" in line for line in widget.details.text().split("\n"))


def test_second_run_replaces_the_layers(reconstructed, click, settled, good, kinds):
    widget = reconstructed(good)
    before = sorted(kinds(widget.viewer))
    click(widget.run)
    settled(widget)
    assert sorted(kinds(widget.viewer)) == before


def test_phase_major_stack_is_reordered_and_its_order_shown(widget, settled, phase_major, frames):
    widget.use_file(phase_major)
    settled(widget)
    assert "The fringes prove another order (phase,orientation)" in widget.message.text()
    np.testing.assert_array_equal(layer_of(widget.viewer, "raw").data, frames)
    assert widget.run.isEnabled()


def test_refused_stack_is_red_and_shows_the_frames_at_fault(
    reconstructed, click, settled, refused, kinds, qtbot
):
    widget = reconstructed(refused)
    assert widget.banner.headline.text() == "Refused"
    assert COLOURS["refuse"][0] in widget.banner.styleSheet()
    assert "Frames 8 and 9 are copies of one exposure." in widget.banner.sentences.text()
    assert not MAPS & set(kinds(widget.viewer))
    assert not widget.save.isEnabled()
    click(widget.banner.show_me)
    assert widget.viewer.dims.current_step[0] == 7
    fault = widget.fault
    assert fault.isVisible()
    qtbot.waitUntil(lambda: not fault.picture.is_empty, timeout=60_000)

    click(widget.banner.force)
    settled(widget)
    assert set(kinds(widget.viewer)) >= MAPS
    assert widget.banner.headline.text() == "Refused"
    assert widget.banner.force.isHidden()
    assert widget.command().endswith("--force")
    fault.close()


def test_file_that_is_no_stack_gives_the_reason(widget, settled, write, frames):
    widget.use_file(write("five.tif", frames[:5]))
    settled(widget)
    assert "holds 5 images" in widget.message.text()
    assert not widget.run.isEnabled()


def test_cancel_ends_the_work_and_leaves_the_window_ready(
    widget, settled, click, good, kinds, small_posterior
):
    reached, go_on = Event(), Event()

    def slow():
        reached.set()
        go_on.wait(60)
        return small_posterior

    widget.use_file(good)
    settled(widget)
    widget.opener = slow
    click(widget.run)
    assert reached.wait(60)
    assert not widget.run.isEnabled()
    click(widget.cancel)
    go_on.set()
    settled(widget)
    assert widget.details.text() == "Stopped."
    assert widget.outcome is None
    assert not MAPS & set(kinds(widget.viewer))
    assert widget.run.isEnabled()
    assert not widget.cancel.isEnabled()
    widget.opener = lambda: small_posterior
    click(widget.run)
    settled(widget)
    assert widget.outcome.result is not None


def test_fault_of_the_program_shows_its_traceback_and_ends_nothing(
    widget, settled, click, good, qtbot
):
    def broken():
        raise ZeroDivisionError("by nothing")

    widget.use_file(good)
    settled(widget)
    widget.opener = broken
    with qtbot.capture_exceptions() as exceptions:  # napari shows them
        click(widget.run)
        settled(widget)
    assert [kind for kind, _, _ in exceptions] == [ZeroDivisionError]
    assert "a fault of the program: ZeroDivisionError" in widget.details.text()
    assert widget.run.isEnabled()


def test_copied_command_is_taken_by_the_command_line(reconstructed, click, good):
    from qtpy.QtWidgets import QApplication

    widget = reconstructed(good)
    widget.trust.slider.setValue(20)
    click(widget.copy)
    words = shlex.split(QApplication.clipboard().text())
    assert words[:2] == ["bayesdl", "test"]
    settings = parse_args(words[2:])
    assert settings.test_data == good
    assert settings.numbers.delta == 0.02
    assert {"Contradicted", "Misfit"} <= set(settings.maps)


def test_saved_result_is_the_one_of_the_command(reconstructed, settled, good, tmp_path):
    widget = reconstructed(good)
    widget.save_results(tmp_path / "out")
    settled(widget)
    assert (tmp_path / "out" / "SR.tif").is_file()
    assert (tmp_path / "out" / "Contradicted.tif").is_file()
    assert "Results in" in widget.details.text()


def test_colours_of_a_file_can_be_chosen(widget, settled, tmp_path, frames):
    import tifffile

    path = tmp_path / "two.ome.tif"
    metadata = {"axes": "ZCYX", "Channel": {"Name": ["green", "red"]}}
    tifffile.imwrite(path, np.stack([frames, frames // 2], axis=1), ome=True, metadata=metadata)
    widget.use_file(path)
    settled(widget)
    assert not widget.stacks.isHidden()
    assert [widget.stacks.itemText(n) for n in range(2)] == ["two_green", "two_red"]
    widget.stacks.setCurrentIndex(1)
    widget.stacks.activated.emit(1)
    settled(widget)
    assert widget.chosen.stack.name == "two_red"
    assert "--channel red" in widget.command()


def test_layer_of_another_reader_is_taken(widget, settled, frames):
    widget.viewer.add_image(
        frames, name="from elsewhere", scale=(1, 0.065, 0.065), units=("pixel", "um", "um")
    )
    settled(widget)
    assert widget.chosen.stack.pixel_size_nm == pytest.approx(65)
    assert widget.run.isEnabled()
    assert not widget.copy.isEnabled()  # no file that a command could name


def test_dropped_file_is_read(widget, settled, good):
    from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
    from qtpy.QtGui import QDropEvent

    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(good))])
    place, buttons = QPointF(5, 5), Qt.MouseButton.LeftButton
    keys = Qt.KeyboardModifier.NoModifier
    widget.dropEvent(QDropEvent(place, Qt.DropAction.CopyAction, data, buttons, keys))
    settled(widget)
    assert widget.chosen.stack.source == good


def test_stopped_work_hands_nothing_over():
    from bayesdl_sim.napari.views.jobs import Job, _Reporting

    stop, job = Event(), Job()
    items = []
    job.handed_over.connect(items.append)
    reporting = _Reporting(job, stop)
    reporting.hand_over(1)
    stop.set()
    reporting.hand_over(2)
    with pytest.raises(Stopped):
        reporting.progress(0, 1, "members")
    assert items == [1]
