"""The device and the precision that were asked for, or one line that says why not."""

import contextlib

import pytest
import torch

from bayesdl_sim.utils import devices
from bayesdl_sim.utils.devices import (
    autocast,
    choose_device,
    choose_precision,
    exact_arithmetic,
)
from bayesdl_sim.utils.errors import InputError

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
        (2, "cuda:2", None, "GPU 2 was requested, but there are 2"),
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


@pytest.fixture
def seconds(monkeypatch):
    """Seconds of a convolution by its type, which tests may change."""
    chosen = {torch.float32: 3.0, torch.bfloat16: 1.0}
    monkeypatch.setattr(devices, "_convolution_seconds", chosen.get)
    devices._bf16_pays.cache_clear()
    yield chosen
    devices._bf16_pays.cache_clear()


def test_bf16_units_that_are_slow_are_not_used(monkeypatch, seconds):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    seconds[torch.bfloat16] = 2.9
    assert choose_precision("auto", CPU) == torch.float32
    seconds[torch.bfloat16] = 1.0
    assert choose_precision("auto", CPU) == torch.float32  # measured once in a process
    devices._bf16_pays.cache_clear()
    assert choose_precision("auto", CPU) == torch.bfloat16


def test_the_threads_stay_as_they_are():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert devices._convolution_seconds(torch.float32) > 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_precision_by_name_and_by_hardware(monkeypatch, seconds):
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


def arithmetic():
    cudnn = torch.backends.cudnn
    choices = cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision
    return (*choices, cudnn.deterministic, cudnn.benchmark)


def test_float32_is_exact_within_the_block_and_as_before_after_it(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = arithmetic()
    with exact_arithmetic():
        assert arithmetic() == ("ieee", "ieee", True, False)
    assert arithmetic() == before
    with contextlib.suppress(KeyError), exact_arithmetic():
        raise KeyError
    assert arithmetic() == before
