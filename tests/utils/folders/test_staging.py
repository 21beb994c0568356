"""A set of files is replaced whole: what fails or is killed half-way changes nothing."""

import errno

import pytest

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import naming
from bayesdl_sim.utils.folders.staging import remove_leftovers, results_folder, staged

NAMES = ("a.tif", "b.tif", "facts.json")


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def write(folder, **texts):
    with staged(folder, NAMES, "facts.json") as partial:
        for stem, text in texts.items():
            (partial / f"{stem}.tif").write_text(text)
        (partial / "facts.json").write_text("facts of " + ", ".join(texts))


def test_a_new_set_replaces_the_old_one_and_leaves_other_files(tmp_path):
    folder = tmp_path / "results"
    write(folder, a="1", b="1")
    (folder / "notes.txt").write_text("mine")
    write(folder, a="2")
    assert contents(folder) == {"a.tif": "2", "facts.json": "facts of a", "notes.txt": "mine"}


def test_a_failure_leaves_the_earlier_set_intact(tmp_path):
    write(tmp_path, a="1", b="1")
    before = contents(tmp_path)

    def fail():
        with staged(tmp_path, NAMES, "facts.json") as partial:
            (partial / "a.tif").write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert contents(tmp_path) == before


def test_the_earlier_set_is_there_until_the_new_one_is_complete(tmp_path):
    write(tmp_path, a="1", b="1")
    with staged(tmp_path, NAMES, "facts.json") as partial:
        for name in NAMES:
            (partial / name).write_text("2")
            assert (tmp_path / name).read_text() != "2"
    assert set(contents(tmp_path).values()) == {"2"}


def test_leftovers_of_a_killed_run_are_removed_and_nothing_else(tmp_path):
    write(tmp_path, a="1")
    with staged(tmp_path / "other", NAMES, "facts.json") as partial:
        (partial / "a.tif").write_text("half")
        (tmp_path / partial.name).mkdir()
    (tmp_path / partial.name / "a.tif").write_text("half")
    (tmp_path / ".hidden").mkdir()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif", "facts.json", "other", ".hidden"}


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "results").write_text("")
    with (
        pytest.raises(InputError, match="expected a folder, found the file"),
        staged(tmp_path / "results", NAMES, "facts.json"),
    ):
        pass


def test_without_a_last_file_each_stands_for_itself(tmp_path):
    """A file stays if it was written with another one and is not written again."""
    write(tmp_path, a="1", b="1")
    with staged(tmp_path) as partial:
        (partial / "b.tif").write_text("2")
        (partial / "c.tif").write_text("2")
    assert contents(tmp_path) == {
        "a.tif": "1",
        "b.tif": "2",
        "c.tif": "2",
        "facts.json": "facts of a, b",
    }


def test_a_full_disk_is_named_where_the_user_will_look(tmp_path):
    def fill():
        with staged(tmp_path) as partial, naming(partial / "a.tif"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert caught.value.filename == str(tmp_path / "a.tif")


def test_a_folder_of_results_belongs_to_one_run_and_starts_clean(tmp_path):
    left = tmp_path / "new" / ".result.0123abcd.partial"
    left.mkdir(parents=True)
    with results_folder(tmp_path / "new") as folder:
        assert not left.exists()
        with pytest.raises(InputError, match="in use by"), results_folder(folder):
            pass
    with results_folder(tmp_path / "new"):
        pass
