"""A file as the widget takes it: the order is shown, and the frames follow it."""

import numpy as np
import pytest
import tifffile

from bayesdl_sim.napari.steps.opening import (
    entries_of,
    opened,
    order_sentence,
    stack_of_array,
)
from bayesdl_sim.utils.errors import InputError


def test_ordinary_stack_keeps_its_order(good, frames):
    (entry,) = entries_of(good)
    stack = opened(entry)
    np.testing.assert_array_equal(stack.raw[0], frames)
    words = order_sentence(stack)
    assert words.startswith("9 frames of 72 x 72 pixels, pixel 65 nm.")
    assert "orientation by orientation, as the file has them" in words


def test_phase_major_stack_is_put_in_order_and_reported(phase_major, frames):
    stack = opened(entries_of(phase_major)[0])
    np.testing.assert_array_equal(stack.raw[0], frames)
    words = order_sentence(stack)
    assert "The fringes prove another order (phase,orientation)" in words
    assert "1, 4, 7, 2, 5, 8, 3, 6, 9." in words


def test_colours_are_entries_that_their_layout_chooses_again(tmp_path, frames):
    path = tmp_path / "two.ome.tif"
    metadata = {"axes": "ZCYX", "Channel": {"Name": ["green", "red"]}}
    tifffile.imwrite(path, np.stack([frames, frames // 2], axis=1), ome=True, metadata=metadata)
    green, red = entries_of(path)
    assert (green.layout.channel, red.layout.channel) == ("green", "red")
    np.testing.assert_array_equal(opened(red).raw[0], frames // 2)


def test_file_that_is_no_stack_gives_the_reason(write, frames):
    with pytest.raises(InputError, match="holds 5 images"):
        opened(entries_of(write("five.tif", frames[:5]))[0])


def test_array_of_another_reader_is_taken_if_it_holds_nines(frames):
    stack = stack_of_array(np.concatenate([frames, frames]), "Image", 65.0)
    assert stack.raw.shape == (2, *frames.shape)
    with pytest.raises(InputError, match="Image holds 4 images, but a 2D-SIM stack of nine"):
        stack_of_array(frames[:4], "Image", None)
