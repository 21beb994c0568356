"""A folder of stacks: one row each, in order, refused and unreadable ones among them."""

import csv

import pytest
import tifffile

from bayesdl_sim.napari.steps.batch import HEADINGS, batch, write_table
from bayesdl_sim.napari.steps.command import results_beside
from bayesdl_sim.napari.steps.stopping import Stopped
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def folder(tmp_path, frames):
    """Three files: a good stack, one that is refused, and one that is none."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    tifffile.imwrite(folder / "a_good.tif", frames)
    tifffile.imwrite(folder / "b_refused.tif", frames[[0, 1, 2, 3, 4, 5, 6, 8, 8]])
    (folder / "c_damaged.tif").write_bytes(b"II*\0 and no more")
    return folder


def test_every_stack_gets_a_row_and_good_ones_a_result(folder, opener, silent, tmp_path):
    results = results_beside(folder)
    assert results == folder.parent / "stacks-results"
    rows = list(batch(folder, results, opener, silent))
    assert [row.name for row in rows] == ["a_good", "b_refused", "c_damaged"]
    assert [row.decision for row in rows] == ["not judged", "refuse", "not readable"]
    assert (rows[0].folder / "SR.tif").is_file()
    assert [row.folder for row in rows[1:]] == [None, None]
    assert "copies of one exposure" in rows[1].reasons[0]
    assert "c_damaged.tif" in rows[2].reasons[0]

    write_table(tmp_path / "verdicts.csv", rows)
    with (tmp_path / "verdicts.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert tuple(table[0]) == HEADINGS
    assert [line[:2] for line in table[1:]] == [[row.name, row.decision] for row in rows]


def test_stopping_keeps_what_was_done(folder, opener):
    def stop_at_second(done, total, part):
        if part == "stacks" and done == 1:
            raise Stopped

    rows = batch(folder, results_beside(folder), opener, stop_at_second)
    assert next(rows).decision == "not judged"
    with pytest.raises(Stopped):
        next(rows)
    assert (results_beside(folder) / "a_good" / "SR.tif").is_file()


def test_empty_folder_is_one_kind_line(tmp_path, opener, silent):
    with pytest.raises(InputError, match="holds no images"):
        list(batch(tmp_path, tmp_path / "out", opener, silent))
