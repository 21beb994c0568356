"""A case shows the stack and the truth of one cell on one intensity scale."""

import math

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
    warn_of_training_cells,
)
from bayesdl_sim.utils.errors import InputError


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
