"""A result counts as finished by its identity and its files, and takes its place after any kill."""

import os

import pytest

from bayesdl_sim.utils.folders import finished, staging
from bayesdl_sim.utils.folders.finished import (
    UNFINISHED,
    begun,
    complete,
    forget,
    is_complete,
    is_finished,
    mark_finished,
    unfinished_folder,
)

NAMES = {"a.tif", "b.tif", "old.tif", "store", "facts.json"}


def test_finished_means_this_identity_and_all_of_its_files(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"123")
    assert not is_finished(tmp_path, "one")
    mark_finished(tmp_path, "one", ["a.tif"])
    assert is_finished(tmp_path, "one")
    assert not is_finished(tmp_path, "two")
    (tmp_path / "a.tif").write_bytes(b"12")
    assert not is_finished(tmp_path, "one")
    (tmp_path / "a.tif").write_bytes(b"123")
    assert is_finished(tmp_path, "one")
    forget(tmp_path)
    assert not is_finished(tmp_path, "one")
    (tmp_path / ".finished.json").write_text("[broken")
    assert not is_finished(tmp_path, "one")


def test_what_was_begun_is_kept_for_the_same_work_only(tmp_path):
    partial = unfinished_folder(tmp_path, "one")
    (partial / "work").write_text("half")
    assert begun(tmp_path) == "one"
    assert (unfinished_folder(tmp_path, "one") / "work").read_text() == "half"
    assert not (unfinished_folder(tmp_path, "two") / "work").exists()
    assert begun(tmp_path) == "two"


def prepared(folder):
    """A result that is written, and an earlier one in its place."""
    partial = unfinished_folder(folder, "new")
    (partial / "store").mkdir()
    for place, text in ((folder, "old"), (partial, "new")):
        (place / "a.tif").write_text(text)
        (place / "facts.json").write_text(text)
    (folder / "store").mkdir()
    (folder / "store" / "left").write_text("old")
    (partial / "store" / "chunk").write_text("new")
    (partial / "b.tif").write_text("new")
    (folder / "old.tif").write_text("old")
    (folder / "mine.txt").write_text("of the user")


def check(folder):
    names = sorted(path.name for path in folder.glob("[!.]*"))
    assert names == ["a.tif", "b.tif", "facts.json", "mine.txt", "store"]
    assert [path.name for path in (folder / "store").iterdir()] == ["chunk"]
    assert {(folder / name).read_text() for name in ("a.tif", "b.tif", "facts.json")} == {"new"}
    assert is_finished(folder, "new")
    assert not (folder / UNFINISHED).exists()


@pytest.mark.parametrize("kill", [None, 0, 1, 2, 3])
def test_files_take_their_places_after_a_kill_at_any_of_them(kill, tmp_path, monkeypatch):
    prepared(tmp_path)
    written, moves, real = ["a.tif", "b.tif", "facts.json", "store"], [], os.replace

    def killed(source, target):
        if UNFINISHED in str(source) and UNFINISHED not in str(target):
            moves.append(target)
            if len(moves) - 1 == kill:
                raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(staging.os, "replace", killed)
    if kill is not None:
        with pytest.raises(KeyboardInterrupt):
            complete(tmp_path, NAMES, "facts.json", written)
        assert not (tmp_path / "facts.json").exists()
        assert not is_finished(tmp_path, "new")
        assert is_complete(tmp_path, "new")
        assert not is_complete(tmp_path, "another")
    complete(tmp_path, NAMES, "facts.json", written if kill is None else [])  # known by then
    check(tmp_path)


def test_files_that_only_waited_for_their_places_are_discarded_when_the_work_begins_again(
    tmp_path, monkeypatch
):
    prepared(tmp_path)
    assert not is_complete(tmp_path, "new")
    forget(tmp_path)
    assert begun(tmp_path) == "new"  # half-done work is kept

    def refused(source, target):
        raise PermissionError

    monkeypatch.setattr(finished, "take_place", refused)
    with pytest.raises(PermissionError):
        complete(tmp_path, NAMES, "facts.json", ["a.tif"])
    forget(tmp_path)
    assert begun(tmp_path) is None
