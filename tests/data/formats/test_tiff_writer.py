"""TIFFs keep values, pixel size and names."""

import shutil
import subprocess
import uuid

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.formats import tiff_writer
from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.data.formats.tiff_writer import (
    write_channels,
    write_counts,
    write_hyperstack,
    write_map,
    write_sr,
)
from bayesdl_sim.utils.errors import InputError


def ramp(height: int = 30, width: int = 50) -> np.ndarray:
    return np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)


def size_in_um(page: tifffile.TiffPage) -> float:
    pixels, units = page.tags["XResolution"].value
    return units / pixels


def test_sr_is_uint16_of_the_clipped_image(tmp_path):
    image = np.array([[-0.2, 0.0, 0.5], [0.25, 1.0, 1.7]])
    write_sr(tmp_path / "SR.tif", image, 31.3)
    stored = tifffile.imread(tmp_path / "SR.tif")
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, [[0, 0, 32768], [16384, 65535, 65535]])


def test_map_is_float32_with_imagejs_pixel_size(tmp_path):
    image = ramp() * 0.01 - 0.002
    write_map(tmp_path / "Epistemic.tif", image, 31.3)
    with tifffile.TiffFile(tmp_path / "Epistemic.tif") as tiff:
        assert tiff.is_imagej
        assert tiff.imagej_metadata["unit"] == "um"
        assert size_in_um(tiff.pages[0]) == pytest.approx(0.0313, rel=1e-6)
        assert tiff.pages[0].tags["YResolution"].value == tiff.pages[0].tags["XResolution"].value
        assert tiff.asarray().dtype == np.float32
        np.testing.assert_array_equal(tiff.asarray(), image)


def test_time_series_of_three_is_not_taken_for_rgb(tmp_path):
    series = np.stack([ramp(), 1 - ramp(), ramp() ** 2])
    write_map(tmp_path / "map.tif", series, 50.0)
    write_sr(tmp_path / "SR.tif", series, 50.0)
    for name in ("map.tif", "SR.tif"):
        with tifffile.TiffFile(tmp_path / name) as tiff:
            assert tiff.series[0].axes == "TYX"
            assert tiff.series[0].shape == series.shape
            assert tiff.imagej_metadata["frames"] == 3
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "map.tif"), series)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "SR.tif") / 65535, series, atol=1e-5)


def test_unknown_pixel_size_is_not_written(tmp_path):
    write_map(tmp_path / "map.tif", ramp(), None)
    write_channels(tmp_path / "all.tif", {"SR": ramp()}, None)
    with tifffile.TiffFile(tmp_path / "map.tif") as tiff:
        assert "unit" not in tiff.imagej_metadata
        assert size_in_um(tiff.pages[0]) == 1
    with tifffile.TiffFile(tmp_path / "all.tif") as tiff:
        assert "PhysicalSize" not in tiff.ome_metadata


def test_film_beyond_imagejs_limit_is_still_written_with_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_writer, "_IMAGEJ_LIMIT", 1000)
    series = np.stack([ramp(), 1 - ramp()])
    write_map(tmp_path / "map.tif", series, 31.3)
    with tifffile.TiffFile(tmp_path / "map.tif") as tiff:
        assert tiff.is_ome
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        assert pixels["PhysicalSizeX"] == pytest.approx(0.0313)
        np.testing.assert_array_equal(tiff.asarray(), series)


@pytest.mark.parametrize("times", [None, 1, 4])
def test_channels_keep_names_size_and_values(tmp_path, times):
    shape = (30, 50) if times is None else (times, 30, 50)
    rng = np.random.default_rng(0)
    images = {name: rng.normal(size=shape) for name in ("SR", "aleatoric", "epistemic", "total")}
    write_channels(tmp_path / "all.tif", images, 31.3)
    with tifffile.TiffFile(tmp_path / "all.tif") as tiff:
        assert tiff.is_ome
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        assert [channel["Name"] for channel in pixels["Channel"]] == list(images)
        for axis in "XY":
            assert pixels[f"PhysicalSize{axis}"] == pytest.approx(0.0313)
            assert pixels[f"PhysicalSize{axis}Unit"] == "µm"
        assert tiff.pages[0].tags["ResolutionUnit"].value == 3  # per centimetre
        assert size_in_um(tiff.pages[0]) * 1e4 == pytest.approx(0.0313, rel=1e-6)
        assert tiff.series[0].axes == ("TCYX" if times == 4 else "CYX")
        channels = np.moveaxis(tiff.asarray(), -3, 0)
    for image, channel in zip(images.values(), channels, strict=True):
        np.testing.assert_array_equal(channel, image.squeeze().astype(np.float32))


def test_wrong_maps_are_refused_and_no_file_is_left(tmp_path):
    for wrong in (np.full((4, 4), np.nan), np.zeros((2, 2, 4, 4)), np.zeros((0, 4))):
        with pytest.raises(InputError):
            write_map(tmp_path / "map.tif", wrong, None)
    with pytest.raises(InputError, match="the same size"):
        write_channels(tmp_path / "a.tif", {"a": np.zeros((4, 4)), "b": np.zeros((4, 5))}, None)
    assert not list(tmp_path.iterdir())


def test_counts_keep_their_numbers_and_pixel_size(tmp_path):
    movie = np.arange(3 * 8 * 9, dtype=np.float32).reshape(3, 8, 9)
    write_counts(tmp_path / "movie.tif", movie, 160.0)
    images, pixel_size_nm = read_tiff(tmp_path / "movie.tif")
    assert images.dtype == np.uint16
    np.testing.assert_array_equal(images, movie)
    assert pixel_size_nm == pytest.approx(160)


@pytest.mark.parametrize("wrong", [np.full((4, 4), 0.5), np.full((4, 4), -1), np.zeros(4)])
def test_what_is_no_count_is_not_written_as_one(tmp_path, wrong):
    with pytest.raises(InputError, match="whole counts"):
        write_counts(tmp_path / "movie.tif", wrong, None)


GREY = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
RED = GREY * np.array([[1], [0], [0]], np.uint8)
MACRO = """
open(getArgument());
Stack.getDimensions(width, height, channels, slices, frames);
getPixelSize(unit, w, h);
report = "size " + width + " " + height + " " + channels + " " + frames + "\\n";
report = report + "pixel " + unit + " " + w + "\\n";
for (c = 1; c <= channels; c++) {
    Stack.setChannel(c);
    getMinAndMax(low, high);
    getLut(reds, greens, blues);
    report = report + getInfo("slice.label") + " " + low + " " + high + " " + reds[255] + " ";
    report = report + greens[255] + "\\n";
}
print(report);
File.saveString(report, getArgument() + ".txt");
run("Quit");
"""


def channels_of_two(times=2):
    return {
        "SR": np.stack([ramp(12, 20)] * times),
        "Credibility": np.stack([1 - ramp(12, 20)] * times),
    }


def test_hyperstack_has_names_colours_and_contrast(tmp_path):
    path, images = tmp_path / "Channels.tif", channels_of_two()
    limits = {"SR": (0.1, 0.9), "Credibility": (0.0, 1.0)}
    assert write_hyperstack(path, images, 31.3, {"SR": GREY, "Credibility": RED}, limits)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_imagej
        assert tiff.series[0].axes == "TCYX"
        metadata = tiff.imagej_metadata
        assert (metadata["channels"], metadata["frames"], metadata["mode"]) == (2, 2, "color")
        assert metadata["unit"] == "um"
        assert size_in_um(tiff.pages[0]) == pytest.approx(0.0313, rel=1e-6)
        assert metadata["Labels"] == ["SR", "Credibility"] * 2
        assert metadata["Ranges"] == (0.1, 0.9, 0.0, 1.0)
        np.testing.assert_array_equal(metadata["LUTs"][1], RED)
        np.testing.assert_array_equal(tiff.asarray()[:, 1], images["Credibility"])


def test_hyperstack_beyond_imagejs_limit_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_writer, "_IMAGEJ_LIMIT", 1000)
    limits = dict.fromkeys(("SR", "Credibility"), (0.0, 1.0))
    colours = {"SR": GREY, "Credibility": RED}
    assert not write_hyperstack(tmp_path / "a.tif", channels_of_two(), None, colours, limits)
    assert not (tmp_path / "a.tif").exists()


def test_equal_channels_are_equal_bytes_without_the_network_address(tmp_path):
    images, colours = channels_of_two(), {"SR": GREY, "Credibility": RED}
    for name in ("a.ome.tif", "b.ome.tif"):
        write_channels(tmp_path / name, images, 31.3, colours)
    assert (tmp_path / "a.ome.tif").read_bytes() == (tmp_path / "b.ome.tif").read_bytes()
    write_channels(tmp_path / "c.ome.tif", images | {"SR": 0.5 * images["SR"]}, 31.3, colours)
    uuids = []
    for name in ("a.ome.tif", "c.ome.tif"):
        with tifffile.TiffFile(tmp_path / name) as tiff:
            ome = tifffile.xml2dict(tiff.ome_metadata)["OME"]
            uuids.append(ome["UUID"])
            assert f"{uuid.getnode():012x}" not in ome["UUID"]
            channels = ome["Image"]["Pixels"]["Channel"]
            assert [channel["Name"] for channel in channels] == ["SR", "Credibility"]
            assert channels[1]["Color"] == int.from_bytes(b"\xff\x00\x00\xff", signed=True)
    assert uuids[0] != uuids[1]


@pytest.mark.skipif(
    not (shutil.which("imagej") and shutil.which("xvfb-run")), reason="needs imagej and xvfb-run"
)
def test_imagej_itself_shows_names_micrometres_and_contrast(tmp_path):
    path, limits = tmp_path / "Channels.tif", {"SR": (0.1, 0.9), "Credibility": (0.0, 1.0)}
    write_hyperstack(path, channels_of_two(), 31.3, {"SR": GREY, "Credibility": RED}, limits)
    (tmp_path / "look.ijm").write_text(MACRO)
    command = ["xvfb-run", "-a", "imagej", "-b", str(tmp_path / "look.ijm"), str(path)]
    subprocess.run(command, capture_output=True, timeout=120, check=False)
    size, pixel, first, second = (tmp_path / "Channels.tif.txt").read_text().split("\n")[:4]
    assert size == "size 20 12 2 2"
    _, unit, width = pixel.split()
    assert unit in ("um", "µm", "micron", "microns")
    assert float(width) == pytest.approx(0.0313, rel=1e-3)
    assert first == "SR 0.1 0.9 255 255"
    assert second == "Credibility 0 1 255 0"
