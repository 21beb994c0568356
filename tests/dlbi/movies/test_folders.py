"""Folders of frames: odd files are named and left out, gaps are named, two movies are refused."""

import pytest
import tifffile
import torch

from bayesdl_sim.dlbi.movies.reading import open_movie
from bayesdl_sim.utils.errors import InputError

FRAMES = [f"frame_{number:03}.tif" for number in range(1, 31)]


def folder_of(path, names, lengths=None):
    """Files whose pixels hold the place of the file in `names`."""
    for n, name in enumerate(names):
        shape = (lengths[n], 20, 24) if lengths else (20, 24)
        tifffile.imwrite(path / name, torch.full(shape, n, dtype=torch.uint8).numpy())
    return path


def values(movie):
    return torch.cat(list(movie.pieces()))[:, 0, 0].tolist()


def test_a_whole_folder_needs_no_word(tmp_path):
    movie = open_movie(folder_of(tmp_path, FRAMES))
    assert (movie.frames, movie.notes) == (30, ())


def test_an_average_beside_the_frames_is_left_out_and_named(tmp_path):
    movie = open_movie(folder_of(tmp_path, [*FRAMES, "AVG_frame.tif"]))
    assert values(movie) == list(range(30))
    (note,) = movie.notes
    assert note.startswith("left out")
    assert note.endswith(": AVG_frame.tif")


def test_an_average_beside_the_parts_of_a_movie(tmp_path):
    names = ["movie.tif", "movie_1.tif", "AVG_movie.tif"]
    movie = open_movie(folder_of(tmp_path, names, [20, 20, 1]))
    assert movie.frames == 40
    assert "AVG_movie.tif" in movie.notes[0]


def test_missing_numbers_are_named(tmp_path):
    movie = open_movie(folder_of(tmp_path, FRAMES[:9] + FRAMES[10:20] + FRAMES[23:]))
    (note,) = movie.notes
    assert "missing in the folder: 10, 21 to 23;" in note


@pytest.mark.parametrize(
    "names",
    [
        [f"t{0.5 * number:.1f}.tif" for number in range(30)],
        [f"day3_{n // 7:02}-{n % 7:02}_{n}.tif" for n in range(28)],
        [f"frame_{100 + 7 * number}.tif" for number in range(20)],
        [f"{letter}.tif" for letter in "abcdefghijkl"],
        [*FRAMES[:-1], "frame_030.TIFF"],
    ],
)
def test_other_ways_to_count_need_no_word(tmp_path, names):
    movie = open_movie(folder_of(tmp_path, names))
    assert (movie.frames, movie.notes) == (len(names), ())
    assert values(movie) == list(range(len(names)))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([f"c{c}_t{t:02}.tif" for c in (1, 2) for t in range(15)], "count 2 x 15, as for several"),
        ([f"{c}_{t}.tif" for c in ("GFP", "RFP") for t in range(15)], "files of several names"),
    ],
)
def test_two_movies_in_a_folder_are_refused(tmp_path, names, words):
    with pytest.raises(InputError, match=words):
        open_movie(folder_of(tmp_path, names))


def test_single_frames_beside_the_stack_of_them(tmp_path):
    folder = folder_of(tmp_path, [*FRAMES, "stack.tif"], [1] * 30 + [30])
    with pytest.raises(InputError, match="files of several names"):
        open_movie(folder)


@pytest.mark.parametrize("second", ["movie-1.tif", "movie_X1.tif", "movie (2).tif", "movie1.tif"])
def test_the_first_part_of_a_movie_has_no_number(tmp_path, second):
    movie = open_movie(folder_of(tmp_path, ["movie.tif", second], [8, 6]))
    assert values(movie) == [0] * 8 + [1] * 6


def test_parts_that_count_beyond_nine(tmp_path):
    names = ["movie.tif", *(f"movie-{number}.tif" for number in range(1, 12))]
    movie = open_movie(folder_of(tmp_path, names, [5] * 12))
    assert values(movie)[::5] == list(range(12))


@pytest.mark.parametrize("second", ["movie-1.tif", "movie_X1.tif", "movie@0001.tif", "movie_2.tif"])
def test_a_file_that_continues_a_movie_is_named(tmp_path, second):
    folder_of(tmp_path, ["movie.tif", second, "other_1.tif"], [8, 6, 6])
    (note,) = open_movie(tmp_path / "movie.tif").notes
    assert note.startswith(f"{second} beside it seems to continue this movie")
    assert open_movie(tmp_path / second).notes == ()


@pytest.mark.parametrize(
    "second", ["movie_mean.tif", "movie_10.tif", "movie-1.txt", "amovie_1.tif"]
)
def test_other_files_beside_a_movie_are_none(tmp_path, second):
    folder_of(tmp_path, ["movie.tif", second], [8, 6])
    assert open_movie(tmp_path / "movie.tif").notes == ()


def test_a_longer_file_continues_none(tmp_path):
    folder_of(tmp_path, ["movie.tif", "movie_1.tif"], [6, 9])
    assert open_movie(tmp_path / "movie.tif").notes == ()
