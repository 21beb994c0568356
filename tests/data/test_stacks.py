"""Stacks as users have them, found and read or refused in a microscopist's words."""

import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bayesdl_sim.data.folders import find_stacks
from bayesdl_sim.data.stacks import list_stacks, read_stack, read_stacks
from bayesdl_sim.utils.errors import InputError

FRAMES = np.random.default_rng(0).poisson(50, (9, 20, 24)).astype(np.uint16)


def write_folder(folder, frames, names=None):
    folder.mkdir(parents=True)
    names = names or [f"{n}.tif" for n in range(1, len(frames) + 1)]
    for name, frame in zip(names, frames, strict=True):
        tifffile.imwrite(folder / name, frame)
    return folder


def test_one_file(tmp_path, counts):
    path = tmp_path / "cell 3.TIF"
    tifffile.imwrite(path, counts)
    stack = read_stack(path)
    assert stack.raw.shape == (1, 9, 40, 48)
    assert stack.raw.dtype == np.float32
    assert stack.name == "cell 3"
    assert stack.source == path
    np.testing.assert_array_equal(stack.raw[0], counts)


def test_a_time_series(tmp_path):
    frames = np.random.default_rng(1).integers(0, 4000, (27, 20, 24)).astype(np.int16)
    tifffile.imwrite(
        tmp_path / "series.tif",
        frames.reshape(3, 9, 1, 20, 24),
        imagej=True,
        metadata={"axes": "TZCYX", "unit": "um"},
        resolution=(1 / 0.065, 1 / 0.065),
    )
    stack = read_stack(tmp_path / "series.tif")
    assert stack.raw.shape == (3, 9, 20, 24)
    np.testing.assert_array_equal(stack.raw.reshape(27, 20, 24), frames)
    assert stack.pixel_size_nm == pytest.approx(65, rel=1e-4)


def test_an_mrc_file(tmp_path):
    header = np.zeros(256, np.int32)
    header[:4] = 24, 20, 9, 6
    header[7:10] = 24, 20, 9
    header[10:13] = np.float32([24 * 0.0626, 20 * 0.0626, 9 * 0.0626]).view(np.int32)
    (tmp_path / "RawSIMData_level_01.mrc").write_bytes(header.tobytes() + FRAMES.tobytes())
    stack = read_stack(tmp_path / "RawSIMData_level_01.mrc")
    np.testing.assert_array_equal(stack.raw[0], FRAMES)
    assert stack.pixel_size_nm == pytest.approx(62.6)
    (tmp_path / "fake.mrc").write_bytes(b"no MRC file" * 500)
    with pytest.raises(InputError, match="is not an MRC file"):
        read_stack(tmp_path / "fake.mrc")


def test_a_folder_of_nine_frames_in_natural_order(tmp_path):
    names = [f"frame{n}.tif" for n in range(4, 13)]  # frame10 sorts before frame4 as text
    folder = write_folder(tmp_path / "level_1", FRAMES, names)
    (folder / "notes.txt").write_text("45 ms exposure")
    (folder / "._frame4.tif").write_text("left by another system")
    stack = read_stack(folder)
    np.testing.assert_array_equal(stack.raw[0], FRAMES)
    assert stack.name == "level_1"
    assert find_stacks(folder) == [folder]


def test_a_folder_of_stacks(tmp_path):
    for name in ("cell10.tif", "cell2.tif"):
        tifffile.imwrite(tmp_path / name, FRAMES)
    (tmp_path / "broken.mrc").write_bytes(b"abc")
    write_folder(tmp_path / "cell3", FRAMES)
    write_folder(tmp_path / "results", FRAMES[:2])
    names = [path.name for path in find_stacks(tmp_path)]
    assert names == ["broken.mrc", "cell2.tif", "cell10.tif", "cell3"]


def test_nine_stacks_are_not_nine_frames(tmp_path):
    for n in range(1, 10):
        tifffile.imwrite(tmp_path / f"{n}.tif", FRAMES)
    assert len(find_stacks(tmp_path)) == 9
    with pytest.raises(InputError, match="1.tif holds 9 images, but the files of a folder"):
        read_stack(tmp_path)


def test_a_folder_of_folders_lists_the_incomplete_ones_too(tmp_path):
    write_folder(tmp_path / "level_1", FRAMES)
    write_folder(tmp_path / "level_2", FRAMES[:8])
    (tmp_path / "empty").mkdir()
    paths = find_stacks(tmp_path)
    assert [path.name for path in paths] == ["level_1", "level_2"]
    with pytest.raises(InputError, match="holds 8 image files; a 2D-SIM stack needs 9"):
        read_stack(paths[1])


def test_a_broken_frame_is_named(tmp_path):
    folder = write_folder(tmp_path / "level_1", FRAMES)
    (folder / "4.tif").write_bytes(b"II*\0")
    assert find_stacks(folder) == [folder]
    with pytest.raises(InputError, match=r"4\.tif"):
        read_stack(folder)


def test_a_folder_of_a_single_broken_file(tmp_path):
    (tmp_path / "raw.tif").write_bytes(b"II*\0")
    assert find_stacks(tmp_path) == [tmp_path / "raw.tif"]


def test_mixed_sizes_in_a_folder(tmp_path):
    folder = write_folder(tmp_path / "a", [*FRAMES[:8], FRAMES[8, :, :20]])
    with pytest.raises(InputError, match=r"9\.tif is 20x20 px, but 1\.tif is 20x24 px"):
        read_stack(folder)


def test_nothing_to_find(tmp_path):
    with pytest.raises(InputError, match="is missing"):
        find_stacks(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no images"):
        find_stacks(tmp_path)
    with pytest.raises(InputError, match="holds 0 image files"):
        read_stack(tmp_path)


def with_pixel(value, dtype=np.float32):
    frames = FRAMES.astype(dtype)
    frames[4, 3, 2] = value
    return frames


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            np.concatenate([FRAMES, FRAMES[:1]]),
            r"holds 10 images; a 2D-SIM stack needs 9 \(3 orientations x 3 phases\) or a multiple "
            "of 9 for a time series: check the file or split it, or choose the frames",
        ),
        (FRAMES[:8], "holds 8 images; a 2D-SIM stack needs 9"),
        (FRAMES[0], "holds a single 2-D image; a 2D-SIM stack needs 9"),
        (np.zeros_like(FRAMES), "empty or constant in image 1 .every pixel is 0"),
        (np.full_like(FRAMES, 77), "empty or constant in image 1 .every pixel is 77"),
        (np.concatenate([FRAMES[:8], FRAMES[:1] * 0]), "empty or constant in image 9"),
        (with_pixel(np.inf), "NaN or infinite values in image 5"),
        (
            with_pixel(1e300, np.float64),
            r"values up to 1e\+300, but camera counts of at most 4\.3e\+09",
        ),
        (
            with_pixel(-1e300, np.float64),
            r"values up to 1e\+300, but camera counts of at most 4\.3e\+09",
        ),
        (FRAMES[:, :15], "frames of 15x24 px, but at least 16x16"),
    ],
)
def test_unsuitable_stacks_are_explained(tmp_path, frames, message):
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, frames)
    with pytest.raises(InputError, match=message) as error:
        read_stack(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_there_is_said(tmp_path):
    for read in (read_stack, read_stacks, list_stacks):
        with pytest.raises(InputError, match=r"raw.tif is missing: an image file was expected"):
            read(tmp_path / "raw.tif")


def tiff_bytes(**options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, FRAMES, **options)
    return buffer.getvalue()


MRC_HEADER = np.array([24, 20, 9, 6, *[0] * 252], np.int32).tobytes()
WHOLE_FILES = [
    (tiff_bytes(), ".tif"),
    (tiff_bytes(compression="zlib"), ".tif"),
    (tiff_bytes(imagej=True, metadata={"axes": "TYX"}), ".tif"),
    (tiff_bytes(bigtiff=True, byteorder=">"), ".tif"),
    (MRC_HEADER + FRAMES.tobytes(), ".mrc"),
]


def read_or_refuse(content, suffix):
    """The stack, or None where an InputError says why not; anything else fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"raw{suffix}"
        path.write_bytes(content)
        try:
            return read_stack(path)
        except InputError:
            return None


@settings(max_examples=150, deadline=None)
@given(
    content=st.binary(max_size=3000),
    start=st.sampled_from([b"", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"II*\0\x08\0\0\0\x05\0"]),
    suffix=st.sampled_from([".tif", ".mrc"]),
)
def test_random_bytes_are_refused_politely(content, start, suffix):
    read_or_refuse(start + content, suffix)


@settings(max_examples=150, deadline=None)
@given(file=st.sampled_from(WHOLE_FILES), cut=st.floats(0, 0.9999))
@example(file=WHOLE_FILES[0], cut=0.99999)
def test_truncated_files_are_refused_or_still_whole(file, cut):
    content, suffix = file
    stack = read_or_refuse(content[: int(cut * len(content))], suffix)
    if stack is not None:  # only padding or metadata was lost
        np.testing.assert_array_equal(stack.raw[0], FRAMES)


@settings(max_examples=200, deadline=None)
@given(file=st.sampled_from(WHOLE_FILES), place=st.floats(0, 1), byte=st.integers(0, 255))
def test_damaged_headers_are_refused_or_read(file, place, byte):
    content, suffix = file
    content = bytearray(content)
    where = int(place * 600)  # headers lie there
    content[where] = byte
    read_or_refuse(bytes(content), suffix)


def test_the_paths_of_results_are_left_to_the_caller(tmp_path, monkeypatch):
    """A folder given as `.` still gets a name for its results."""
    folder = write_folder(tmp_path / "level_4", FRAMES)
    monkeypatch.chdir(folder)
    assert read_stack(os.curdir).name == "level_4"


def test_time_points_that_hold_no_counts_are_named_and_the_others_read(tmp_path):
    series = np.concatenate([FRAMES] * 5).astype(np.float32)
    series[9:18], series[27:36] = 3, np.nan
    tifffile.imwrite(tmp_path / "raw.tif", series)
    stack = read_stack(tmp_path / "raw.tif")
    assert sorted(stack.without_counts) == [1, 3]
    assert "it is empty or constant in image 1" in stack.without_counts[1]
    assert "it holds no data (NaN) in 100%" in stack.without_counts[3]
    np.testing.assert_array_equal(stack.raw[[0, 2, 4]], np.stack([FRAMES] * 3))
    assert stack.warnings == read_stack_of(tmp_path, FRAMES).warnings
    series[:9] = 3
    tifffile.imwrite(tmp_path / "raw.tif", series)
    with pytest.raises(InputError, match="NaN"):
        read_stack(tmp_path / "raw.tif")


def read_stack_of(folder, frames):
    tifffile.imwrite(folder / "one.tif", frames)
    return read_stack(folder / "one.tif")
