"""The first setting in which two works differ, in words."""

import pytest

from bayesdl_sim.utils.folders.differences import UNKNOWN, difference

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("there", "here", "words"),
    [
        ({"delta": 0.04}, {"delta": 0.1}, "delta (there 0.04, here 0.1)"),
        ({"na": None, "x": 1}, {"na": 1.4, "x": 2}, "na (there none, here 1.4)"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a b c (there 1, here 2)"),
        ({"input": A}, {"input": B}, "input (other content)"),
        ({"members": {"1": A, "2": B}}, {"members": {"1": A}}, "members 2 (there only)"),
        ({"otf": None}, {"otf": A}, "otf (here only)"),
        ({"maps": ["SR"]}, {"maps": ["SR", "Total"]}, "maps (there not, here Total)"),
        ({"scale": {"a": 1}}, {"scale": None}, "scale (there {'a': 1}, here none)"),
        (None, {"delta": 1}, UNKNOWN),
        ({"delta": 1}, {"delta": 1}, UNKNOWN),
    ],
)
def test_the_first_difference_is_named_with_both_values(there, here, words):
    assert difference(there, here) == words


def test_a_long_value_stays_short():
    assert len(difference({"x": "word " * 100}, {"x": "other " * 100})) < 200
