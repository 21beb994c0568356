"""The report on a computer, for computers that we do not have."""

from pathlib import Path

import pytest

from bayesdl_sim.tools import machine
from bayesdl_sim.tools.machine import (
    GIB,
    Gpu,
    disk_line,
    free_memory,
    gpu_lines,
    machine_lines,
    memory_line,
    project_version,
)

H200 = Gpu("NVIDIA H200", (9, 0))
CUDA_BUILD = ["sm_75", "sm_80", "sm_86", "sm_90"]


def test_a_usable_gpu_is_named_with_its_capability():
    (line,) = gpu_lines(["NVIDIA H200"], [H200], CUDA_BUILD)
    assert line.text == "GPU: NVIDIA H200, compute capability 9.0"
    assert not line.warning


def test_no_gpu_is_nothing_to_warn_of():
    assert gpu_lines([], [], []) == [machine.Line("GPU: none")]


@pytest.mark.parametrize(
    ("built_for", "advice"),
    [([], "install a CUDA build of PyTorch"), (CUDA_BUILD, "update the driver")],
)
def test_a_gpu_invisible_to_pytorch_comes_with_advice(built_for, advice):
    (line,) = gpu_lines(["NVIDIA RTX A4000"], [], built_for)
    assert line.warning
    assert "NVIDIA RTX A4000, which PyTorch" in line.text
    assert line.text.endswith(advice)


def test_the_gpu_of_a_mac_is_not_used_and_no_fault():
    (line,) = gpu_lines(["Apple GPU"], [], [])
    assert not line.warning
    assert "not used" in line.text


@pytest.mark.parametrize(
    ("capability", "built_for", "usable"),
    [
        ((3, 7), CUDA_BUILD, False),  # older than the build
        ((8, 9), CUDA_BUILD, True),  # code for 8.6 runs on 8.9
        ((12, 0), CUDA_BUILD, False),  # newer major version
        ((12, 0), [*CUDA_BUILD, "compute_90"], True),  # compiled when it is loaded
        ((9, 0), ["sm_90a"], True),
        ((7, 0), ["sm_75"], False),
        ((9, 0), ["gfx942"], False),
    ],
)
def test_what_a_build_of_pytorch_covers(capability, built_for, usable):
    (line,) = gpu_lines(["GPU"], [Gpu("GPU", capability)], built_for)
    assert line.warning is not usable
    assert ("cannot use" in line.text) is not usable


def test_nvidia_gpus_are_known_by_the_files_of_the_driver(tmp_path, monkeypatch):
    """Also where PyTorch is a build for the CPU, which loads no driver."""
    folder = tmp_path / "proc" / "driver" / "nvidia" / "gpus" / "0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text("Model: \t NVIDIA L40S\nIRQ:   16\n")
    monkeypatch.setattr(machine, "Path", lambda *parts: tmp_path.joinpath(*_relative(parts)))
    assert machine.system_gpus()[:1] == ["NVIDIA L40S"]


def _relative(parts):
    return [str(part).lstrip("/") for part in parts]


def test_little_memory_and_disk_are_warned_of():
    assert memory_line(8 * GIB) == machine.Line("memory: 8.0 GiB free")
    assert memory_line(GIB).warning
    assert "--tile 256" in memory_line(GIB).text
    assert memory_line(None) == machine.Line("memory: unknown")
    assert disk_line(GIB // 2).warning
    assert not disk_line(50 * GIB).warning


def test_memory_of_a_container_counts(monkeypatch):
    texts = {"memory.max": str(4 * GIB), "memory.current": str(3 * GIB)}
    texts["meminfo"] = "MemTotal: 9 kB\nMemAvailable:   16777216 kB\n"
    monkeypatch.setattr(machine, "_text_of", lambda path: texts.get(path.name, ""))
    assert free_memory() == GIB
    texts["memory.max"] = "max"
    assert free_memory() == 16 * GIB


def test_the_report_names_no_path(tmp_path):
    """It is made to be pasted where everybody reads it."""
    text = "\n".join(line.text for line in machine_lines(tmp_path))
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
    for words in ("BayesDL-SIM 0", "torch ", "threads: ", "disk: ", "computes on: ", "nd2"):
        assert words in text
    assert project_version()[0].isdigit()
