"""The tabs: slider and profile, patterns, batch with its double click, a blinking movie."""

import importlib.util

import numpy as np
import pytest
import tifffile

from bayesdl_sim.napari.samples import sample_path
from bayesdl_sim.napari.steps.opening import entries_of, opened
from bayesdl_sim.napari.steps.reconstructing import reconstruct

pytestmark = [
    pytest.mark.filterwarnings("error::FutureWarning"),
    pytest.mark.filterwarnings("error::DeprecationWarning:bayesdl_sim"),
]


def layer_of(viewer, kind):
    from bayesdl_sim.napari.views.canvas import mark_of

    (layer,) = [layer for layer in viewer.layers if mark_of(layer).get("kind") == kind]
    return layer


def test_slider_recolours_without_asking_a_network(reconstructed, settled, good):
    widget = reconstructed(good)

    def forbidden():
        raise AssertionError("a posterior was opened")

    widget.opener = forbidden
    before = np.array(layer_of(widget.viewer, "informed").data)
    for steps in (10, 60, 150):
        widget.trust.slider.setValue(steps)
    settled(widget)
    layer = layer_of(widget.viewer, "informed")
    expected = widget.trust.maps.recoloured(0.15)
    np.testing.assert_array_equal(layer.data, expected.colours)
    assert (layer.data != before).any()
    assert "15.0 % of the range" in widget.trust.found.text()
    assert f"{expected.credible:.2f}" in widget.trust.found.text()


def test_line_gives_the_live_profile(reconstructed, settled, click, good):
    from bayesdl_sim.napari.steps.figures import profile_picture

    widget = reconstructed(good)
    click(widget.trust.draw)
    lines = layer_of(widget.viewer, "profile line")
    sr = layer_of(widget.viewer, "SR")
    assert lines.mode == "add_line"
    np.testing.assert_allclose(lines.scale, sr.scale)
    np.testing.assert_allclose(lines.translate, sr.translate)
    assert widget.trust.profile.is_empty
    lines.add([[10, 20], [90, 120]], shape_type="line")
    settled(widget)
    assert not widget.trust.profile.is_empty
    shown = widget.trust.profile._whole.toImage()
    lines.data = [np.array([[90.0, 20.0], [10.0, 120.0]])]
    settled(widget)
    moved = widget.trust.profile._whole.toImage()
    assert shown != moved
    maps = widget.trust.maps
    expected = profile_picture(maps.sr, maps.total, 32.5, ((90.0, 20.0), (10.0, 120.0)))
    assert (moved.height(), moved.width()) == expected.shape[:2]


def test_line_without_length_is_waited_for(reconstructed, settled, click, good):
    widget = reconstructed(good)
    click(widget.trust.draw)
    layer_of(widget.viewer, "profile line").add([[10, 20], [10, 20.5]], shape_type="line")
    settled(widget)
    assert widget.trust.profile.is_empty


def test_series_is_coloured_and_profiled_at_the_time_that_is_shown(
    reconstructed, settled, click, write, frames
):
    small = frames[:, :64, :64]
    widget = reconstructed(write("series.tif", np.concatenate([small, small[:, ::-1]])))
    assert layer_of(widget.viewer, "informed").data.shape == (2, 128, 128, 3)
    click(widget.trust.draw)
    layer_of(widget.viewer, "profile line").add([[10, 20], [90, 100]], shape_type="line")
    settled(widget)
    first = widget.trust.profile._whole.toImage()
    axis = widget.viewer.dims.ndim - 3
    widget.viewer.dims.set_current_step(axis, 1 - widget.viewer.dims.current_step[axis])
    settled(widget)
    assert widget.trust.profile._whole.toImage() != first


def test_patterns_are_drawn_and_described(reconstructed, settled, good):
    widget = reconstructed(good)
    settled(widget)
    assert not widget.patterns.picture.is_empty
    assert widget.patterns.found.text().startswith("Fringes found in 3 of 3 orientations")


@pytest.fixture
def folder(tmp_path, frames):
    folder = tmp_path / "stacks"
    folder.mkdir()
    tifffile.imwrite(folder / "a_good.tif", frames[:, :64, :64])
    tifffile.imwrite(folder / "b_refused.tif", frames[[0, 1, 2, 3, 4, 5, 6, 8, 8]])
    return folder


def test_batch_gives_a_table_and_a_double_click_opens(widget, settled, click, folder, kinds):
    batch = widget.batch
    assert not batch.run.isEnabled()
    batch.use(folder)
    assert batch.command().endswith("stacks-results --misfit")
    click(batch.run)
    settled(widget)
    cells = [[batch.table.item(row, column).text() for column in (0, 1)] for row in range(2)]
    assert cells == [["a_good", "not judged"], ["b_refused", "refuse"]]
    assert (folder.parent / "stacks-results" / "verdicts.csv").is_file()
    assert (folder.parent / "stacks-results" / "a_good" / "SR.tif").is_file()
    batch.table.cellDoubleClicked.emit(0, 0)
    settled(widget)
    shown = kinds(widget.viewer)
    assert {"raw", "SR", "Credibility", "informed"} <= set(shown)
    assert shown.index("raw") < shown.index("SR")  # the result lies on the frames
    assert widget.chosen.stack.name == "a_good"
    assert widget.banner.headline.text() == "Not judged"
    batch.table.cellDoubleClicked.emit(1, 0)
    settled(widget)
    assert widget.chosen.stack.name == "b_refused"
    assert widget.banner.headline.text() == "Refused"
    assert not widget.trust.isEnabled()  # the first stack's maps are not those of the second


def test_result_of_before_has_its_slider(widget, settled, good, opener, silent, tmp_path):
    folder = reconstruct(opened(entries_of(good)[0]), opener, silent).result.save(tmp_path / "out")
    widget.use_file(folder)
    settled(widget)
    assert "a result that was written before" in widget.message.text()
    assert not widget.run.isEnabled()
    before = np.array(layer_of(widget.viewer, "informed").data)
    widget.trust.slider.setValue(10)
    settled(widget)
    assert (layer_of(widget.viewer, "informed").data != before).any()


def test_batch_can_be_cancelled(widget, settled, click, folder):
    batch = widget.batch
    batch.use(folder)
    click(batch.run)
    click(batch.cancel)
    settled(widget)
    assert batch.message.text().startswith("Stopped.")
    assert batch.run.isEnabled()


def test_folder_without_stacks_is_reported(widget, settled, click, tmp_path):
    (tmp_path / "empty").mkdir()
    widget.batch.use(tmp_path / "empty")
    click(widget.batch.run)
    settled(widget)
    assert "holds no images" in widget.batch.message.text()


@pytest.mark.skipif(
    importlib.util.find_spec("bayesdl_sim.dlbi") is None, reason="the folder dlbi/ is not there"
)
def test_movie_becomes_structure_and_probability(widget, settled, click, kinds):
    from bayesdl_sim.napari.samples import blinking

    ((data, options, _),) = blinking()
    widget.viewer.add_image(data, **options)
    tab = widget.blinking
    assert tab.movie == sample_path("blinking", "movie.tif")
    assert "dlbi.reconstruct --movie" in tab.command()
    tab.stage = "moments"
    click(tab.run)
    settled(widget)
    assert {"movie", "mean image", "structure", "probability"} <= set(kinds(widget.viewer))
    structure = layer_of(widget.viewer, "structure")
    assert structure.data.shape == (320, 320)
    np.testing.assert_allclose(structure.scale, 0.02)
    assert "100 frames" in tab.message.text()


def test_without_dlbi_only_its_tab_is_off(make_napari_viewer):
    from bayesdl_sim.napari.views.blinking import BlinkingTab
    from bayesdl_sim.napari.views.canvas import Turns

    tab = BlinkingTab(make_napari_viewer(), Turns(), lambda: False)
    assert "holds no DLBI" in tab.explained.text()
    tab.use(sample_path("blinking", "movie.tif"))
    assert not tab.run.isEnabled()
