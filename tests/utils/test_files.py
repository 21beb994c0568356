"""A file is whole or absent, whatever happens while it is written."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path, naming, read_json, sha256, write_json

ROOT = Path(__file__).resolve().parents[2]


def test_success_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "map.tif"
    for content in (b"first", b"second"):
        with atomic_path(path) as partial:
            assert partial.parent == path.parent
            assert partial.suffix == ".tif"
            partial.write_bytes(content)
        assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["map.tif"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path, error):
    path = tmp_path / "map.tif"
    path.write_bytes(b"old")

    def fail_in_the_middle() -> None:
        with atomic_path(path) as partial:
            partial.write_bytes(b"half of the n")
            raise error

    with pytest.raises(error):
        fail_in_the_middle()
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["map.tif"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    path = tmp_path / "map.tif"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass
    assert path.read_bytes() == b"old"


def test_two_writers_do_not_share_the_temporary_file(tmp_path):
    path = tmp_path / "map.tif"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"  # the outer block ends last


def test_leftovers_of_a_killed_run_go_once_they_are_old(tmp_path):
    path = tmp_path / "map.tif"
    old, young = tmp_path / ".map.aaaa.partial.tif", tmp_path / ".map.bbbb.partial.tif"
    other = tmp_path / ".mapped.aaaa.partial.tif"
    for leftover in (old, young, other):
        leftover.write_bytes(b"half")
    for leftover in (old, other):
        os.utime(leftover, (time.time() - 1e6,) * 2)
    with atomic_path(path) as partial:
        partial.write_bytes(b"new")
    assert not old.exists()
    assert young.exists()
    assert other.exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_kill_9_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "state.json"
    script = (
        "import sys; from bayesdl_sim.utils.files import write_json\n"
        "count = 0\n"
        "while True:\n"
        "    count += 1; write_json(sys.argv[1], {'count': count, 'bulk': [count] * 20000})"
    )
    for delay in (0.0, 0.013, 0.031):
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=ROOT)
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)
        process.kill()
        process.wait()
        payload = read_json(path)
        assert payload["bulk"] == [payload["count"]] * 20000
        path.unlink()


def test_json_round_trip_with_sorted_keys(tmp_path):
    path = tmp_path / "config.json"
    payload = {"b": 1.5, "a": [1, None, True], "µ": {"z": "é", "y": 2}}
    write_json(path, payload)
    assert read_json(path) == payload
    text = path.read_text(encoding="utf-8")
    assert text.index('"a"') < text.index('"b"')
    assert '\n  "b": 1.5' in text


def test_json_that_cannot_be_written_keeps_the_old_one(tmp_path):
    path = tmp_path / "config.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe{}", b"[1, 2]", b"3"])
def test_broken_json_is_refused_by_name(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"config\.json"):
        read_json(path)


def test_missing_json_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"no file .*config\.json"):
        read_json(tmp_path / "config.json")


def test_sha256_of_a_file_larger_than_one_piece(tmp_path):
    content = bytes(range(256)) * 5000
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError("9 requested and 0 written")],
)
def test_a_full_disk_names_the_file(tmp_path, error):
    """Writing knows no names, and NumPy does not even know the reason."""
    path = tmp_path / "map.tif"
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(path):
        raise error
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))


def test_an_error_that_names_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, naming(tmp_path / "map.tif"):
        (tmp_path / "raw.tif").read_bytes()
    assert caught.value.filename.endswith("raw.tif")
