"""The map of the probability of occupation: it rises, extends to 1, and is read back."""

import dataclasses

import numpy as np
import pytest

from bayesdl_sim.dlbi.network.occupation import (
    FieldDensity,
    OccupationMap,
    StoredMap,
    density_of_field,
    read_map,
    write_map,
)
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json

MAP = OccupationMap(
    constant=2.0,
    low=0.3,
    high=1.2,
    ratio=0.9,
    share=0.1,
    lit=-0.3,
    least=FieldDensity(-1.5, -8.0, -5.0),
    most=FieldDensity(1.5, -1.5, -0.5),
)
USUAL = FieldDensity(-0.5, -4.0, -1.5)


def stored(**changes):
    facts = {"scenes": 84, "pixels": 10**7}
    one = {"map": MAP, "names": ("member_01.pth",), "hashes": ("ab",), "facts": facts}
    return StoredMap(**{**one, **changes})


@pytest.mark.parametrize("slopes", [(0.3, 1.2), (1.2, 0.3), (0.05, 0.05)])
def test_it_rises_with_the_probability_from_0_to_1(slopes):
    rising = dataclasses.replace(MAP, low=slopes[0], high=slopes[1])
    x = np.linspace(-20, 20, 4001)
    assert np.all(np.diff(rising.logit(x, USUAL)) > 0)
    ends = MAP.calibrated([0.0, 1.0], USUAL)
    assert ends[0] < 1e-3
    assert ends[1] > 0.999


def test_a_field_that_is_denser_for_its_probability_has_more_of_it():
    p = np.linspace(0.01, 0.99, 50).reshape(5, 10)
    sparse, dense = (MAP.calibrated(p, USUAL._replace(ratio=r)) for r in (-1.0, 0.5))
    assert sparse.shape == p.shape
    assert sparse.dtype == np.float32
    assert np.all(dense > sparse)


def test_beyond_the_scenes_it_is_that_of_the_nearest():
    p = np.array([0.01, 0.3])
    far, edge = (MAP.calibrated(p, USUAL._replace(ratio=r)) for r in (9.0, 1.5))
    np.testing.assert_array_equal(far, edge)


def test_measures_of_a_field():
    probability = np.array([[0.5, 0.0], [0.0, 0.0]])
    density = np.full((2, 2), np.log(2.0))  # half of the pixels are occupied
    field = density_of_field(probability, density)
    assert field.ratio == pytest.approx(np.log(0.5 / 0.125))
    assert field.share == pytest.approx(np.log(0.5))
    assert field.lit == pytest.approx(np.log(0.5))


def test_an_empty_field_has_finite_measures():
    field = density_of_field(np.zeros((4, 4)), np.zeros((4, 4)))
    assert np.all(np.isfinite(field))
    assert np.all(np.isfinite(MAP.calibrated(np.zeros((4, 4)), field)))


def test_it_is_read_back_as_it_was(tmp_path):
    write_map(tmp_path / "calibration.json", stored())
    assert read_map(tmp_path / "calibration.json") == stored()


OLD = {"stated": [0.0, 1.0], "calibrated": [0.0, 1.0], "scenes": 36}


@pytest.mark.parametrize("content", [OLD, {**OLD, "version": 1}, {"format": "other"}])
def test_an_older_version_is_refused_with_what_to_do(tmp_path, content):
    path = tmp_path / "calibration.json"
    write_json(path, content)
    with pytest.raises(InputError, match=r"of version 2, found .* python -m dlbi.train --resume"):
        read_map(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": {}}, "weights.constant: expected an entry"),
        ({"weights": "low"}, "expected an object"),
        ({"least": [0.0]}, "least: expected"),
        ({"least": [2.0, 0.0, 0.0], "most": [1.0, 0.0, 0.0]}, "not above the most"),
        ({"most": [1e300, 0, 0]}, "most"),
        ({"members": []}, "members"),
        ({"hashes": "ab"}, "hashes"),
    ],
)
def test_a_damaged_map_is_refused(tmp_path, change, words):
    path = tmp_path / "calibration.json"
    write_map(path, stored())
    write_json(path, {**read_json(path), **change})
    with pytest.raises(InputError, match="not a valid calibration file") as caught:
        read_map(path)
    assert words in str(caught.value)


@pytest.mark.parametrize("slope", ["low", "high"])
@pytest.mark.parametrize("value", [0.0, -1.0, 1e9, float("nan")])
def test_a_map_that_falls_is_refused(tmp_path, slope, value):
    path = tmp_path / "calibration.json"
    write_map(path, stored())
    content = read_json(path)
    content["weights"][slope] = value if np.isfinite(value) else "nan"
    write_json(path, content)
    with pytest.raises(InputError, match=f"weights.{slope}: expected"):
        read_map(path)
