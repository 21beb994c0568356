"""Any image file by its content; a target may be MRC, and thumbnails beside it do not count."""

import gzip

import mrcfile
import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.formats.content import content_of, image_files
from bayesdl_sim.data.formats.opening import open_image_file, read_images
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def target():
    return np.random.default_rng(2).random((40, 56)).astype(np.float32)


def test_a_target_in_any_format(tmp_path, target):
    tifffile.imwrite(tmp_path / "a.tif", target)
    with mrcfile.new(tmp_path / "b.mrc") as file:
        file.set_data(target)
        file.voxel_size = 312.5  # Angstrom
    (tmp_path / "c.gz").write_bytes(gzip.compress((tmp_path / "a.tif").read_bytes()))
    with tifffile.TiffWriter(tmp_path / "d.tif") as writer:
        writer.write(target[::4, ::4], metadata=None)  # a preview
        writer.write(target, metadata=None)
    for path in sorted(tmp_path.iterdir()):
        images, pixel_size_nm = read_images(path)
        np.testing.assert_array_equal(images, target[None])
        assert pixel_size_nm == (pytest.approx(31.25) if path.suffix == ".mrc" else None)
        assert images.flags.c_contiguous


def test_axes_are_the_files_own(tmp_path, target):
    stack = np.stack([target] * 6).reshape(2, 3, 40, 56)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    file = open_image_file(tmp_path / "a.tif")
    (series,) = file.series
    assert (file.format, file.named_axes) == ("ImageJ TIFF", True)
    assert (series.axes, series.shape, series.images) == ("TZ", (2, 3, 40, 56), 6)
    assert str(series) == "TZYX 2x3x40x56"
    np.testing.assert_array_equal(series.read(), stack)


def test_images_of_a_folder_are_found_by_content(tmp_path, target):
    tifffile.imwrite(tmp_path / "noending", target)
    tifffile.imwrite(tmp_path / ".hidden.tif", target)
    (tmp_path / "damaged.tif").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("exposure 40 ms" * 200)
    (tmp_path / "SR.png").write_bytes(b"\x89PNG" + bytes(2000))
    (tmp_path / "sub.tif").mkdir()
    assert sorted(path.name for path in image_files(tmp_path)) == ["damaged.tif", "noending"]
    assert content_of(tmp_path / "noending") == "tiff"
    assert content_of(tmp_path / "notes.txt") == ""


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(InputError, match="is a folder, but an image file was expected"):
        open_image_file(tmp_path)
    with pytest.raises(InputError, match="is missing"):
        read_images(tmp_path / "gt.mrc")


def test_a_damaged_gzip_file_is_named(tmp_path, target):
    tifffile.imwrite(tmp_path / "a.tif", target)
    packed = gzip.compress((tmp_path / "a.tif").read_bytes())
    for damaged in (packed[:200], packed[:-9], packed[:50] + b"\xff\xff" + packed[52:]):
        (tmp_path / "a.tif.gz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"a.tif.gz"):
            read_images(tmp_path / "a.tif.gz")
