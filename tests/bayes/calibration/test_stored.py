"""calibration.json: one calibration per number of members, true of these members only."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesdl_sim.bayes.calibration.fitting import fit_calibration
from bayesdl_sim.bayes.calibration.stored import (
    CALIBRATION_FILE,
    find_calibration,
    read_calibrations,
    write_calibrations,
)
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

MEMBERS = {"member_01.pth": "aa", "member_02.pth": "bb"}
FIRST = {"member_01.pth": "aa"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@pytest.fixture
def pair(cells, with_structure):
    """Calibrations of one and of two members, one of them with factors by features."""
    facts = {"set": "x", "cell_numbers": [1, 2, 3]}
    one = fit_calibration(cells(10, skewed=True), members=FIRST, fitted_on=facts)
    two = fit_calibration(with_structure(30), members=MEMBERS, fitted_on=facts)
    assert one.probability_map is not None
    assert two.by_features.lit_weights is not None
    return [one, two]


@pytest.fixture
def path(tmp_path, pair):
    write_calibrations(tmp_path / CALIBRATION_FILE, pair)
    return tmp_path / CALIBRATION_FILE


def as_version_2(calibration):
    """The payload that the versions before this one have written."""
    payload = asdict(calibration)
    payload["by_look"] = payload.pop("by_features")
    return {"format": "BayesDL-SIM calibration", "version": 2, **payload}


def test_stored_and_read_back(path, pair):
    assert read_calibrations(path) == pair
    stored = read_json(path)
    assert stored["by_members"][0]["conformal"][0]["factor"] is None  # 10 cells cannot keep 5 %
    assert stored["fitted_on"] == {"set": "x", "cell_numbers": [1, 2, 3]}  # once for all


def test_each_number_of_members_has_its_own(path, pair):
    for members, calibration in zip((FIRST, MEMBERS), pair, strict=True):
        stored, words = find_calibration(path.parent, None, members)
        assert stored == calibration
        assert f"standard deviations x {calibration.scale:.3f}" in words


def test_other_members_are_refused(path, tmp_path):
    others = (
        {"member_02.pth": "bb"},  # a subset, but not the first
        {**MEMBERS, "member_02.pth": "cc"},
        {**MEMBERS, "member_03.pth": "cc"},
    )
    for members in others:
        calibration, words = find_calibration(tmp_path, None, members)
        assert calibration is None
        assert words.startswith("WARNING")
        with pytest.raises(InputError, match=r"for 1 to 2 other member.*calibrate\.py"):
            find_calibration(tmp_path / "elsewhere", path, members)
    assert find_calibration(tmp_path, "none", MEMBERS)[0] is None
    assert find_calibration(tmp_path / "elsewhere", None, MEMBERS)[0] is None
    with pytest.raises(InputError, match="no file"):
        find_calibration(tmp_path, tmp_path / "missing.json", MEMBERS)


def test_members_that_are_not_nested_are_not_written(path, pair):
    odd = replace(pair[0], members={"member_02.pth": "bb"})
    with pytest.raises(InputError, match="first 1 of the members"):
        write_calibrations(path, [odd, pair[1]])


def test_the_same_members_in_other_poses_are_told_what_is_missing(tmp_path, pair):
    posed = {name: f"{digest} in pose 1" for name, digest in MEMBERS.items()}
    write_calibrations(tmp_path / CALIBRATION_FILE, [replace(pair[1], members=posed)])
    calibration, words = find_calibration(tmp_path, None, MEMBERS)
    assert calibration is None
    assert "member_01.pth differs, or is shown the field in another pose" in words
    assert "copy posterior.json" in words


@pytest.mark.parametrize("version", [3, 4, 5, 6])
def test_a_factor_by_features_of_another_version_is_refused(path, pair, version):
    stored = read_json(path)
    for weights in ("weights", "lit_weights"):  # they had a feature less
        stored["by_members"][1]["by_features"][weights].pop()
    write_json(path, stored | {"version": version})
    with pytest.raises(InputError, match=r"measured others; make it again with calibrate\.py"):
        read_calibrations(path)
    del stored["by_members"][1]["by_features"]
    write_json(path, stored | {"version": version})
    assert read_calibrations(path) == [pair[0], replace(pair[1], by_features=None)]


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_one_calibration_is_of_all_its_members(tmp_path, pair, version):
    path = tmp_path / CALIBRATION_FILE
    payload = as_version_2(pair[1]) | {"version": version}
    write_json(path, payload)
    with pytest.raises(InputError, match="measured others"):
        read_calibrations(path)
    del payload["by_look"], payload["fitted_on"]["nll_held_out"]
    write_json(path, payload)
    calibration, _ = find_calibration(tmp_path, None, MEMBERS)
    assert calibration.scale == pair[1].scale
    assert calibration.by_features is None
    assert find_calibration(tmp_path, None, FIRST)[0] is None


ZERO = [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "change",
    [
        {"scale": -1.0},
        {"scale": 0},
        {"scale": "x"},
        {"conformal": 3},
        {"conformal": [{"alpha": 0.1, "factor": -1.6, "cells_needed": 9}]},  # Lower above Upper
        {"conformal": [{"alpha": 0.1, "factor": 1.6}]},
        {"probability_map": {"expected": [0.0, 1.0], "observed": [1.0, 0.0]}},
        {"probability_map": {"expected": [0.0, 1.0], "observed": [0.0, 0.5, 1.0]}},
        {"members": 0},
        {"by_features": 3},
        {"by_features": {"weights": [1.0], "low": ZERO, "high": ZERO}},
        {"by_features": {"weights": [1.0, 0.0, 0.0, 0.0, None], "low": ZERO, "high": ZERO}},
        {"by_features": {"weights": [1e5, 0.0, 0.0, 0.0, 0.0], "low": ZERO, "high": ZERO}},
        {"by_features": {"weights": [0.0] * 5, "low": ZERO, "high": ZERO, "lit_weights": [1.0]}},
        {
            "by_features": {
                "weights": [0.0] * 5,
                "low": ZERO,
                "high": ZERO,
                "lit_weights": [1e5] * 5,
            }
        },
        {"fitted_on": []},
    ],
)
def test_numbers_that_make_no_sense_are_refused(path, pair, change):
    stored = read_json(path)
    stored["by_members"][1] |= change
    write_json(path, stored)
    with pytest.raises(InputError, match=r"make it again with calibrate\.py"):
        read_calibrations(path)
    if "by_features" in change:
        change = {"by_look": change["by_features"]}
    if "members" not in change:
        write_json(path, as_version_2(pair[1]) | change)
        with pytest.raises(InputError, match=r"make it again with calibrate\.py"):
            read_calibrations(path)


@pytest.mark.parametrize("change", [{"format": "other"}, {"version": 9}, {"version": [3]}])
def test_another_format_is_refused(path, change):
    write_json(path, read_json(path) | change)
    with pytest.raises(InputError, match="make it again"):
        read_calibrations(path)


def places(value, way=()):
    """The way to every entry of nested JSON."""
    yield way
    if isinstance(value, (dict, list)):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in list(keys)[:6]:
            yield from places(value[key], (*way, key))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_damage_is_refused_or_harmless(path, data):
    stored = json.loads(path.read_text())
    *way, last = data.draw(st.sampled_from([way for way in places(stored) if way]))
    inner = stored
    for key in way:
        inner = inner[key]
    if isinstance(inner, dict) and data.draw(st.booleans()):
        del inner[last]
    else:
        inner[last] = data.draw(JSON)
    damaged = path.with_name("damaged.json")
    damaged.write_text(json.dumps(stored))
    try:
        calibrations = read_calibrations(damaged)
    except InputError:
        return
    for calibration in calibrations:
        low, high, _ = calibration.bounds(0.9)
        assert low <= high
        assert np.isfinite([low, high, calibration.factor(None)]).all()
        assert calibration.describe()
