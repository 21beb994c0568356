"""Named orders of frames: one implementation for reconstruction and for data sets."""

import numpy as np
import pytest

from bayesdl_sim.data.frame_order import ORDERS, FrameOrder, check_words, split_axis
from bayesdl_sim.utils.errors import InputError


@pytest.mark.parametrize(
    ("order", "count", "axes"),
    [
        ("orientation,phase", 9, [("orientation", 3), ("phase", 3)]),
        ("phase,orientation", 9, [("phase", 3), ("orientation", 3)]),
        ("orientation,phase", 27, [("time", 3), ("orientation", 3), ("phase", 3)]),
        ("angle,z,phase", 36, [("orientation", 3), ("plane", 4), ("phase", 3)]),
        ("orientation,z,phase", 9, [("orientation", 3), ("plane", 1), ("phase", 3)]),
        (
            "Orientation, z=5, phase",
            90,
            [("time", 2), ("orientation", 3), ("plane", 5), ("phase", 3)],
        ),
        ("t,c=2,phase,angle", 54, [("time", 3), ("channel", 2), ("phase", 3), ("orientation", 3)]),
    ],
)
def test_an_axis_is_split_as_the_words_say(order, count, axes):
    assert split_axis(order, count) == axes


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("", "expected what changes in the file"),
        ("orientation,frame", "found 'orientation,frame'"),
        ("orientation", "expected one phase in 'orientation', found 0"),
        ("orientation,phase,angle", "expected one orientation .* found 2"),
        ("orientation,z=0,phase", "expected what changes"),
        ("orientation;phase", "expected what changes"),
    ],
)
def test_words_that_are_no_order_are_refused(order, message):
    with pytest.raises(InputError, match=message):
        check_words(order)


@pytest.mark.parametrize(
    ("order", "count", "message"),
    [
        ("orientation,phase", 10, "10 images are not a whole number of stacks"),
        ("orientation,z=2,phase", 27, "27 images are not a whole number of stacks"),
        ("orientation,z,phase", 6, "6 images are not a whole"),
        ("time,orientation,z,phase", 54, "leaves open how many .* along time and along plane"),
    ],
)
def test_counts_that_do_not_divide_are_refused(order, count, message):
    with pytest.raises(InputError, match=message):
        split_axis(order, count)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 5), (1, 7)])
def test_orientation_major_is_a_matter_of_the_order_only(order, shape):
    kind = FrameOrder(order, *shape)
    frames = np.arange(kind.frames)[:, None, None] * np.ones((2, 3), int)
    numbers = kind.orientation_major(frames)[:, 0, 0]
    expected = np.arange(kind.frames)
    if order == ORDERS[1]:
        expected = expected.reshape(shape[::-1]).T.ravel()
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_array_equal(kind.triples(frames)[..., 0, 0].ravel(), expected)
    assert kind.other.other == kind


def test_the_words_of_an_order_name_roles():
    assert check_words("Angle, Z=4 ,phase") == [
        ("orientation", None),
        ("plane", 4),
        ("phase", None),
    ]
    for words in ("t", "time"):
        assert check_words(f"{words},phase,rotation")[0] == ("time", None)
    for words in ("c", "color", "colour", "channel"):
        assert check_words(f"{words},phase,rotation")[0] == ("channel", None)
