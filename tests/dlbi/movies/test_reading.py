"""Movies as files, folders and arrays; what is wrong is said in one line."""

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.dlbi.movies.reading import PIECE, Movie, open_movie
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def counts():
    return np.random.default_rng(0).integers(90, 400, (120, 20, 24)).astype(np.uint16)


def test_a_file_in_pieces(tmp_path, counts):
    tifffile.imwrite(tmp_path / "movie.tif", counts)
    movie = open_movie(tmp_path / "movie.tif")
    assert (movie.frames, movie.shape, movie.pixel_size_nm) == (120, (20, 24), None)
    pieces = list(movie.pieces())
    assert max(map(len, pieces)) <= PIECE
    np.testing.assert_array_equal(torch.cat(pieces).numpy(), counts)
    assert len(list(movie.pieces())) == len(pieces)  # it may be read again


def test_a_folder_of_frames_in_natural_order(tmp_path, counts):
    for number in range(12):
        tifffile.imwrite(tmp_path / f"frame{number}.tif", counts[number])
    movie = open_movie(tmp_path)
    assert movie.frames == 12
    np.testing.assert_array_equal(torch.cat(list(movie.pieces())).numpy(), counts[:12])


def test_a_movie_in_several_files(tmp_path, counts):
    for number, start in enumerate(range(0, 120, 40)):
        tifffile.imwrite(tmp_path / f"part{number}.tif", counts[start : start + 40])
    frames = torch.cat(list(open_movie(tmp_path).pieces())).numpy()
    np.testing.assert_array_equal(frames, counts)


def test_pixel_size_of_an_imagej_file(tmp_path, counts):
    tifffile.imwrite(
        tmp_path / "movie.tif",
        counts,
        imagej=True,
        resolution=(10, 10),
        metadata={"unit": "um", "axes": "TYX"},
    )
    assert open_movie(tmp_path / "movie.tif").pixel_size_nm == pytest.approx(100)


def test_a_movie_in_memory(counts):
    movie = Movie.of(torch.from_numpy(counts.astype(np.float32)))
    assert movie.frames == 120
    assert torch.cat(list(movie.pieces())).shape == (120, 20, 24)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda counts: counts[:, None], r"expected \(frames, height, width\), found the shape"),
        (lambda counts: counts[:1], "array holds 1 frame, but a movie"),
        (lambda counts: counts[:, :10], "at least 16 x 16 pixels"),
    ],
)
def test_a_movie_in_memory_is_checked_as_a_file_is(counts, change, words):
    with pytest.raises(InputError, match=words):
        Movie.of(change(torch.from_numpy(counts.astype(np.float32))), "array")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_in_memory_that_are_not_finite(counts, value):
    counts = torch.from_numpy(counts.astype(np.float32))
    counts[60, 4, 5] = value
    with pytest.raises(InputError, match="array holds values that are not finite"):
        list(Movie.of(counts, "array").pieces())


def test_pieces_of_files_of_odd_lengths(tmp_path, counts):
    for name, part in (("a", counts[:49]), ("b", counts[49:99]), ("c", counts[99:])):
        tifffile.imwrite(tmp_path / f"{name}.tif", part)
    pieces = list(open_movie(tmp_path).pieces())
    assert [len(piece) for piece in pieces] == [50, 50, 20]
    np.testing.assert_array_equal(torch.cat(pieces).numpy(), counts)


def test_a_single_frame(tmp_path, counts):
    tifffile.imwrite(tmp_path / "one.tif", counts[0])
    with pytest.raises(InputError, match="holds 1 frame, but a movie"):
        open_movie(tmp_path / "one.tif")


def test_colour(tmp_path, counts):
    colour = np.repeat(counts[:8, :, :, None], 3, axis=3).astype(np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", colour, photometric="rgb")
    with pytest.raises(InputError, match="colour"):
        open_movie(tmp_path / "rgb.tif")


def test_frames_of_two_sizes(tmp_path, counts):
    tifffile.imwrite(tmp_path / "a.tif", counts[:5])
    tifffile.imwrite(tmp_path / "b.tif", counts[:5, :18])
    with pytest.raises(InputError, match="frames of one size"):
        open_movie(tmp_path)


def test_a_tiny_field(tmp_path, counts):
    tifffile.imwrite(tmp_path / "movie.tif", counts[:, :10, :10])
    with pytest.raises(InputError, match="at least 16 x 16"):
        open_movie(tmp_path / "movie.tif")


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no frame there"):
        open_movie(tmp_path)


def test_values_that_are_not_finite(tmp_path):
    frames = np.ones((8, 20, 20), np.float32)
    frames[3, 4, 5] = np.nan
    tifffile.imwrite(tmp_path / "movie.tif", frames)
    with pytest.raises(InputError, match="not finite"):
        list(open_movie(tmp_path / "movie.tif").pieces())


@pytest.mark.parametrize("stored", [True, False])
def test_frames_that_are_left_out(tmp_path, counts, stored):
    movie = Movie.of(torch.from_numpy(counts.astype(np.float32)))
    if stored:
        tifffile.imwrite(tmp_path / "movie.tif", counts)
        movie = open_movie(tmp_path / "movie.tif")
    shorter = movie.without([3, 60]).without([119])
    assert (shorter.frames, shorter.left_out) == (117, (3, 60, 119))
    pieces = list(shorter.pieces())
    assert [len(piece) for piece in pieces] == [50, 50, 17]
    np.testing.assert_array_equal(torch.cat(pieces).numpy(), np.delete(counts, [3, 60, 119], 0))
