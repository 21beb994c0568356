"""Checkpoints come back bit by bit, run no code, and say what is wrong with them."""

import io
import os
import pickle
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from bayesdl_sim.utils.checkpoints import (
    list_members,
    load_checkpoint,
    member_path,
    save_checkpoint,
)
from bayesdl_sim.utils.errors import InputError

torch.set_num_threads(1)


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def torch_bytes(payload, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(payload, buffer, **options)
    return buffer.getvalue()


def member() -> dict:
    generator = torch.Generator().manual_seed(3)
    network = torch.nn.Conv2d(9, 2, 3)
    return {
        "format": "BayesDL-SIM member",
        "version": 1,
        "network": {"width": 32, "backbone": "unet"},
        "state": network.state_dict(),
        "likelihood": "gauss",
        "sampler": {"temperature": 0.3, "num_data": 10**9},
        "random": generator.get_state(),
        "numpy_random": np.random.default_rng(1).bit_generator.state,
    }


def test_round_trip_is_bitwise(tmp_path):
    payload = member()
    save_checkpoint(tmp_path / "a.pth", payload)
    loaded = load_checkpoint(tmp_path / "a.pth")
    assert loaded.keys() == payload.keys()
    for name, weights in payload["state"].items():
        assert torch.equal(loaded["state"][name], weights)
    assert torch.equal(loaded["random"], payload["random"])
    for key in ("network", "sampler", "numpy_random", "likelihood"):
        assert loaded[key] == payload[key]


def test_unmarked_payload_is_marked(tmp_path):
    save_checkpoint(tmp_path / "a.pth", {"epoch": 3})
    loaded = load_checkpoint(tmp_path / "a.pth")
    assert loaded == {"format": "BayesDL-SIM checkpoint", "version": 1, "epoch": 3}


@pytest.mark.parametrize("value", [Path("a"), np.float64(1), np.zeros(2)])
def test_what_could_not_be_read_back_is_not_written(tmp_path, value):
    path = tmp_path / "a.pth"
    save_checkpoint(path, {"epoch": 3})
    with pytest.raises(TypeError, match="tensors, plain numbers, text"):
        save_checkpoint(path, {"epoch": value})
    assert load_checkpoint(path)["epoch"] == 3


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_bare_malicious_pickle_is_refused_and_does_not_run(tmp_path, protocol):
    path, trace = tmp_path / "a.pth", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Malicious(trace), protocol))
    pickletools.dis(path.read_bytes(), out=io.StringIO())  # it is a whole pickle
    with pytest.raises(InputError, match=r"a\.pth"):
        load_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_code_among_the_weights_is_refused_and_does_not_run(tmp_path, zipped):
    path, trace = tmp_path / "a.pth", tmp_path / "trace"
    payload = member() | {"sampler": Malicious(trace)}
    path.write_bytes(torch_bytes(payload, _use_new_zipfile_serialization=zipped))
    with pytest.raises(InputError, match="holds program code"):
        load_checkpoint(path)
    assert not trace.exists()


def test_whole_pickled_network_is_refused_as_code(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(torch_bytes(torch.nn.Linear(2, 2)))
    with pytest.raises(InputError, match="holds program code"):
        load_checkpoint(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "a.pth"
    content = torch_bytes(member())
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"a\.pth .*(truncated|empty)"):
        load_checkpoint(path)


def test_one_flipped_bit_in_the_weights_is_noticed(tmp_path):
    path = tmp_path / "a.pth"
    save_checkpoint(path, {"weights": torch.ones(4096)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b"hello world\n", b"{}", b"II*\x00" + bytes(200), b"PK\x03\x04" + bytes(99)]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no checkpoint at all"):
        load_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_bare_state_of_another_network_is_named(tmp_path, zipped):
    path = tmp_path / "rcan.pth"
    state = torch.nn.Conv2d(1, 1, 3).state_dict()
    path.write_bytes(torch_bytes(state, _use_new_zipfile_serialization=zipped))
    with pytest.raises(InputError, match=r"rcan\.pth is of another network.*weight, bias"):
        load_checkpoint(path)


def test_other_payloads_and_versions_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(torch_bytes(torch.zeros(3)))
    with pytest.raises(InputError, match="found a Tensor"):
        load_checkpoint(path)
    path.write_bytes(torch_bytes({"format": "BayesDL-SIM member", "version": 2}))
    with pytest.raises(InputError, match="expected version 1, found 2"):
        load_checkpoint(path)
    with pytest.raises(InputError, match="no file"):
        load_checkpoint(tmp_path / "b.pth")


def test_failed_write_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    save_checkpoint(path, {"epoch": 1})

    def full(self, data):
        with open(self, "wb") as handle:
            handle.write(bytes(data)[:100])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"epoch": 2})
    assert load_checkpoint(path)["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.pth"]


def test_members_are_listed_by_number(tmp_path):
    for index in (100, 2, 11, 1):
        member_path(tmp_path, index).touch()
    (tmp_path / "resume.pth").touch()
    (tmp_path / ".member_03.aaaa.partial.pth").touch()
    (tmp_path / "member_04.pth.bak").touch()
    names = [path.name for path in list_members(tmp_path)]
    assert names == ["member_01.pth", "member_02.pth", "member_11.pth", "member_100.pth"]


def test_folder_without_members_is_named(tmp_path):
    with pytest.raises(InputError, match=f"no posterior members in {tmp_path}"):
        list_members(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        list_members(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="from 1"):
        member_path(tmp_path, 0)


def test_entries_larger_than_their_file_are_refused(tmp_path):
    """Zeros of a gigabyte deflate to a megabyte; reading them to compare sums would never end."""
    path = tmp_path / "member_01.pth"
    save_checkpoint(path, {"state": torch.zeros(300_000)})
    with zipfile.ZipFile(path) as stored, zipfile.ZipFile(tmp_path / "b.pth", "w") as deflated:
        for entry in stored.infolist():
            deflated.writestr(entry.filename, stored.read(entry), zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="damaged, truncated or no checkpoint"):
        load_checkpoint(tmp_path / "b.pth")


@pytest.mark.parametrize(
    "version", [torch.zeros(3), 2**200, [1], None], ids=["tensor", "long", "list", "none"]
)
def test_versions_that_are_no_number(tmp_path, version):
    path = tmp_path / "member_01.pth"
    torch.save({"format": "BayesDL-SIM member", "version": version}, path)
    with pytest.raises(InputError, match="expected version 1"):
        load_checkpoint(path)
