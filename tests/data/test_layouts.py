"""Which axis holds the frames, and what the others are: decided from letters and sizes alone."""

import numpy as np
import pytest

from bayesdl_sim.data.formats.image_file import Series
from bayesdl_sim.data.layouts import FrameLayout, NotAStack, arrange
from bayesdl_sim.utils.errors import InputError

SIZE = (32, 40)


def series_of(axes, shape, size=SIZE):
    """A series whose images hold their own number everywhere."""
    count = int(np.prod(shape))
    numbers = np.arange(count).reshape(*shape, 1, 1)
    images = np.broadcast_to(numbers, (*shape, *size))
    return Series(axes=axes, shape=images.shape, dtype=images.dtype, read=lambda: np.array(images))


def frames_of(axes, shape, numbers=(0, 0, 0), **layout):
    """Numbers of the images that a stack consists of, (T, 9)."""
    series = series_of(axes, shape)
    arrangement = arrange(series, FrameLayout(**layout))
    return arrangement, arrangement.cut(series.read(), *numbers)[..., 0, 0].tolist()


NINE = list(range(9))

# axes, sizes, what they are read as
READ_AS = [
    ("Q", (9,), "nine frames"),
    ("Z", (9,), "nine frames"),
    ("TZC", (1, 9, 1), "nine frames"),
    ("TZC", (1, 1, 9), "nine frames"),
    ("Q", (27,), "3 time points of nine frames"),
    ("T", (27,), "3 time points of nine frames"),
    ("C", (27,), "3 time points of nine frames"),
    ("Z", (27,), "3 planes of nine frames"),
    ("TZ", (4, 9), "4 time points of nine frames"),
    ("CZ", (2, 9), "2 colours of nine frames"),
    ("ZC", (9, 9), "9 planes of nine frames"),
    ("TZ", (9, 9), "9 time points of nine frames"),
    ("TZC", (5, 9, 2), "2 colours x 5 time points of nine frames"),
    ("TRZC", (2, 3, 4, 9), "3 positions x 4 planes x 2 time points of nine frames"),
    ("ZT", (3, 3), "nine frames"),
    ("CZT", (2, 3, 3), "2 colours of nine frames"),
    ("TZC", (3, 3, 3), "3 colours of nine frames"),
    ("AZP", (3, 9, 3), "9 planes of nine frames"),
    ("PA", (3, 3), "nine frames, phase by phase"),
    ("TPA", (2, 3, 3), "2 time points of nine frames, phase by phase"),
    ("PZ", (9, 2), "2 planes of nine frames"),
    ("QQ", (2, 9), "2 time points of nine frames"),
    ("QQQ", (2, 3, 3), "2 time points of nine frames"),
    ("TZ", (2, 27), "3 planes x 2 time points of nine frames"),
    ("QQ", (6, 6), "4 time points of nine frames"),
]


@pytest.mark.parametrize(("axes", "shape", "words"), READ_AS)
def test_what_axes_are_read_as(axes, shape, words):
    series = series_of(axes, shape)
    arrangement = arrange(series, FrameLayout())
    assert str(arrangement) == words
    assert np.prod(arrangement.sizes) == series.images
    stacks = [
        arrangement.cut(series.read(), c, r, z)[..., 0, 0]
        for c in range(arrangement.count("channel"))
        for r in range(arrangement.count("position"))
        for z in range(arrangement.count("plane"))
    ]
    assert all(stack.shape == (arrangement.count("time"), 9) for stack in stacks)
    # Each image of the file is a frame of exactly one stack.
    assert sorted(np.concatenate(stacks).ravel()) == list(range(series.images))


def test_frames_between_which_planes_lie():
    arrangement, frames = frames_of("Q", (27,), (0, 0, 1), order="orientation,z,phase")
    assert str(arrangement) == "3 planes of nine frames"
    assert frames == [[3, 4, 5, 12, 13, 14, 21, 22, 23]]
    _, frames = frames_of("Z", (27,), (0, 0, 2), order="phase,z,orientation")
    assert frames == [[6, 15, 24, 7, 16, 25, 8, 17, 26]]
    _, frames = frames_of("Q", (36,), (0, 0, 1), order="orientation,z=2,phase")
    assert frames == [
        [3, 4, 5, 9, 10, 11, 15, 16, 17],
        [21, 22, 23, 27, 28, 29, 33, 34, 35],
    ]
    _, frames = frames_of("Q", (18,), (1, 0, 0), order="orientation,phase,channel")
    assert frames == [[1, 3, 5, 7, 9, 11, 13, 15, 17]]


def test_phases_before_orientations():
    _, frames = frames_of("Q", (9,), order="phase,orientation")
    assert frames == [[0, 3, 6, 1, 4, 7, 2, 5, 8]]
    _, frames = frames_of("TZ", (3, 3), order="phase,orientation")
    assert frames == [[0, 3, 6, 1, 4, 7, 2, 5, 8]]
    arrangement, frames = frames_of("PA", (3, 3))  # the file itself says which is which
    assert frames == [[0, 3, 6, 1, 4, 7, 2, 5, 8]]
    assert arrangement.roles == ("phase", "orientation")
    _, frames = frames_of("AP", (3, 3), order="phase,orientation")
    assert frames == [NINE]


@pytest.mark.parametrize(
    ("axes", "shape", "frames", "expected"),
    [
        ("Q", (10,), "1-9", [NINE]),
        ("Q", (10,), "2-10", [list(range(1, 10))]),
        ("Q", (20,), "1-9, 11-19", [NINE, list(range(10, 19))]),
        ("TZ", (2, 10), "1-9", [NINE, list(range(10, 19))]),
        ("CZ", (2, 11), "3-11", [list(range(2, 11))]),
        ("QQ", (5, 4), "1-9", [NINE]),
    ],
)
def test_chosen_frames(axes, shape, frames, expected):
    assert frames_of(axes, shape, frames=frames)[1] == expected


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("Q", (1,), "holds a single 2-D image"),
        ("Q", (8,), "holds 8 images; a 2D-SIM stack needs 9"),
        ("AP", (3, 5), "holds 5 phases: not supported"),
        ("AZP", (3, 9, 5), "holds 5 phases: not supported"),
        ("AP", (5, 3), "holds 5 orientations: not supported"),
        ("CZ", (2, 15), "5 phases: not supported"),
        ("ZC", (15, 2), "5 phases: not supported"),
        ("T", (25,), "5 orientations x 5 phases"),
        ("TC", (7, 2), "hexagonal"),
    ],
)
def test_what_is_no_stack_is_said(axes, shape, message):
    with pytest.raises(NotAStack, match=message):
        arrange(series_of(axes, shape), FrameLayout())


def test_frames_after_rows_and_columns():
    images = np.random.default_rng(0).random((20, 24, 9))
    series = Series(axes="Q", shape=images.shape, dtype=images.dtype, read=lambda: images)
    arrangement = arrange(series, FrameLayout())
    assert arrangement.frames_last
    np.testing.assert_array_equal(arrangement.cut(images, 0, 0, 0)[0], np.moveaxis(images, -1, 0))
    movie = np.stack([images, 2 * images])
    series = Series(axes="TQ", shape=movie.shape, dtype=movie.dtype, read=lambda: movie)
    stack = arrange(series, FrameLayout()).cut(movie, 0, 0, 0)
    np.testing.assert_array_equal(stack, np.moveaxis(movie, -1, 1))


def test_a_movie_of_mosaics():
    frames = np.random.default_rng(0).random((4, 9, 20, 24))
    pages = frames.reshape(4, 3, 3, 20, 24).transpose(0, 1, 3, 2, 4).reshape(4, 60, 72)
    series = Series(axes="T", shape=pages.shape, dtype=pages.dtype, read=lambda: pages)
    arrangement = arrange(series, FrameLayout(mosaic="3x3"))
    assert str(arrangement) == "4 time points of nine frames"
    np.testing.assert_array_equal(arrangement.cut(pages, 0, 0, 0), frames)
    row = frames[0].transpose(1, 0, 2).reshape(20, 216)
    series = Series(axes="", shape=row.shape, dtype=row.dtype, read=lambda: row)
    arrangement = arrange(series, FrameLayout(mosaic="1x9"))
    np.testing.assert_array_equal(arrangement.cut(row, 0, 0, 0)[0], frames[0])
    with pytest.raises(InputError, match="20x216 px cannot be cut into 3x3"):
        arrange(series, FrameLayout(mosaic="3x3"))
