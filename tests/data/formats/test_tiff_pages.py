"""TIFF files page by page: the bytes of a file that is written at once, in any order."""

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.formats.tiff import open_tiff
from bayesdl_sim.data.formats.tiff_pages import PagedTiff
from bayesdl_sim.utils.errors import InputError

IMAGES = np.random.default_rng(0).random((4, 2, 16, 20)).astype(np.float32)
FLAVOURS = {
    "imagej": {"imagej": True, "metadata": {"axes": "TCYX", "mode": "color"}},
    "ome": {"ome": True, "metadata": {"axes": "TCYX", "UUID": "urn:uuid:" + 36 * "0"}},
    "bigtiff": {"bigtiff": True, "metadata": {"axes": "TCYX"}},
}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_pages_in_any_order_give_the_bytes_of_one_go(flavour, tmp_path):
    tags = FLAVOURS[flavour] | {"photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "once.tif", IMAGES, **tags)
    file = PagedTiff(tmp_path / "pages.tif", IMAGES.shape, np.float32, tags)
    pages = IMAGES.reshape(-1, 16, 20)
    for number in (7, 0, 3, 1):
        file.write(number, pages[number])
    file.close()
    again = PagedTiff(tmp_path / "pages.tif", IMAGES.shape, np.float32, tags)
    for number in (2, 5, 4, 6):
        again.write_rows(number, 5, pages[number][5:])
        again.write_rows(number, 0, pages[number][:5])
    np.testing.assert_array_equal(again.read(4), pages[4])
    again.flush()
    again.close()
    assert (tmp_path / "pages.tif").read_bytes() == (tmp_path / "once.tif").read_bytes()


def test_a_text_of_the_header_is_replaced_and_nothing_else(tmp_path):
    tags = FLAVOURS["ome"] | {"photometric": "minisblack"}
    file = PagedTiff(tmp_path / "a.tif", IMAGES.shape, np.float32, tags)
    before = (tmp_path / "a.tif").read_bytes()
    file.replace(36 * b"0", 36 * b"7")
    file.close()
    after = (tmp_path / "a.tif").read_bytes()
    assert after.count(36 * b"7") == 1
    assert after.replace(36 * b"7", 36 * b"0") == before
    assert after != before
    with pytest.raises(ValueError, match="keeps its length"):
        file.replace(b"a", b"bc")


def test_another_file_is_not_written_into(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGES[:1])
    with pytest.raises(InputError, match="not the file that this run began"):
        PagedTiff(tmp_path / "a.tif", IMAGES.shape, np.float32, {})


def test_a_file_that_was_begun_and_is_gone_is_not_made_again(tmp_path):
    with pytest.raises(InputError, match=r"a\.tif is missing, though this run began it"):
        PagedTiff(tmp_path / "a.tif", IMAGES.shape, np.float32, {}, existing=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 2, 16, 20), np.uint16), ((4, 2, 20, 16), np.float32)]
)
def test_a_file_of_as_many_pixels_of_another_kind_is_not_written_into(tmp_path, shape, dtype):
    tifffile.imwrite(tmp_path / "a.tif", IMAGES, photometric="minisblack")
    PagedTiff(tmp_path / "a.tif", IMAGES.shape, np.float32, {}).close()
    with pytest.raises(InputError, match="not the file that this run began"):
        PagedTiff(tmp_path / "a.tif", shape, dtype, {})


def test_a_damaged_page_is_named(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGES, photometric="minisblack", compression="zlib")
    page = open_tiff(path).series[0].pages()
    with tifffile.TiffFile(path) as file:
        start = file.pages[3].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[start : start + 40] = bytes(40)
    path.write_bytes(bytes(content))
    page(2)
    with pytest.raises(InputError, match=r"a\.tif cannot be read as TIFF"):
        page(3)


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "metadata": {"axes": "TZYX"}},
        {"ome": True, "metadata": {"axes": "TCYX"}, "compression": "zlib"},
        {"bigtiff": True, "byteorder": ">"},
        {"metadata": None},
    ],
)
def test_pages_are_those_of_the_whole_file(options, tmp_path):
    images = (1000 * IMAGES).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", images, photometric="minisblack", **options)
    series = open_tiff(tmp_path / "a.tif").series[0]
    page = series.pages()
    whole = series.read().reshape(-1, 16, 20)
    for number in (3, 0, 7):
        np.testing.assert_array_equal(page(number), whole[number])


def test_a_file_that_becomes_shorter_says_so(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGES, photometric="minisblack")
    page = open_tiff(path).series[0].pages()
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"became shorter while it was read \(image 8 is missing"):
        page(7)


def test_rows_beyond_a_page_are_refused(tmp_path):
    file = PagedTiff(tmp_path / "a.tif", (2, 6, 5), np.float32, {})
    file.write_rows(1, 4, np.ones((2, 5), np.float32))
    with pytest.raises(ValueError, match="expected rows of a page"):
        file.write_rows(1, 5, np.ones((2, 5), np.float32))
    with pytest.raises(ValueError, match="expected rows of a page"):
        file.write_rows(0, 0, np.ones((2, 4), np.float32))
    file.close()
    expected = np.zeros((2, 6, 5), np.float32)
    expected[1, 4:] = 1
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), expected)
