"""Targets of another half-pixel convention are found and moved; right ones stay as they are."""

import shutil

import numpy as np
import pytest
import tifffile
from scipy.ndimage import shift

from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.evaluation.alignment import moved, shift_of_targets
from bayesdl_sim.evaluation.cases import CaseSettings, each_case, list_stacks, read_case


@pytest.fixture
def shifted(small_set, tmp_path):
    """The set with every target half a pixel down and to the right."""
    root = tmp_path / "shifted"
    shutil.copytree(small_set, root)
    for path in root.glob("GT/*/gt.tif"):
        tifffile.imwrite(path, shift(tifffile.imread(path), (0.5, 0.5), mode="nearest"))
    return DatasetTree(root)


def test_targets_of_this_project_stay_where_they_are(small_set):
    tree = DatasetTree(small_set)
    assert shift_of_targets(tree, tree.cells()) == (0.0, 0.0)
    target = np.zeros((8, 8), np.float32)
    assert moved(target, (0.0, 0.0)) is target


def test_half_a_pixel_is_found_and_undone(shifted, small_set):
    shift = shift_of_targets(shifted, shifted.cells())
    assert shift == pytest.approx((-0.5, -0.5), abs=0.15)
    right = read_case(DatasetTree(small_set), 1, 2, CaseSettings())
    wrong = read_case(shifted, 1, 2, CaseSettings())
    case = read_case(shifted, 1, 2, CaseSettings(), shift)
    assert case.raw.shape == (9, 44, 44)
    assert case.target.shape == (88, 88)
    inner = right.target[4:-4, 4:-4]
    before = np.corrcoef(wrong.target[4:-4, 4:-4].ravel(), inner.ravel())[0, 1]
    after = np.corrcoef(case.target.ravel(), inner.ravel())[0, 1]
    assert after > before
    assert after > 0.99


def test_the_shift_is_printed(shifted, capsys):
    pairs = list_stacks(shifted, [1, 2, 3], 3)
    cases = [case for _, case in each_case(shifted, pairs, "stacks", CaseSettings())]
    assert cases[0].target.shape == (88, 88)
    assert "another half-pixel convention" in capsys.readouterr().out
