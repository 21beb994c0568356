"""Lists of numbers, as options of several programs take them."""

import argparse

import pytest

from bayesdl_sim.commands.data_options import cell_numbers
from bayesdl_sim.data.layouts import FrameLayout
from bayesdl_sim.DatasetGenerate.selection import numbers_in
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.number_list import numbers_of, ranges_in


def test_lists_are_read():
    assert ranges_in("1-3, 7,11-") == [(1, 3), (7, 7), (11, None)]
    assert numbers_of([(4, 5), (1, 1)]) == [4, 5, 1]


@pytest.mark.parametrize("words", ["", "a", "1,", "-3", "3-1", "1-2-3", "1.5", "1 2", "9" * 30])
def test_what_is_no_list_is_refused_by_every_program(words):
    with pytest.raises(ValueError, match=r"^"):
        ranges_in(words)
    with pytest.raises(argparse.ArgumentTypeError, match="expected e.g. 1-30,42, found"):
        cell_numbers(words)
    with pytest.raises(InputError, match="--cells: expected numbers such as"):
        numbers_in(words, [1, 2, 3], "--cells")
    with pytest.raises(InputError, match="frames: expected numbers from 1"):
        FrameLayout(frames=words)


def test_an_open_end_needs_to_know_what_there_is():
    assert numbers_in("2-", [1, 2, 3, 5], "--cells") == [2, 3, 5]
    for call in (lambda: numbers_of([(2, None)]), lambda: FrameLayout(frames="2-")):
        with pytest.raises((ValueError, InputError)):
            call()
    with pytest.raises(argparse.ArgumentTypeError):
        cell_numbers("2-")


def test_cells_count_once_and_frames_keep_their_order():
    assert cell_numbers("5,1-3,2") == (1, 2, 3, 5)
    assert FrameLayout(frames="4-5,1").chosen_frames() == [3, 4, 0]
