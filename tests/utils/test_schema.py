"""A damaged JSON file ends in one line that names the file and the entry."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json
from bayesdl_sim.utils.schema import (
    anything,
    checked,
    flag,
    list_of,
    mapping_of,
    maybe,
    number,
    one_of,
    optional,
    read_record,
    record,
    text,
    whole,
)

ENTRIES = {
    "factor": number(above=0, most=100),
    "members": list_of(text(), least=1),
    "size": list_of(whole(least=1), length=2),
    "splits": mapping_of(list_of(whole())),
    "kind": one_of("fixed", "random"),
    "complete": flag(),
    "pixel": maybe(number(above=0)),
    "note": optional(text()),
    "nested": record({"seed": maybe(whole(least=0))}),
    "rest": anything(),
}
GOOD = {
    "factor": 2,
    "members": ["a"],
    "size": [32, 40],
    "splits": {"train": [1, 2]},
    "kind": "fixed",
    "complete": True,
    "pixel": None,
    "nested": {"seed": 3, "more": [1]},
    "rest": {"of": "any kind"},
    "unlisted": 5,
}


def test_a_good_file_is_read_with_its_further_entries(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(GOOD))
    content = read_record(path, ENTRIES, "calibration")
    assert content == GOOD
    assert isinstance(content["factor"], float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": -1}, "factor: expected a number above 0 and at most 100, found -1"),
        ({"factor": "2"}, "factor: expected a number, found '2'"),
        ({"factor": True}, "factor: expected a number, found True"),
        ({"factor": math.inf}, "factor: expected a finite number"),
        ({"factor": math.nan}, "factor: expected a finite number"),
        ({"factor": 10**400}, "factor: expected a number of usual size, found a whole number of"),
        ({"members": []}, "members: expected at least 1 items"),
        ({"members": [3]}, r"members\[0\]: expected a text, found 3"),
        ({"size": [32]}, "size: expected 2 items, found 1 items"),
        ({"size": [32, 0]}, r"size\[1\]: expected a whole number of at least 1, found 0"),
        ({"size": [32, 1.5]}, r"size\[1\]: expected a whole number, found 1.5"),
        ({"splits": []}, "splits: expected an object"),
        ({"splits": {"train": 1}}, "splits.'train': expected a list"),
        ({"kind": 1}, "kind: expected 'fixed' or 'random', found 1"),
        ({"complete": 1}, "complete: expected true or false, found 1"),
        ({"note": 7}, "note: expected a text"),
        ({"nested": {}}, "nested.seed: expected an entry, found nothing"),
        ({"nested": {"seed": "x" * 500}}, "nested.seed: expected a whole number, found 'xxx"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(InputError, match=message) as error:
        checked(GOOD | change, ENTRIES, "some/x.json", "calibration")
    assert str(error.value).startswith("some/x.json is not a valid calibration file: ")
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in GOOD if name != "unlisted"])
def test_a_missing_entry_is_named(name):
    payload = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(InputError, match=f"{name}: expected an entry, found nothing"):
        checked(payload, ENTRIES, "x.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[1]", "expected a JSON object"),
    ],
)
def test_what_is_no_json_is_named(tmp_path, content, reason):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as error:
        read_json(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(list(GOOD)), value=VALUES)
def test_any_value_at_any_place_is_taken_or_named(name, value):
    reason = name
    try:
        checked(GOOD | {name: value}, ENTRIES, "x.json")
    except InputError as error:
        reason = str(error)
    assert name in reason
