"""MRC as BioSR writes it: no machine stamp, no MAP mark, micrometres instead of Angstrom."""

import gzip
import struct

import mrcfile
import numpy as np
import pytest

from bayesdl_sim.data.formats.content import DELTAVISION
from bayesdl_sim.data.formats.mrc import open_mrc
from bayesdl_sim.data.formats.opening import open_image_file
from bayesdl_sim.utils.errors import InputError

MODES = {"i1": 0, "i2": 1, "f4": 2, "c8": 4, "u2": 6, "f2": 12}


def biosr_bytes(frames, voxel=0.0626, mode=None, extended=0):
    """An MRC file with only those header words filled that BioSR fills."""
    n, height, width = frames.shape
    header = bytearray(1024)
    mode = MODES[frames.dtype.str[1:]] if mode is None else mode
    struct.pack_into("<4i", header, 0, width, height, n, mode)
    struct.pack_into("<3i", header, 28, width, height, n)
    struct.pack_into("<3f", header, 40, width * voxel, height * voxel, n * voxel)
    struct.pack_into("<i", header, 92, extended)
    return bytes(header) + bytes(extended) + frames.tobytes()


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f4", "f2"])
@pytest.mark.parametrize("extended", [0, 512])
def test_biosr_files_come_back_as_written(tmp_path, counts, dtype, extended):
    frames = (counts - 100).astype(dtype)
    (tmp_path / "raw.mrc").write_bytes(biosr_bytes(frames, extended=extended))
    file = open_mrc(tmp_path / "raw.mrc")
    images = file.series[0].read()
    assert images.dtype == dtype
    np.testing.assert_array_equal(images, frames)
    assert file.pixel_size_nm == pytest.approx(62.6)
    assert file.series[0].shape == frames.shape


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_files_that_follow_the_standard(tmp_path, counts, byteorder):
    with mrcfile.new(tmp_path / "raw.mrc") as file:
        file.set_data(counts.astype(byteorder + "u2"))
        file.voxel_size = 626.0  # Angstrom
    file = open_mrc(tmp_path / "raw.mrc")
    images = file.series[0].read()
    np.testing.assert_array_equal(images, counts)
    assert images.dtype.isnative
    assert file.pixel_size_nm == pytest.approx(62.6)


@pytest.mark.parametrize(
    ("voxel", "expected"),
    [(0.0626, 62.6), (0.5, 500.0), (650.0, 65.0), (0.0, None), (1.0, None), (1e5, None)]
    + [(float("nan"), None)],
)
def test_pixel_size(tmp_path, counts, voxel, expected):
    (tmp_path / "raw.mrc").write_bytes(biosr_bytes(counts, voxel))
    assert open_mrc(tmp_path / "raw.mrc").pixel_size_nm == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: whole[:-1], "is truncated: 9 images of 40x48 px take"),
        (lambda whole: whole[:1024], "is truncated"),
        (lambda whole: whole[:500], "is not an MRC file"),
        (lambda whole: b"", "is not an MRC file"),
        (lambda whole: b"not an MRC file at all. " * 200, "is not an MRC file"),
        (lambda whole: gzip.compress(whole)[:900], "cannot be unpacked"),
        (lambda whole: gzip.compress(b"no MRC" * 900), "is not an MRC file"),
        (lambda whole: bytes(2048), "is not an MRC file"),
        (lambda whole: whole[:12] + struct.pack("<i", 5) + whole[16:], "is not an MRC file"),
        (lambda whole: whole[:12] + struct.pack("<i", 4) + whole[16:], "complex values, as an OTF"),
        (lambda whole: whole[:92] + struct.pack("<i", -900) + whole[96:], "is not an MRC file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, counts, change, message, recwarn):
    path = tmp_path / "raw.mrc"
    path.write_bytes(change(biosr_bytes(counts)))
    with pytest.raises(InputError, match=message) as error:
        open_mrc(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not recwarn.list


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="is missing"):
        open_mrc(tmp_path / "raw.mrc")


@pytest.mark.parametrize("columns", [111, 112])
def test_no_width_makes_it_a_file_of_another_format(tmp_path, columns):
    """The bytes of 112 begin a Leica LIF file, too."""
    frames = np.arange(9 * 40 * columns).reshape(9, 40, columns).astype("<u2")
    (tmp_path / "raw.mrc").write_bytes(biosr_bytes(frames))
    np.testing.assert_array_equal(open_image_file(tmp_path / "raw.mrc").series[0].read(), frames)
    text = 40 * "<LMSDataContainerHeader Version="
    beginning = struct.pack("<iicI", 112, 2 * len(text) + 5, b"*", len(text))
    (tmp_path / "a.lif").write_bytes(beginning + text.encode("utf-16le"))
    with pytest.raises(InputError, match="a Leica LIF file"):
        open_image_file(tmp_path / "a.lif")


def test_wavelengths_of_a_deltavision_file_that_are_none(tmp_path, counts):
    header = bytearray(biosr_bytes(counts))
    struct.pack_into("<h", header, 96, DELTAVISION)
    struct.pack_into("<2h", header, 180, 1, 0)
    struct.pack_into("<6h", header, 196, 3, 525, 0, -50, 0, 0)
    (tmp_path / "raw.dv").write_bytes(bytes(header))
    channels = open_mrc(tmp_path / "raw.dv").series[0].channels
    assert [channel.emission_nm for channel in channels] == [525.0, None, None]
