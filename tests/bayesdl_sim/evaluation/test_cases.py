"""A case shows the stack and the truth of one cell on one intensity scale."""

import math
import shutil

import numpy as np
import pytest

from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.evaluation.cases import (
    CaseSettings,
    chosen_cells,
    each_case,
    list_stacks,
    read_case,
    require_use_of_optics,
    warn_of_training_cells,
)
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json


@pytest.fixture
def tree(small_set):
    return DatasetTree(small_set)


def test_target_and_frames_share_a_scale(tree):
    case = read_case(tree, 1, 2, CaseSettings())
    assert case.name == "cell 1, level 2"
    assert case.target.shape == (96, 96)
    assert case.norm == normalisation_of(case.raw)
    # What the wide field blurs has the same mean, in the same units.
    coarse = case.target.reshape(48, 2, 48, 2).mean(axis=(1, 3))
    assert coarse.mean() == pytest.approx(case.wide_field.mean(), abs=0.05)
    assert np.corrcoef(coarse.ravel(), case.wide_field.ravel())[0, 1] > 0.7
    assert math.isfinite(case.signal_e)
    assert case.optics is not None
    assert case.optics.pixel_size_nm == case.pixel_size_nm


def test_cells_of_the_split_or_of_the_user(tree):
    splits = tree.spec.splits
    assert chosen_cells(tree, CaseSettings()) == (splits["test"], splits["validation"])
    assert chosen_cells(tree, CaseSettings(part="validation")).evaluated == splits["validation"]
    assert chosen_cells(tree, CaseSettings(cells=(1, 2), calibration_cells=(3,))) == ([1, 2], [3])
    with pytest.raises(InputError, match="cell 2 is in cells and in calibration_cells"):
        chosen_cells(tree, CaseSettings(cells=(1, 2), calibration_cells=(2,)))
    with pytest.raises(InputError, match="cell 99 is not in"):
        chosen_cells(tree, CaseSettings(cells=(99,)))


def test_training_cells_are_warned_of(tree, capsys):
    warn_of_training_cells(tree, tree.spec.splits["test"])
    assert capsys.readouterr().out == ""
    warn_of_training_cells(tree, tree.spec.splits["train"][:2])
    assert "WARNING: 2 of the cells" in capsys.readouterr().out


def test_of_too_many_stacks_some_are_picked_evenly(tree):
    pairs = list_stacks(tree, [1, 2, 3])
    assert pairs == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    assert list_stacks(tree, [1, 2, 3], 3) == [(1, 1), (2, 1), (3, 2)]
    assert list_stacks(tree, [1], 9) == pairs[:2]


def test_an_unreadable_stack_gives_its_reason(tree):
    cases = dict(each_case(tree, [(1, 1), (1, 7)], "stacks", CaseSettings()))
    assert cases["cell 1, level 1"].level == 1
    assert isinstance(cases["cell 1, level 7"], str)


@pytest.fixture(scope="module")
def measured(small_set, tmp_path_factory):
    """A set that states nothing of its microscope, as measured ones do."""
    root = tmp_path_factory.mktemp("measured") / "F-actin"
    shutil.copytree(small_set, root, ignore=shutil.ignore_patterns(".cache"))
    path = DatasetTree(root).spec_path
    record = read_json(path)
    del record["details"]["cells"]
    write_json(path, record)
    return DatasetTree(root)


def test_optics_of_the_user_where_the_set_states_none(measured):
    lens = {"na": 1.4, "wavelength_nm": 525.0}
    assert read_case(measured, 1, 1, CaseSettings()).optics is None
    assert read_case(measured, 1, 1, CaseSettings(**lens)).optics is None  # of unknown pixels
    case = read_case(measured, 1, 1, CaseSettings(**lens, pixel_size_nm=65.0))
    assert (case.optics.na, case.optics.emission_nm, case.optics.pixel_size_nm) == (1.4, 525, 65)
    assert case.optics == case.optics.nominal
    case = read_case(measured, 1, 1, CaseSettings(pixel_size_nm=65.0))
    assert (case.optics, case.pixel_size_nm) == (None, 65.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"na": 1.4}, "give both, or neither"),
        ({"na": 140.0, "wavelength_nm": 525.0}, r"na: expected 0\.1 to 1\.7, found 140"),
        ({"na": 1.4, "wavelength_nm": 0.5}, "wavelength_nm: expected 300 to 1000 nm, found 0.5"),
        ({"pixel_size_nm": float("nan")}, "pixel_size_nm: expected a positive size"),
    ],
)
def test_impossible_optics_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        CaseSettings(**values)


def test_a_pixel_size_that_does_not_go_with_the_lens_is_refused_first(measured):
    settings = CaseSettings(na=1.4, wavelength_nm=525.0, pixel_size_nm=6.5)
    with pytest.raises(InputError, match="F-actin: na 1.4, .* a cut-off of 0.035 cycles"):
        require_use_of_optics(measured, [1, 2], settings)
    require_use_of_optics(measured, [1, 2], CaseSettings(na=1.4, wavelength_nm=525.0))


def test_optics_that_the_set_states_itself_are_not_given_again(tree):
    settings = CaseSettings(na=1.4, wavelength_nm=525.0)
    with pytest.raises(InputError, match="^na, wavelength_nm: .* states the microscope of every"):
        require_use_of_optics(tree, [1, 2], settings)
    require_use_of_optics(tree, [1, 2], CaseSettings())
