"""Frames that stay on the disk are those that are read whole, one time point at a time."""

import mrcfile
import numpy as np
import pytest
import tifffile

from bayesdl_sim.data import fringe_order
from bayesdl_sim.data.counts import CountFacts, count_facts, count_warnings
from bayesdl_sim.data.formats.image_file import Series
from bayesdl_sim.data.frames import FramesOnDisk, SharedPixels
from bayesdl_sim.data.layouts import FrameLayout
from bayesdl_sim.data.stacks import list_stacks
from bayesdl_sim.utils.errors import InputError

RNG = np.random.default_rng(0)
SERIES = RNG.integers(100, 900, (3, 9, 20, 24)).astype(np.uint16)


def mosaic():
    """Each time point as one image of 3x3 frames."""
    return SERIES.reshape(3, 3, 3, 20, 24).transpose(0, 1, 3, 2, 4).reshape(3, 60, 72)


def written(kind, folder):
    """The series in a file or folder of some kind, and its layout."""
    path, layout = folder / "series.tif", FrameLayout()
    if kind == "plain":
        tifffile.imwrite(path, SERIES.reshape(27, 20, 24), photometric="minisblack")
    elif kind == "compressed":
        tifffile.imwrite(path, SERIES, compression="zlib", photometric="minisblack")
    elif kind == "phases first":
        swapped = SERIES.reshape(3, 3, 3, 20, 24).swapaxes(1, 2).reshape(27, 20, 24)
        tifffile.imwrite(path, swapped, photometric="minisblack")
        layout = FrameLayout(order="phase,orientation")
    elif kind == "mosaic":
        tifffile.imwrite(path, mosaic(), photometric="minisblack")
        layout = FrameLayout(mosaic="3x3")
    elif kind == "mrc":
        path = folder / "series.mrc"
        with mrcfile.new(path) as file:
            file.set_data(SERIES.reshape(27, 20, 24))
    elif kind == "frames":
        path = folder / "frames"
        path.mkdir()
        for number, frame in enumerate(SERIES.reshape(27, 20, 24)):
            tifffile.imwrite(path / f"frame_{number}.tif", frame)
    return path, layout


@pytest.mark.parametrize("kind", ["plain", "compressed", "phases first", "mosaic", "mrc", "frames"])
def test_opened_frames_are_those_that_are_read(kind, tmp_path):
    path, layout = written(kind, tmp_path)
    (entry,) = list_stacks(path, layout)
    assert (entry.times, entry.size) == (3, (20, 24))
    opened, read = entry.open(), entry.read()
    assert isinstance(opened.raw, FramesOnDisk)
    assert opened.raw.shape == read.raw.shape == (3, 9, 20, 24)
    assert opened.raw.nbytes == read.raw.nbytes
    assert (len(opened.raw), opened.raw[0].dtype) == (3, np.float32)
    for t in (2, 0, -1):
        np.testing.assert_array_equal(opened.raw[t], read.raw[t])
        np.testing.assert_array_equal(opened.raw[t], SERIES[t])
    square = slice(3, 17), slice(0, 9)
    np.testing.assert_array_equal(opened.window(1, *square), read.window(1, *square))
    assert opened.raw.stored(1).dtype == np.uint16
    with pytest.raises(IndexError):
        opened.raw[3]
    assert (opened.name, opened.notes) == (read.name, read.notes)


def test_one_time_point_is_held_and_read_once(tmp_path):
    path, _ = written("plain", tmp_path)
    frames, calls = list_stacks(path)[0].open().raw, []
    page = frames.page
    frames.page = lambda number: calls.append(number) or page(number)
    for t in (1, 1, 1, 2, 1):
        frames[t]
    assert calls == [*range(9, 18), *range(18, 27), *range(9, 18)]


def test_frames_in_another_order(tmp_path, monkeypatch):
    path, _ = written("plain", tmp_path)
    order = [0, 3, 6, 1, 4, 7, 2, 5, 8]
    frames = list_stacks(path)[0].open()
    np.testing.assert_array_equal(frames.raw.in_order(order)[1], SERIES[1][order])
    monkeypatch.setattr(fringe_order, "_search", lambda raw, device: raw)
    monkeypatch.setattr(fringe_order, "_order_of", lambda raw: _proved(raw, order))
    put = fringe_order.in_proved_order(frames)
    np.testing.assert_array_equal(put.raw[2], SERIES[2][order])
    assert isinstance(put.raw, FramesOnDisk)


def _proved(raw, order):
    """The order, unless the frames have it already."""
    return tuple(order) if (raw == SERIES[0]).all() else None


def test_a_file_of_frames_in_the_last_axis_is_read_whole(tmp_path):
    tifffile.imwrite(tmp_path / "last.tif", np.moveaxis(SERIES, 1, -1), metadata={"axes": "TYXQ"})
    (entry,) = list_stacks(tmp_path / "last.tif")
    assert entry.open is None
    np.testing.assert_array_equal(entry.read().raw, SERIES)


def test_facts_of_a_series_are_the_means_over_its_time_points():
    frames = SERIES[0].astype(np.float32) - 100
    frames[:, :2] = np.nan
    facts = count_facts(frames, "a.tif")
    assert facts == CountFacts(0.0, pytest.approx(0.1))
    rows = [facts, CountFacts(0.3, 0.1)]
    negative, missing = count_warnings(rows)
    assert negative.startswith("15% of the values are negative, more than read noise makes")
    assert missing == "10.0% of the pixels hold no data (NaN)"
    assert count_warnings([CountFacts(0.0, 0.0)]) == []


def test_more_than_memory_is_refused_before_it_is_read(tmp_path):
    series = Series(axes="T", shape=(10**6, 10**5, 10**5), dtype=np.dtype("u2"), read=pytest.fail)
    with pytest.raises(InputError, match="does not fit into memory"):
        SharedPixels(series, tmp_path / "a.tif").take()


@pytest.mark.parametrize("kind", ["plain", "compressed", "phases first", "mosaic", "mrc", "frames"])
def test_a_window_is_a_part_of_a_time_point(kind, tmp_path):
    path, layout = written(kind, tmp_path)
    (entry,) = list_stacks(path, layout)
    raw = entry.open().raw
    for t, rows, columns in ((1, slice(3, 17), slice(0, 9)), (0, slice(0, 20), slice(5, 24))):
        part = raw.window(t, rows, columns)
        assert part.dtype == np.uint16
        np.testing.assert_array_equal(part, raw.stored(t)[:, rows, columns])
        part[:] = 0  # a copy: the file keeps what it has
        np.testing.assert_array_equal(raw.window(t, rows, columns), raw.stored(t)[:, rows, columns])
    assert raw.window(0, slice(0, 20), slice(0, 24)).any()


def test_one_time_point_alone_is_a_series_of_one(tmp_path):
    path, layout = written("plain", tmp_path)
    (entry,) = list_stacks(path, layout)
    raw = entry.open().raw
    alone = raw.only(2)
    assert alone.shape == (1, 9, 20, 24)
    np.testing.assert_array_equal(alone[0], raw[2])
    np.testing.assert_array_equal(alone.window(0, slice(2, 5), slice(1, 4)), SERIES[2, :, 2:5, 1:4])


@pytest.mark.parametrize("order", ["<", ">"])
def test_windows_have_the_byte_order_of_this_computer(order, tmp_path):
    path = tmp_path / "series.tif"
    images = SERIES.reshape(27, 20, 24)
    tifffile.imwrite(path, images, photometric="minisblack", byteorder=order)
    (entry,) = list_stacks(path)
    raw = entry.open().raw
    assert raw.stored(0).dtype.isnative
    part = raw.window(1, slice(0, 4), slice(0, 4))
    assert part.dtype.isnative
    np.testing.assert_array_equal(part, SERIES[1, :, :4, :4])


def test_no_more_of_a_large_frame_is_asked_for_its_order_than_needed(tmp_path, monkeypatch):
    path, layout = written("plain", tmp_path)
    (entry,) = list_stacks(path, layout)
    raw = entry.open().raw
    monkeypatch.setattr(fringe_order, "SEARCHED_FIELD", 16)
    part = fringe_order._searched(raw, 1)
    assert part.shape == (9, 16, 16)
    light = SERIES[1].astype(float).mean(axis=0)
    sums = {
        (row, column): light[row : row + 16, column : column + 16].sum()
        for row in (0,)
        for column in (0, 8)
    }
    row, column = max(sums, key=sums.__getitem__)
    np.testing.assert_array_equal(part, SERIES[1, :, row : row + 16, column : column + 16])
