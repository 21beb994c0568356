"""TIFF as microscopes, Fiji and Python write it, and what is wrong with broken ones."""

import gzip
import logging
import warnings

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.formats.tiff import (
    iterate_tiff,
    open_tiff,
    read_image,
    read_tiff,
    tiff_header,
)
from bayesdl_sim.utils.errors import InputError


def about(size):
    """A size up to the rounding of the resolution tag; None stays None."""
    return None if size is None else pytest.approx(size, rel=1e-4)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options", [{}, {"bigtiff": True}, {"compression": "zlib"}, {"tile": (16, 16)}]
)
def test_plain_files_come_back_as_written(tmp_path, counts, dtype, byteorder, options):
    frames = (counts - 100).astype(dtype)
    tifffile.imwrite(tmp_path / "raw.tif", frames, byteorder=byteorder, **options)
    images, pixel_size_nm = read_tiff(tmp_path / "raw.tif")
    assert images.dtype.kind == np.dtype(dtype).kind
    assert pixel_size_nm is None
    np.testing.assert_array_equal(images, frames)
    shape, header_dtype = tiff_header(tmp_path / "raw.tif")
    assert shape == frames.shape
    assert header_dtype == frames.dtype


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "CYX"])
def test_imagej_stacks_of_nine(tmp_path, counts, axes):
    tifffile.imwrite(tmp_path / "raw.tif", counts, imagej=True, metadata={"axes": axes})
    np.testing.assert_array_equal(read_tiff(tmp_path / "raw.tif")[0], counts)


@pytest.mark.parametrize("shape", [(4, 9, 1), (4, 1, 9), (4, 3, 3), (36, 1, 1)])
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_hyperstacks_are_flattened_in_file_order(tmp_path, shape, kind):
    frames = np.random.default_rng(0).integers(1, 999, (36, 20, 24)).astype(np.uint16)
    path = tmp_path / ("raw.ome.tif" if kind == "ome" else "raw.tif")
    hyperstack = frames.reshape(*shape, 20, 24)
    tifffile.imwrite(path, hyperstack, metadata={"axes": "TZCYX"}, **{kind: True})
    np.testing.assert_array_equal(read_tiff(path)[0], frames)


def test_pages_written_one_by_one(tmp_path, counts):
    with tifffile.TiffWriter(tmp_path / "raw.tif") as file:
        for frame in counts:
            file.write(frame)
    np.testing.assert_array_equal(read_tiff(tmp_path / "raw.tif")[0], counts)
    with tifffile.TiffWriter(tmp_path / "bare.tif") as file:
        for frame in counts:
            file.write(frame, metadata=None)
    np.testing.assert_array_equal(read_tiff(tmp_path / "bare.tif")[0], counts)


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [
        ("micron", 1 / 0.0626, 62.6),
        ("um", 1 / 0.065, 65.0),
        ("\\u00B5m", 1 / 0.0313, 31.3),
        ("nm", 1 / 62.6, 62.6),
        ("inch", 25.4e6 / 80, 80.0),
        ("cm", 1e7 / 62.6, 62.6),
        ("micron", 1.0, None),  # uncalibrated
        ("pixel", 1.0, None),
        ("furlong", 15.0, None),
        ("micron", 1e6, None),
        ("micron", 1e-3, None),
    ],
)
def test_pixel_size_of_imagej(tmp_path, counts, unit, per_unit, expected):
    tifffile.imwrite(
        tmp_path / "raw.tif",
        counts,
        imagej=True,
        resolution=(per_unit, per_unit),
        metadata={"axes": "TYX", "unit": unit},
    )
    assert read_tiff(tmp_path / "raw.tif")[1] == about(expected)


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [("CENTIMETER", 1e7 / 62.6, 62.6), ("INCH", 25.4e6 / 65, 65.0), ("INCH", 72, None)],
)
def test_pixel_size_of_plain_files(tmp_path, counts, unit, per_unit, expected):
    resolution = (per_unit, per_unit)
    tifffile.imwrite(tmp_path / "raw.tif", counts, resolution=resolution, resolutionunit=unit)
    assert read_tiff(tmp_path / "raw.tif")[1] == about(expected)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"PhysicalSizeX": 0.0626}, 62.6),
        ({"PhysicalSizeX": 0.0626, "PhysicalSizeXUnit": "\u00b5m"}, 62.6),
        ({"PhysicalSizeX": 65.0, "PhysicalSizeXUnit": "nm"}, 65.0),
        ({"PhysicalSizeX": 1.0}, None),
        ({}, None),
    ],
)
def test_pixel_size_of_ome(tmp_path, counts, metadata, expected):
    path = tmp_path / "raw.ome.tif"
    tifffile.imwrite(path, counts, ome=True, metadata={"axes": "TYX", **metadata})
    assert read_tiff(path)[1] == about(expected)


def write_sizes(path):
    with tifffile.TiffWriter(path) as file:
        for width in (20, 24):
            file.write(np.ones((20, width), np.uint16))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: tifffile.imwrite(p, np.ones((20, 20, 3), "u1"), photometric="rgb"), "RGB"),
        (lambda p: tifffile.imwrite(p, np.ones((9, 20, 20, 3), "u1"), photometric="rgb"), "RGB"),
        (lambda p: tifffile.imwrite(p, np.ones((9, 20, 20), "c8")), "type complex64"),
        (lambda p: tifffile.imwrite(p, np.ones((9, 20, 20), "?")), "type bool"),
        (write_sizes, "several sizes .20x20, 20x24"),
        (lambda p: p.write_bytes(b"II*\0not at all an image"), "cannot be read as TIFF"),
        (lambda p: p.write_text("colour,counts\n"), "is not a TIFF file"),
        (lambda p: p.write_bytes(b""), "is not a TIFF file"),
        (lambda p: None, "is missing"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, write, message, capfd):
    path = tmp_path / "raw.tif"
    write(path)
    for read in (read_tiff, tiff_header):
        with pytest.raises(InputError, match=message) as error:
            read(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")  # tifffile adds no lines of its own


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"imagej": True}])
def test_every_truncation_is_noticed(tmp_path, counts, options):
    """The reader would silently take fewer images, or zeros, from a cut file without the checks."""
    path = tmp_path / "raw.tif"
    with tifffile.TiffWriter(path, imagej=options.get("imagej", False)) as file:
        rest = {name: value for name, value in options.items() if name != "imagej"}
        for frame in np.tile(counts, (2, 1, 1)):
            file.write(frame, contiguous=not rest, **rest)
    whole = path.read_bytes()
    length = len(whole)
    assert read_tiff(path)[0].shape == (18, 40, 48)
    for end in {*range(0, length, 997), length - 1, length - 4000}:
        path.write_bytes(whole[:end])
        try:
            images, _ = read_tiff(path)
        except InputError:
            continue
        np.testing.assert_array_equal(images, np.tile(counts, (2, 1, 1)))


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    """A damaged size must not make the reader ask for terabytes."""
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, np.ones((32, 32), np.uint16), compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = file.pages.first.tags
        tags["ImageWidth"].overwrite(2_000_000, dtype="I")
        tags["ImageLength"].overwrite(2_000_000, dtype="I")
        tags["RowsPerStrip"].overwrite(2_000_000, dtype="I")
    with pytest.raises(InputError, match="damaged or truncated"):
        read_tiff(path)


def test_a_missing_codec_is_explained(tmp_path, counts, monkeypatch):
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, counts)

    def refuse(self):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    with pytest.raises(InputError, match="without compression, or pip install imagecodecs"):
        read_tiff(path)


def test_a_single_image(tmp_path, counts):
    tifffile.imwrite(tmp_path / "gt.tif", counts[0])
    np.testing.assert_array_equal(read_image(tmp_path / "gt.tif"), counts[0])
    tifffile.imwrite(tmp_path / "raw.tif", counts)
    with pytest.raises(InputError, match="holds 9 images, but a single one"):
        read_image(tmp_path / "raw.tif")


def test_the_log_level_is_given_back(tmp_path):
    level = logging.getLogger("tifffile").level
    with pytest.raises(InputError):
        read_tiff(tmp_path / "missing.tif")
    (tmp_path / "bad.tif").write_bytes(b"II*\0abcdefgh")
    with pytest.raises(InputError):
        read_tiff(tmp_path / "bad.tif")
    assert logging.getLogger("tifffile").level == level


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}])
def test_a_long_movie_comes_in_pieces(tmp_path, options):
    movie = np.arange(7 * 12 * 10, dtype=np.uint16).reshape(7, 12, 10)
    tifffile.imwrite(tmp_path / "movie.tif", movie, **options)
    pieces = list(iterate_tiff(tmp_path / "movie.tif", chunk=3))
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    assert np.array_equal(np.concatenate(pieces), movie)


def test_a_packed_movie_is_unpacked(tmp_path):
    movie = np.random.default_rng(0).integers(0, 65536, (7, 12, 10)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "movie.tif", movie)
    packed = gzip.compress((tmp_path / "movie.tif").read_bytes())
    (tmp_path / "movie.tif.gz").write_bytes(packed)
    pieces = list(iterate_tiff(tmp_path / "movie.tif.gz", chunk=3))
    np.testing.assert_array_equal(np.concatenate(pieces), movie)


def ome_of_two_files(sizes):
    """Header of two positions of nine frames, the first in a.ome.tif, the second in b.ome.tif."""
    images = ""
    for number, (name, (height, width)) in enumerate(sizes.items()):
        planes = "".join(
            f'<TiffData IFD="{t}" FirstT="{t}" FirstC="0" FirstZ="0" PlaneCount="1">'
            f'<UUID FileName="{name}.ome.tif">urn:uuid:{name * 36}</UUID></TiffData>'
            for t in range(9)
        )
        images += (
            f'<Image ID="Image:{number}"><Pixels ID="Pixels:{number}" DimensionOrder="XYCZT" '
            f'Type="uint16" SizeX="{width}" SizeY="{height}" SizeC="1" SizeZ="1" SizeT="9">'
            f'<Channel ID="Channel:{number}:0" SamplesPerPixel="1"/>{planes}</Pixels></Image>'
        )
    return images


@pytest.mark.parametrize("opened", ["a", "b"])
def test_an_ome_tiff_of_two_files_gives_each_its_own_pixels(tmp_path, counts, opened):
    frames = {"a": counts, "b": counts[:, ::-1, :40] + 5000}
    images = ome_of_two_files({name: own.shape[1:] for name, own in frames.items()})
    for name, own in frames.items():
        header = (
            '<?xml version="1.0" encoding="UTF-8"?><OME '
            'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{name * 36}">{images}</OME>'
        )
        tifffile.imwrite(
            tmp_path / f"{name}.ome.tif",
            np.ascontiguousarray(own),
            description=header,
            metadata=None,
            contiguous=True,
            photometric="minisblack",
        )
    series = open_tiff(tmp_path / f"{opened}.ome.tif").series
    for part, own in zip(series, frames.values(), strict=True):
        np.testing.assert_array_equal(part.read(), own)
        page = part.pages()
        for number in (0, 8):
            np.testing.assert_array_equal(page(number), own[number])


def test_an_empty_image_is_no_image(tmp_path):
    path = tmp_path / "empty.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tifffile says that it has no pixels
        tifffile.imwrite(path, np.zeros((9, 0, 20), np.uint16))
    for read in (read_tiff, open_tiff):
        with pytest.raises(InputError, match="holds no image"):
            read(path)
