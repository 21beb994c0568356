"""The memory-mapped copy: made whole or not at all, renewed when the tree changes."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

import bayesdl_sim.data.sets.cache
import bayesdl_sim.data.sets.room
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.data.sets.cache import open_cache, stored_cache
from bayesdl_sim.utils.errors import InputError


def copies(home):
    return sorted(path.name for path in home.iterdir())


@pytest.mark.parametrize(
    ("given", "stored"), [("u1", "u2"), ("u2", "u2"), ("f4", "f4"), ("i2", "f4"), ("f8", "f4")]
)
def test_counts_are_kept_exactly(write_tree, given, stored):
    tree = write_tree(levels=(1,))
    rng = np.random.default_rng(0)
    for cell in tree.cells():
        target = tifffile.imread(tree.gt_path(cell)) / 5
        for path in tree.raw_paths(cell, 1):
            frame = rng.poisson(target.reshape(32, 2, 32, 2).mean(axis=(1, 3)))
            tifffile.imwrite(path, frame.astype(given))
    cache = open_cache(tree)
    assert cache.raw.dtype == stored
    assert cache.raw.shape == (3, 9, 32, 32)
    assert cache.target.shape == (3, 64, 64)
    for stack in cache.stacks:
        frames = np.stack([tifffile.imread(path) for path in tree.raw_paths(stack.cell, 1)])
        np.testing.assert_array_equal(cache.raw[stack.raw_row], frames)
        np.testing.assert_array_equal(
            cache.target[stack.target_row], tifffile.imread(tree.gt_path(stack.cell))
        )
        assert stack.norm == normalisation_of(frames)


def test_a_changed_tree_gets_a_new_copy_and_the_old_one_goes(write_tree):
    tree = write_tree()
    open_cache(tree)
    first = copies(tree.root / ".cache")
    open_cache(tree)
    assert copies(tree.root / ".cache") == first
    path = tree.raw_paths(1, 1)[0]
    tifffile.imwrite(path, tifffile.imread(path) + 1, description="changed")
    cache = open_cache(tree)
    second = copies(tree.root / ".cache")
    assert len(second) == 1
    assert second != first
    np.testing.assert_array_equal(cache.raw[0, 0], tifffile.imread(path))


def test_one_folder_serves_several_trees(write_tree, tmp_path):
    for name in ("one", "two"):
        open_cache(write_tree(name=name), tmp_path / "copies")
    assert len(copies(tmp_path / "copies")) == 2
    assert not (tmp_path / "one" / ".cache").exists()


def test_a_damaged_copy_is_made_again(write_tree):
    tree = write_tree()
    expected = np.array(open_cache(tree).raw)
    (folder,) = (tree.root / ".cache").iterdir()
    whole = (folder / "raw.npy").read_bytes()
    (folder / "raw.npy").write_bytes(whole[: len(whole) // 2])
    np.testing.assert_array_equal(open_cache(tree).raw, expected)
    (folder / "index.json").write_text(json.dumps({"stacks": [[1, 2]]}))
    np.testing.assert_array_equal(open_cache(tree).raw, expected)


def test_an_interrupted_copy_leaves_nothing(write_tree, monkeypatch):
    tree = write_tree()
    read = bayesdl_sim.data.sets.cache.read_image

    def stop(path):
        if path == tree.raw_paths(2, 1)[4]:
            raise KeyboardInterrupt
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(bayesdl_sim.data.sets.cache, "read_image", stop)
        with pytest.raises(KeyboardInterrupt):
            open_cache(tree)
    assert copies(tree.root / ".cache") == []
    assert len(open_cache(tree).raw) == 6


def test_leftovers_of_a_killed_process_are_removed_when_old(write_tree, monkeypatch):
    tree = write_tree()
    for name in ("old.building-x", "new.building-x"):
        (tree.root / ".cache" / name).mkdir(parents=True)
    (tree.root / ".cache" / "new.building-x" / "raw.npy").touch()
    open_cache(tree)
    names = copies(tree.root / ".cache")
    assert "new.building-x" in names
    assert "old.building-x" not in names


def test_a_copy_in_a_read_only_place_is_used_as_it_is(write_tree, monkeypatch):
    tree = write_tree()
    open_cache(tree)

    def refuse(path):
        raise InputError(f"cannot write in the folder {path}")

    monkeypatch.setattr(bayesdl_sim.data.sets.room, "writable_folder", refuse)
    assert len(open_cache(tree).raw) == 6


def test_a_tree_that_cannot_be_written_names_cache_dir(write_tree, tmp_path):
    tree = write_tree()
    (tree.root / ".cache").write_text("a file where the folder would be")
    with pytest.raises(InputError, match="set cache_dir to a folder"):
        open_cache(tree)
    assert len(open_cache(tree, tmp_path / "elsewhere").raw) == 6


def test_a_full_disk_is_found_before_the_work(write_tree, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"1\.0 kB free, but .* takes [\d.]+ [kM]B: set cache_dir"):
        open_cache(write_tree())


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.ones((32, 30), np.uint16), "32x30 px, but the frames before it are 32x32"),
        (np.ones((32, 32), np.float32), "holds float32 values, but .* 16-bit integers"),
        (np.ones((2, 32, 32), np.uint16), "holds 2 images"),
        (np.full((32, 32), 7, np.uint16), "constant in image 5"),
    ],
)
def test_an_unsuitable_frame_is_named(write_tree, frame, message):
    tree = write_tree(dtype=np.uint16)
    tifffile.imwrite(tree.raw_paths(2, 2)[4], frame)
    with pytest.raises(InputError, match=message) as error:
        open_cache(tree)
    assert str(tree.raw_folder(2, 2)) in str(error.value)
    assert copies(tree.root / ".cache") == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.ones((64, 63), np.float32), "64x63 px, but a target is exactly twice .* 64x64"),
        (np.ones((32, 32), np.float32), "32x32 px, but a target is exactly twice"),
        (np.full((64, 64), np.nan, np.float32), "NaN"),
        (np.ones((64, 64), np.float32), r"is constant \(every pixel is 1\)"),
        (np.eye(64, dtype=np.float32), "do not show the same field"),
    ],
)
def test_an_unsuitable_target_is_named(write_tree, target, message):
    tree = write_tree()
    tifffile.imwrite(tree.gt_path(2), target)
    with pytest.raises(InputError, match=message) as error:
        open_cache(tree)
    assert str(tree.gt_path(2)) in str(error.value)


def test_a_cell_of_another_size_is_named_by_its_frames_not_by_its_target(write_tree):
    tree = write_tree()
    for path in tree.raw_paths(2, 1):
        tifffile.imwrite(path, tifffile.imread(path)[:24, :24])
    tifffile.imwrite(tree.gt_path(2), tifffile.imread(tree.gt_path(2))[:48, :48])
    with pytest.raises(InputError, match=r"1\.tif is 24x24 px, .* 32x32 px: .* a set of each size"):
        open_cache(tree)


def test_a_truncated_frame_is_named(write_tree):
    tree = write_tree()
    path = tree.raw_paths(3, 1)[8]
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"level_1.9\.tif cannot be read as TIFF"):
        open_cache(tree)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("index.json", lambda path: rewrite(path, lambda index: index["stacks"][0].pop())),
        ("index.json", lambda path: rewrite(path, lambda index: index["stacks"].reverse())),
        ("index.json", lambda path: rewrite(path, lambda index: index.pop("sha256"))),
        ("index.json", lambda path: rewrite(path, lambda i: i["stacks"][0].__setitem__(4, [9, 9]))),
        ("raw.npy", lambda path: np.save(path, np.load(path)[:, :5])),
        ("raw.npy", lambda path: np.save(path, np.load(path).astype(np.float64))),
        ("target.npy", lambda path: np.save(path, np.load(path)[:, :, :9])),
        ("target.npy", lambda path: path.write_bytes(path.read_bytes()[:40])),
        ("target.npy", lambda path: path.write_bytes(path.read_bytes().replace(b"}", b"("))),
    ],
)
def test_a_copy_that_does_not_fit_its_index_is_made_again(write_tree, file, damage):
    tree = write_tree(levels=(1,))
    before = open_cache(tree)
    expected, folder = np.array(before.raw), before.folder
    damage(folder / file)
    assert stored_cache(folder) is None
    after = open_cache(tree)
    np.testing.assert_array_equal(after.raw, expected)
    assert after.stacks == before.stacks


def rewrite(path, change):
    index = json.loads(path.read_text(encoding="utf-8"))
    change(index)
    path.write_text(json.dumps(index), encoding="utf-8")
