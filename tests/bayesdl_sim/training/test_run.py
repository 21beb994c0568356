"""Opening a run: which cells it learns from, and which optics its first guesses are given."""

import dataclasses

import pytest

from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.training.run import first_cells, open_run
from bayesdl_sim.utils.errors import InputError


def opened(trainer, folder, *options):
    settings = trainer.settings(folder, *options)
    return open_run(settings, "step 1", [])


def test_first_cells_are_those_of_the_part(small_set):
    cells = sorted(DatasetTree(small_set).spec.splits["train"])
    assert first_cells(small_set, "train", None) is None
    assert first_cells(small_set, "train", 2) == cells[:2]


def test_run_learns_from_as_many_cells_as_set(trainer, tmp_path):
    every, few = opened(trainer, tmp_path), opened(trainer, tmp_path, "--train_cells", "2")
    assert few.train.cells == every.train.cells[:2]
    assert few.validation.cells == every.validation.cells
    assert few.identity != every.identity
    with pytest.raises(InputError, match="train_cells"):
        trainer.settings(tmp_path, "--train_cells", "0")


def test_guesses_differ_with_and_without_given_optics(trainer, tmp_path):
    without_optics, with_optics = (
        opened(trainer, tmp_path),
        opened(trainer, tmp_path, "--tell_optics", "True"),
    )
    assert with_optics.settings.data == dataclasses.replace(
        without_optics.settings.data, tell_optics=True
    )
    pairs = [
        (without_optics.train.stack(i).raw, with_optics.train.stack(i).raw)
        for i in range(len(with_optics.train))
    ]
    assert all((a[:9] == b[:9]).all() for a, b in pairs)  # the frames are the same
    changed = [bool((a[9:] != b[9:]).any()) for a, b in pairs]
    assert any(changed)
    assert not all(changed)
