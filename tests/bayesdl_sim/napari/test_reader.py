"""The reader: what it takes, what it leaves to others, and that raw and results share one place."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

from bayesdl_sim.napari.reader import get_reader, read_path
from bayesdl_sim.napari.steps.layers import MARK
from bayesdl_sim.napari.steps.opening import entries_of, opened
from bayesdl_sim.napari.steps.reconstructing import reconstruct


def by_kind(layers):
    return {options["metadata"][MARK]["kind"]: (image, options) for image, options, _ in layers}


def extent(image, options):
    """World coordinates of the outer edges of the first and the last pixel, (2, 2)."""
    scale, offset = np.array(options["scale"][-2:]), np.array(options["translate"][-2:])
    return offset + scale * np.array([[-0.5, -0.5], np.array(image.shape[-2:]) - 0.5])


@pytest.fixture
def result_folder(good, opener, silent, tmp_path):
    outcome = reconstruct(opened(entries_of(good)[0]), opener, silent)
    return outcome.result.save(tmp_path / "results")


def test_raw_stack_becomes_raw_frames_and_wide_field_in_micrometres(good, frames):
    layers = by_kind(get_reader(str(good))(str(good)))
    assert list(layers) == ["raw", "wide field"]
    raw, options = layers["raw"]
    np.testing.assert_array_equal(raw, frames)
    assert options["name"] == "good raw"
    assert options["scale"] == pytest.approx((1, 0.065, 0.065))
    assert options["units"] == ("pixel", "um", "um")
    wide_field, options = layers["wide field"]
    np.testing.assert_allclose(wide_field, frames.mean(axis=0), rtol=1e-5)
    assert options["scale"] == pytest.approx((0.065, 0.065))


def test_time_is_an_axis_between_frames_and_rows(write, frames):
    path = write("series.tif", np.concatenate([frames, frames + 1]))
    layers = by_kind(read_path(str(path)))
    assert layers["raw"][0].shape == (9, 2, *frames.shape[1:])
    np.testing.assert_array_equal(layers["raw"][0][3, 1], frames[3] + 1)
    assert layers["wide field"][0].shape == (2, *frames.shape[1:])


def test_colours_become_layers_of_their_own(tmp_path, frames):
    path = tmp_path / "two.ome.tif"
    colours = np.stack([frames, frames // 2], axis=1)
    metadata = {"axes": "ZCYX", "Channel": {"Name": ["green", "red"]}}
    tifffile.imwrite(path, colours, ome=True, metadata=metadata)
    names = [options["name"] for _, options, _ in read_path(str(path))]
    assert names == ["two_green raw", "two_green wide field", "two_red raw", "two_red wide field"]


def test_result_lies_on_its_raw_frames(good, result_folder):
    raw = by_kind(read_path(str(good)))["raw"]
    maps = by_kind(get_reader(str(result_folder))(str(result_folder)))
    expected = {"SR", "Aleatoric", "Epistemic", "Total", "Credibility", "Contradicted", "Misfit"}
    assert set(maps) == expected
    for kind, layer in maps.items():
        np.testing.assert_allclose(extent(*layer), extent(*raw), atol=1e-6, err_msg=kind)
    assert [kind for kind, (_, options) in maps.items() if options["visible"]] == ["SR"]
    assert list(maps)[-1] == "SR"  # on top


def test_every_kind_has_its_own_colours_and_contrast(good, result_folder):
    layers = by_kind(read_path(str(good))) | by_kind(read_path(str(result_folder)))
    kinds = ["raw", "wide field", "SR", "Aleatoric", "Epistemic", "Credibility", "Contradicted"]
    assert len({layers[kind][1]["colormap"] for kind in kinds}) == len(kinds)
    assert layers["Credibility"][1]["contrast_limits"] == (0, 1)
    assert layers["Contradicted"][1]["contrast_limits"] == (-6, 6)
    low, high = layers["SR"][1]["contrast_limits"]
    assert 0 <= low < high <= 1


def test_channels_file_alone_is_read_by_the_names_inside(result_folder):
    maps = by_kind(read_path(str(result_folder / "Channels.ome.tif")))
    assert set(maps) == {"SR", "Aleatoric", "Epistemic", "Total", "Credibility"}
    moved = result_folder.parent / "sent"
    moved.mkdir()
    (result_folder / "Channels.ome.tif").rename(moved / "Channels.ome.tif")
    assert set(by_kind(read_path(str(moved / "Channels.ome.tif")))) == set(maps)


def test_what_is_no_stack_is_left_to_other_readers(tmp_path, frames):
    tifffile.imwrite(tmp_path / "five.tif", frames[:5])
    (tmp_path / "note.txt").write_text("no image", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for name in ("five.tif", "note.txt", "empty", "missing.tif"):
        assert get_reader(str(tmp_path / name)) is None, name
    assert get_reader(["a.tif", "b.tif"]) is None


def test_reader_starts_without_torch_and_matplotlib(good):
    script = (
        "import sys\n"
        "from bayesdl_sim.napari.reader import get_reader\n"
        f"get_reader({str(good)!r})({str(good)!r})\n"
        "print([name for name in ('torch', 'matplotlib', 'skimage') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
