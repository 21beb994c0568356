"""Devices, precision, provenance, and a log that an interruption does not spoil."""

import contextlib
import csv
import json
import sys

import numpy as np
import pytest
import torch

from bayesdl_sim.utils.checks import InputError
from bayesdl_sim.utils.runs import EpochLog, autocast, choose_device, choose_precision, provenance

torch.set_num_threads(1)
CPU = torch.device("cpu")


def pretend_gpus(monkeypatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("gpus", "device", "gpu_id", "expected"),
    [
        (0, "auto", None, "cpu"),
        (0, "cpu", 0, "cpu"),
        (0, "auto", -1, "cpu"),
        (2, "auto", None, "cuda:0"),
        (2, "auto", 1, "cuda:1"),
        (2, "cuda", None, "cuda:0"),
        (2, "cuda", 1, "cuda:1"),
        (2, "cuda:1", None, "cuda:1"),
        (2, "CUDA:1", 1, "cuda:1"),
        (2, "cpu", None, "cpu"),
    ],
)
def test_device_that_is_asked_for(monkeypatch, gpus, device, gpu_id, expected):
    pretend_gpus(monkeypatch, gpus)
    assert choose_device(device, gpu_id) == torch.device(expected)


@pytest.mark.parametrize(
    ("gpus", "device", "gpu_id", "words"),
    [
        (0, "cuda", None, "PyTorch finds none"),
        (0, "cuda:0", None, "PyTorch finds none"),
        (0, "auto", 0, "PyTorch finds none"),
        (2, "cuda:2", None, "GPU 2 was asked for, but there are 2"),
        (2, "cuda", -1, "GPU -1"),
        (2, "cuda:0", 1, "disagree"),
        (2, "gpu", None, "expected auto, cpu, cuda or cuda:n, found 'gpu'"),
        (2, "cuda:x", None, "expected auto"),
        (2, "cpu:1", None, "expected auto"),
    ],
)
def test_device_that_is_not_there(monkeypatch, gpus, device, gpu_id, words):
    pretend_gpus(monkeypatch, gpus)
    with pytest.raises(InputError, match=words):
        choose_device(device, gpu_id)


def test_precision_by_name_and_by_hardware(monkeypatch):
    assert choose_precision("fp32", CPU) == torch.float32
    assert choose_precision("bf16", CPU) == torch.bfloat16
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda: False, raising=False)
    assert choose_precision("auto", CPU) == torch.float32
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_precision("auto", CPU) == torch.bfloat16
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert choose_precision("auto", CPU) == torch.float32
    with pytest.raises(InputError, match="expected auto, fp32 or bf16, found 'fp16'"):
        choose_precision("fp16", CPU)


def test_autocast_changes_the_arithmetic_for_bf16_only():
    layer, x = torch.nn.Linear(4, 4), torch.ones(1, 4)
    with autocast(CPU, torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    with autocast(CPU, torch.float32):
        assert layer(x).dtype == torch.float32
    assert isinstance(autocast(CPU, torch.float32), contextlib.nullcontext)


def test_provenance_is_json_and_names_versions():
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert found["torch"] == torch.__version__
    assert found["numpy"] == np.__version__
    assert found["git_commit"] is None or len(found["git_commit"].split("-")[0]) >= 40


def rows(path) -> list[list[str]]:
    with open(path, newline="") as handle:
        return list(csv.reader(handle))


def test_log_has_one_line_per_epoch(tmp_path):
    log = EpochLog(tmp_path, "step1", tensorboard=False)
    log.write(1, {"loss": 0.5, "psnr": 20})
    log.write(2, {"loss": torch.tensor(0.25), "psnr": float("nan")})
    log.close()
    found = rows(tmp_path / "step1.csv")
    assert found == [["epoch", "loss", "psnr"], ["1", "0.5", "20"], ["2", "0.25", "nan"]]


def test_resumed_log_has_no_epoch_twice_and_no_torn_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,psnr\n1,0.5,20\n2,0.4,21\n3,0.3,22\n4,0.2")
    log = EpochLog(tmp_path, first_epoch=3, tensorboard=False)
    log.write(3, {"loss": 0.35, "psnr": 23})
    expected = [["epoch", "loss", "psnr"], ["1", "0.5", "20"], ["2", "0.4", "21"]]
    assert rows(path) == [*expected, ["3", "0.35", "23"]]


def test_fresh_log_starts_anew(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,other\n1,0.5\n2,0.4\n")
    log = EpochLog(tmp_path, first_epoch=1, tensorboard=False)
    log.write(1, {"loss": 1})
    assert rows(tmp_path / "log.csv") == [["epoch", "loss"], ["1", "1"]]


def test_log_with_other_columns_is_refused_and_kept(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,other\n1,0.5\n")
    log = EpochLog(tmp_path, first_epoch=2, tensorboard=False)
    with pytest.raises(InputError, match=r"log\.csv: expected the columns epoch, other, found"):
        log.write(2, {"loss": 1})
    assert path.read_text() == "epoch,other\n1,0.5\n"


def test_tensorboard_holds_the_same_curves_and_the_pictures(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EpochLog(tmp_path, "step1")
    log.write(1, {"loss": 0.5})
    log.write(2, {"loss": 0.25})
    log.image(2, "mean", torch.rand(1, 1, 12, 20, generator=torch.Generator().manual_seed(0)))
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard" / "step1"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
    (picture,) = events.Images("mean")
    assert (picture.height, picture.width) == (12, 20)


def test_missing_tensorboard_costs_the_curves_only(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = EpochLog(tmp_path)
    log.write(1, {"loss": 0.5})
    log.image(1, "mean", np.zeros((4, 4)))
    log.close()
    assert "TensorBoard is not installed" in capsys.readouterr().out
    assert rows(tmp_path / "log.csv") == [["epoch", "loss"], ["1", "0.5"]]
