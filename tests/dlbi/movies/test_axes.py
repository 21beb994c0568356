"""Colours, positions and planes of a file: one of each is a movie, several have to be chosen."""

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.dlbi.movies.axes import Choice
from bayesdl_sim.dlbi.movies.reading import open_movie
from bayesdl_sim.utils.errors import InputError


def images(*sizes):
    rng = np.random.default_rng(0)
    return rng.integers(90, 400, (*sizes, 20, 24)).astype(np.uint16)


def opened(path, **choice):
    return torch.cat(list(open_movie(path, Choice(**choice)).pieces())).numpy()


def write_imagej(path, counts, axes):
    tifffile.imwrite(path, counts, imagej=True, metadata={"axes": axes})


@pytest.mark.parametrize(("axes", "place"), [("TCYX", 1), ("CTYX", 0)])
def test_two_colours_of_an_ome_file(tmp_path, axes, place):
    path = tmp_path / "movie.ome.tif"
    counts = images(60, 2) if place else images(2, 60)
    tifffile.imwrite(path, counts, metadata={"axes": axes, "Channel": {"Name": ["GFP", "mCherry"]}})
    with pytest.raises(InputError, match=r"holds 2 colours \(GFP, mCherry\).* choose a channel"):
        open_movie(path)
    for n, name in enumerate(("GFP", "mCherry")):
        expected = counts.take(n, axis=place)
        np.testing.assert_array_equal(opened(path, channel=name), expected)
        np.testing.assert_array_equal(opened(path, channel=str(n + 1)), expected)
    with pytest.raises(InputError, match="no colour 'DAPI'; found GFP, mCherry"):
        open_movie(path, Choice(channel="DAPI"))


def test_planes_and_colours_of_a_hyperstack(tmp_path):
    path, counts = tmp_path / "movie.tif", images(30, 3, 2)
    write_imagej(path, counts, "TZCYX")
    with pytest.raises(InputError, match="holds 2 colours"):
        open_movie(path)
    with pytest.raises(InputError, match="holds 3 planes.* choose a plane"):
        open_movie(path, Choice(channel="2"))
    np.testing.assert_array_equal(opened(path, channel="2", plane=3), counts[:, 2, 1])
    with pytest.raises(InputError, match="has planes 1 to 3, found 4"):
        open_movie(path, Choice(channel="2", plane=4))


def test_positions_of_an_ome_file(tmp_path):
    path, counts = tmp_path / "movie.ome.tif", images(3, 20)
    with tifffile.TiffWriter(path, ome=True) as file:
        for position in counts:
            file.write(position, metadata={"axes": "TYX"})
    with pytest.raises(InputError, match="holds 3 positions"):
        open_movie(path)
    np.testing.assert_array_equal(opened(path, position=2), counts[1])


@pytest.mark.parametrize("axes", ["ZYX", "TYX", "CYX"])
def test_the_only_long_axis_is_time(tmp_path, axes):
    counts = images(60)
    write_imagej(tmp_path / "movie.tif", counts, axes)
    tifffile.imwrite(tmp_path / "movie.ome.tif", counts, metadata={"axes": axes})
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(opened(path), counts)
        np.testing.assert_array_equal(opened(path, channel="1", position=1, plane=1), counts)


def test_a_movie_stored_as_planes_of_two_colours(tmp_path):
    counts = images(60, 2)
    write_imagej(tmp_path / "movie.tif", counts, "ZCYX")
    np.testing.assert_array_equal(opened(tmp_path / "movie.tif", channel="1"), counts[:, 0])


def test_four_colours_are_no_movie(tmp_path):
    write_imagej(tmp_path / "movie.tif", images(4), "CYX")
    with pytest.raises(InputError, match="holds 4 colours"):
        open_movie(tmp_path / "movie.tif")


def test_two_axes_without_names(tmp_path):
    tifffile.imwrite(tmp_path / "array.tif", images(2, 60))
    with pytest.raises(InputError, match="holds 2 x 60 images, and does not say which"):
        open_movie(tmp_path / "array.tif")
    counts = images(60, 1)
    tifffile.imwrite(tmp_path / "one.tif", counts)
    np.testing.assert_array_equal(opened(tmp_path / "one.tif"), counts[:, 0])


def test_frames_in_the_last_axis_are_refused(tmp_path):
    counts = np.moveaxis(images(60), 0, -1)
    options = {"photometric": "minisblack", "metadata": {"axes": "YXT"}}
    tifffile.imwrite(tmp_path / "movie.tif", counts, **options)
    with pytest.raises(InputError, match="rows and columns were expected to be the last axes"):
        open_movie(tmp_path / "movie.tif")


def test_a_choice_in_a_file_without_axes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as file:
        for frame in images(20):
            file.write(frame, contiguous=False)
    assert len(opened(tmp_path / "movie.tif", position=1)) == 20
    with pytest.raises(InputError, match="names no axes, so that plane 2 cannot be found"):
        open_movie(tmp_path / "movie.tif", Choice(plane=2))
