"""The tree: found as people made it, described by dataset.json or inferred, parts disjoint."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesdl_sim.data.sets.layout import PARTS, DatasetSpec, DatasetTree, split_cells
from bayesdl_sim.utils.errors import InputError


@given(st.sets(st.integers(1, 500), min_size=3, max_size=80))
def test_the_three_parts_are_disjoint_complete_and_never_empty(cells):
    splits = split_cells(list(cells))
    listed = [cell for part in PARTS for cell in splits[part]]
    assert sorted(listed) == sorted(cells)
    assert all(splits[part] for part in PARTS)
    assert len(splits["train"]) >= len(splits["test"])


@pytest.mark.parametrize(
    ("count", "sizes"), [(3, (1, 1, 1)), (12, (8, 2, 2)), (50, (40, 5, 5)), (15, (11, 2, 2))]
)
def test_sizes_of_the_parts(count, sizes):
    splits = split_cells(range(1, count + 1))
    assert tuple(len(splits[part]) for part in PARTS) == sizes
    assert splits["test"][0] == 1  # the first cells are the test cells


def test_two_cells_cannot_be_split():
    with pytest.raises(InputError, match="3 cells or more"):
        split_cells([1, 2])


def test_names_are_those_of_the_original_scripts(tmp_path):
    tree = DatasetTree(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in tree.raw_paths(3, 7)]
    assert names == [f"Raw/cell_3/level_7/{n}.tif" for n in range(1, 10)]
    assert tree.gt_path(3) == tmp_path / "GT" / "cell_3" / "gt.tif"
    assert tree.wf_path(3, 7) == tmp_path / "WF" / "cell_3" / "level_7.tif"


def test_a_tree_made_by_others_with_gaps(write_tree):
    tree = write_tree(cells=(2, 5, 11), levels=(1, 10))
    (tree.root / "Raw" / "notes").mkdir()
    assert tree.cells() == [2, 5, 11]
    assert tree.levels(5) == [1, 10]
    assert len(tree.stacks()) == 6
    spec = tree.spec
    assert (spec.microscope, spec.size, spec.cells, spec.levels) == ("fixed", (32, 32), 3, 2)
    assert spec.splits == {"test": [2], "validation": [5], "train": [11]}
    assert spec.sample == "set"


def test_spec_round_trip(write_tree):
    tree = write_tree(microscope="random")
    spec = tree.spec
    assert spec == DatasetSpec.from_json(tree.spec_path)
    assert spec.microscope == "random"
    assert spec.size == (32, 32)
    assert spec.details == {"note": "a test"}


def test_a_set_of_before_has_nine_frames_and_twice_the_pixels(write_tree):
    tree = write_tree(microscope="fixed")
    payload = json.loads(tree.spec_path.read_text())
    assert (payload.pop("frames"), payload.pop("scale")) == (9, 2)
    tree.spec_path.write_text(json.dumps(payload))
    assert (tree.spec.frames, tree.spec.scale) == (9, 2)
    assert len(DatasetTree(tree.root, frames=25).raw_paths(1, 1)) == 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"microscope": "mine"}, "microscope"),
        ({"splits": {"train": [1, 2], "validation": [2], "test": [3]}}, "cell 2 into two parts"),
        ({"splits": {"train": [1, 2, 3]}}, "splits"),
        ({"splits": {"train": 1, "validation": [2], "test": [3]}}, "splits"),
        ({"splits": {"train": [1], "validation": [2], "test": [4]}}, "disagree about cell 3"),
    ],
)
def test_a_wrong_dataset_json_is_named(write_tree, change, message):
    tree = write_tree(microscope="random")
    payload = json.loads(tree.spec_path.read_text())
    tree.spec_path.write_text(json.dumps({**payload, **change}))
    with pytest.raises(InputError, match=message) as error:
        _ = tree.spec
    assert str(tree.spec_path) in str(error.value)


def test_a_missing_entry_of_dataset_json_is_named(write_tree):
    tree = write_tree(microscope="random")
    payload = json.loads(tree.spec_path.read_text())
    del payload["microscope"]
    tree.spec_path.write_text(json.dumps(payload))
    with pytest.raises(InputError, match="lacks the entries microscope"):
        _ = tree.spec


def test_what_is_missing_is_named(write_tree, tmp_path):
    with pytest.raises(InputError, match="Raw is missing"):
        DatasetTree(tmp_path / "nowhere").cells()
    tree = write_tree()
    tree.raw_paths(2, 1)[3].unlink()
    with pytest.raises(InputError, match=r"cell_2.level_1.4\.tif is missing"):
        tree.stacks()
    tree.gt_path(1).unlink()
    with pytest.raises(InputError, match=r"gt\.tif is missing"):
        tree.stacks()
    shutil.rmtree(tree.root / "Raw" / "cell_1" / "level_1")
    shutil.rmtree(tree.root / "Raw" / "cell_1" / "level_2")
    with pytest.raises(InputError, match="holds no folder level_1"):
        tree.stacks()


def test_zero_padded_names_are_refused_not_skipped(write_tree):
    tree = write_tree()
    (tree.root / "Raw" / "cell_3").rename(tree.root / "Raw" / "cell_03")
    with pytest.raises(InputError, match="without leading 0"):
        tree.cells()


@pytest.mark.parametrize(
    ("entry", "value"),
    [("levels", "2"), ("size", [48]), ("cells", 1e9), ("seed", []), ("details", 3), ("sample", {})],
)
def test_entries_of_another_type_are_named(tmp_path, entry, value):
    splits = {"train": [3], "validation": [2], "test": [1]}
    spec = DatasetSpec("MT", "random", (48, 48), 2, 3, 62.6, 1, splits)
    spec.to_json(tmp_path / "dataset.json")
    payload = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(payload | {entry: value}))
    with pytest.raises(InputError, match=rf"dataset\.json is not a valid data set file: {entry}"):
        DatasetSpec.from_json(tmp_path / "dataset.json")
