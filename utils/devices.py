"""Devices and their arithmetic: which device, which precision, autocast."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator

import torch

from bayesdl_sim.utils.errors import InputError

__all__ = ["autocast", "choose_device", "choose_precision", "exact_arithmetic"]

CLEARLY_FASTER = 1.2  # times; from 0.7 to 3 on the processors that were tried
TRIES = 5


def choose_device(device: str = "auto", gpu_id: int | None = None) -> torch.device:
    """The device to compute on.

    Args:
        device: ``auto`` (a CUDA GPU where there is one), ``cpu``, ``cuda`` or ``cuda:n``.
        gpu_id: number of the GPU for ``auto`` and ``cuda``; negative means the CPU.

    Raises:
        InputError: when a GPU is requested that is not there.
    """
    name = device.strip().lower()
    kind, _, number = name.partition(":")
    numbered = kind == "cuda" and number.isdigit()
    if kind not in ("auto", "cpu", "cuda") or (number and not numbered):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:n, found {device!r}")
    if number and gpu_id is not None and int(number) != gpu_id:
        raise InputError(f"device {device} and gpu_id {gpu_id} disagree; give one of them")
    if kind == "cpu" or (kind == "auto" and gpu_id is not None and gpu_id < 0):
        return torch.device("cpu")
    names_a_gpu = number or gpu_id is not None
    if not torch.cuda.is_available():
        if kind == "auto" and not names_a_gpu:
            return torch.device("cpu")
        raise InputError(
            "a CUDA GPU was requested, but PyTorch finds none; "
            "set device to cpu, or install a CUDA build of PyTorch"
        )
    index = int(number) if number else (gpu_id or 0)
    if not 0 <= index < torch.cuda.device_count():
        raise InputError(
            f"GPU {index} was requested, but there are {torch.cuda.device_count()}, counted from 0"
        )
    return torch.device("cuda", index)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The data type of the network's arithmetic: ``auto``, ``fp32`` or ``bf16``.

    ``auto`` takes bf16 only where the hardware has it, since emulated it is slower than fp32, and
    on a CPU only where a convolution in it is faster, which some processors with bf16 units are
    not: that is measured once in a process.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise InputError(f"precision: expected auto, fp32 or bf16, found {name!r}")
    if name == "auto":
        name = "bf16" if _native_bf16(device) else "fp32"
    return torch.bfloat16 if name == "bf16" else torch.float32


def _native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Private names, which may go: without them it is false, which costs time but no accuracy.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    has_units = any(getattr(torch.cpu, probe)() for probe in probes if hasattr(torch.cpu, probe))
    return has_units and _bf16_pays()


@functools.cache
def _bf16_pays() -> bool:
    """Whether bf16 convolutions take clearly less of this CPU than float32 ones; 20 ms."""
    return CLEARLY_FASTER * _convolution_seconds(torch.bfloat16) < _convolution_seconds(
        torch.float32
    )


@torch.no_grad()
def _convolution_seconds(dtype: torch.dtype) -> float:
    """CPU seconds of a convolution as the networks have them; the least of some tries."""
    image = torch.ones(1, 32, 64, 64, dtype=dtype).to(memory_format=torch.channels_last)
    kernel = torch.ones(32, 32, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    threads, seconds = torch.get_num_threads(), []
    torch.set_num_threads(1)  # the time of one thread is what can be compared
    try:
        for _ in range(TRIES):
            began = time.thread_time()
            torch.nn.functional.conv2d(image, kernel, padding=1)
            seconds.append(time.thread_time() - began)
    finally:
        torch.set_num_threads(threads)
    return min(seconds)


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    """Mixed precision for bf16; no change for fp32."""
    if dtype != torch.bfloat16:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)


@contextlib.contextmanager
def exact_arithmetic() -> Iterator[None]:
    """float32 means float32, and equal steps give equal bits, while the block runs.

    On NVIDIA GPUs PyTorch would round the inputs of float32 convolutions to ten bits (TF32), and
    choose among convolution algorithms by their speed of the moment. The only place that decides
    both; the caller's own choice is given back at the end. On a CPU it changes nothing.
    """
    cudnn, conv, matmul = (
        torch.backends.cudnn,
        torch.backends.cudnn.conv,
        torch.backends.cuda.matmul,
    )
    before = conv.fp32_precision, matmul.fp32_precision, cudnn.deterministic, cudnn.benchmark
    try:
        conv.fp32_precision = matmul.fp32_precision = "ieee"
        cudnn.deterministic, cudnn.benchmark = True, False
        yield
    finally:
        conv.fp32_precision, matmul.fp32_precision, cudnn.deterministic, cudnn.benchmark = before
