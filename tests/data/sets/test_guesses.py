"""First guesses: made once per set of cells, and a disk that runs full is one line, not a crash."""

import contextlib
import errno
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import bayesdl_sim.data.sets.guesses
from bayesdl_sim.data.inputs import FirstGuess, InputSpec
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.data.sets.room import in_bytes, require_room
from bayesdl_sim.utils.errors import InputError

SHOWN = InputSpec(first_guess=True)


def doubled(counts):
    return torch.nn.functional.interpolate(counts.mean(0)[None, None], scale_factor=2)[0, 0]


def opened(tree, cells=None):
    guess = FirstGuess(doubled, 1)
    return SimDataset(tree.root, "train", cells=cells, inputs=SHOWN, first_guess=guess)


def test_guesses_are_the_same_when_read_back(write_tree, monkeypatch):
    tree = write_tree()
    first = opened(tree).stack(0).raw
    monkeypatch.setattr(FirstGuess, "normalised", lambda *words: pytest.fail("made again"))
    assert torch.equal(opened(tree).stack(0).raw, first)


def test_other_cells_of_the_same_number_have_guesses_of_their_own(write_tree):
    tree = write_tree()
    one, other = opened(tree, cells=[1]), opened(tree, cells=[2])
    again = SimDataset(tree.root, "train", cells=[2])
    assert not torch.equal(one.stack(0).raw[9:], other.stack(0).raw[9:])
    assert torch.equal(other.stack(0).raw[:9], again.stack(0).raw)


def test_no_writable_map_is_made(write_tree, monkeypatch):
    """A write into a map on a full disk would kill the process by SIGBUS, without a message."""
    SimDataset(write_tree().root, "train")
    real = np.lib.format.open_memmap

    def read_only(path, mode="r+", *words, **options):
        assert mode == "r"
        return real(path, mode, *words, **options)

    monkeypatch.setattr(np.lib.format, "open_memmap", read_only)
    assert len(opened(write_tree(name="another")).stack(0).raw) == 13


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_runs_full_is_one_line(write_tree, monkeypatch):
    tree = write_tree()
    SimDataset(tree.root, "train")

    @contextlib.contextmanager
    def full(path):
        yield Path("/dev/full")

    monkeypatch.setattr(bayesdl_sim.data.sets.guesses, "atomic_path", full)
    with pytest.raises(InputError, match=r"No space left.*takes \d.*set cache_dir") as refusal:
        opened(tree)
    assert refusal.value.__cause__.errno == errno.ENOSPC


def test_room_is_asked_for_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=500_000))
    require_room(tmp_path / "new", 400_000, "the copy")
    assert (tmp_path / "new").is_dir()
    with pytest.raises(InputError, match=r"has 500\.0 kB free, but the copy takes 500\.0 kB"):
        require_room(tmp_path, 500_001, "the copy")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written, but the copy goes there"):
        require_room(tmp_path / "file", 1, "the copy")


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2.5e6, "2.5 MB"), (1.6e11, "160.0 GB")],
)
def test_sizes_in_bytes(size, words):
    assert in_bytes(size) == words
