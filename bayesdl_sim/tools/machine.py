"""The resources of this computer: versions, GPUs, threads, memory, disk, one line each."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch

from bayesdl_sim.utils.console.threads import usable_cores
from bayesdl_sim.utils.devices import choose_device, choose_precision

__all__ = [
    "Line",
    "disk_line",
    "gpu_lines",
    "machine_lines",
    "memory_line",
    "project_version",
    "system_gpus",
    "usable_gpus",
]

NEEDED = ("torch", "numpy", "scipy", "scikit-image", "tifffile", "mrcfile", "matplotlib", "pillow")
EXTRAS = {"nd2": "nd2", "pylibCZIrw": "czi", "tensorboard": "train", "napari": "napari"}
GIB = 2**30
LITTLE_MEMORY = 2 * GIB  # a field of 1024 x 1024 raw pixels with eight members needs about this
LITTLE_DISK = 1 * GIB
ASK_TIMEOUT_S = 10.0


class Line(NamedTuple):
    """One line of the report; `warning` if something needs the user's attention."""

    text: str
    warning: bool = False


class Gpu(NamedTuple):
    """A GPU that PyTorch can use: its name, and its compute capability such as (9, 0)."""

    name: str
    capability: tuple[int, int]


def machine_lines(folder: Path) -> list[Line]:
    """Everything about versions and hardware; `folder` is where results would go."""
    device = choose_device()
    precision = "bf16" if choose_precision("auto", device) == torch.bfloat16 else "fp32"
    threads = torch.get_num_threads()
    set_to = os.environ.get("OMP_NUM_THREADS", "not set")
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return [
        Line(f"BayesDL-SIM {project_version()}, Python {platform.python_version()}, {system}"),
        Line(f"packages: {', '.join(map(_with_version, NEEDED))}"),
        Line(f"optional: {', '.join(map(_with_version, EXTRAS))}"),
        *gpu_lines(system_gpus(), usable_gpus(), torch.cuda.get_arch_list()),
        Line(f"computes on: {device}, {precision}"),
        Line(f"threads: {threads} of {usable_cores()} usable cores; OMP_NUM_THREADS {set_to}"),
        memory_line(free_memory()),
        disk_line(shutil.disk_usage(folder).free),
    ]


def project_version() -> str:
    """Version of this software: of the checkout, where this is one, else of the package."""
    settings = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if settings.is_file():
        project = tomllib.loads(settings.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == "bayesdl-sim":
            return f"{project['version']} (checkout)"
    return version("bayesdl-sim")


def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        extra = EXTRAS.get(package)
        return f"{package} missing" + (f" (extra [{extra}])" if extra else "")


def system_gpus() -> list[str]:
    """Names of the GPUs that the operating system lists, whether PyTorch can use them or not."""
    names = _nvidia_gpus()
    nodes = Path("/sys/class/kfd/kfd/topology/nodes")  # AMD, Linux
    for entry in sorted(nodes.glob("*/gpu_id")) if nodes.is_dir() else []:
        if _text_of(entry) not in ("", "0"):
            names.append("AMD GPU")
    if sys.platform == "darwin" and platform.machine() == "arm64":
        names.append("Apple GPU")
    return names


def _nvidia_gpus() -> list[str]:
    """Names of the NVIDIA GPUs: from the driver's files on Linux, else from its own program."""
    folder = Path("/proc/driver/nvidia/gpus")
    files = sorted(folder.glob("*/information")) if folder.is_dir() else []
    lines = [line for path in files for line in _text_of(path).splitlines()]
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    program = shutil.which("nvidia-smi")
    if names or program is None:
        return names
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def usable_gpus() -> list[Gpu]:
    """The GPUs that are visible to PyTorch."""
    if not torch.cuda.is_available():
        return []
    numbers = range(torch.cuda.device_count())
    return [
        Gpu(torch.cuda.get_device_name(n), torch.cuda.get_device_capability(n)) for n in numbers
    ]


def gpu_lines(
    installed: Sequence[str], visible: Sequence[Gpu], built_for: Sequence[str]
) -> list[Line]:
    """The installed GPUs, which of them PyTorch can use, and what to do about the others.

    Args:
        installed: names that the operating system reports.
        visible: the GPUs that are visible to PyTorch.
        built_for: architectures of this PyTorch, such as sm_90; empty for a CPU build.
    """
    build = torch.__version__
    lines = []
    for gpu in visible:
        major, minor = gpu.capability
        words = f"GPU: {gpu.name}, compute capability {major}.{minor}"
        if _covers(built_for, gpu.capability):
            lines.append(Line(words))
        else:
            architectures = " ".join(built_for) or "no GPU"
            lines.append(
                Line(
                    f"{words}, which PyTorch {build} cannot use (built for {architectures}): "
                    "install a PyTorch for this GPU, or use --device cpu",
                    True,
                )
            )
    if installed and not visible:
        names = ", ".join(installed)
        if any(name.startswith("Apple") for name in installed):
            return [Line(f"GPU: {names}, not used: BayesDL-SIM computes on CUDA or on the CPU")]
        reason = "its driver does not answer" if built_for else "it is a build without GPUs"
        advice = "update the driver" if built_for else "install a CUDA build of PyTorch"
        return [
            Line(f"GPU: {names}, which PyTorch {build} cannot use, since {reason}: {advice}", True)
        ]
    return lines or [Line("GPU: none")]


def _covers(built_for: Sequence[str], capability: tuple[int, int]) -> bool:
    """Whether code for one of the architectures runs on that capability: same major, not above."""
    major, minor = capability
    for name in built_for:
        digits = name.partition("_")[2].rstrip("af")
        if not digits.isdecimal():
            continue
        architecture = divmod(int(digits), 10)
        if name.startswith("compute_") and architecture <= (major, minor):
            return True  # can still be compiled for newer ones
        if architecture[0] == major and architecture[1] <= minor:
            return True
    return False


def free_memory() -> int | None:
    """Bytes of memory that this process may still take; None where the system reports none."""
    limits = [_system_memory(), _container_memory()]
    known = [value for value in limits if value is not None]
    return min(known) if known else None


def _system_memory() -> int | None:
    for line in _text_of(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        return _windows_memory()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # macOS: all there is
    except (AttributeError, ValueError, OSError):
        return None


def _container_memory() -> int | None:
    """What the control group of a container or a batch job leaves."""
    folder = Path("/sys/fs/cgroup")
    limit, used = (_text_of(folder / name) for name in ("memory.max", "memory.current"))
    if not (limit.isdecimal() and used.isdecimal()):
        return None
    return max(int(limit) - int(used), 0)


def _windows_memory() -> int | None:
    class Status(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((f"value{n}", ctypes.c_ulonglong) for n in range(7)),
        ]

    status = Status(length=ctypes.sizeof(Status))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return status.value1  # free physical memory


def memory_line(free: int | None) -> Line:
    """Free memory, with a warning where a usual field would not fit."""
    if free is None:
        return Line("memory: unknown")
    warning = " (little: use --tile 256 and --members 4)" if free < LITTLE_MEMORY else ""
    return Line(f"memory: {free / GIB:.1f} GiB free{warning}", free < LITTLE_MEMORY)


def disk_line(free: int) -> Line:
    """Free disk of the folder of the results."""
    warning = " (little: results may not fit)" if free < LITTLE_DISK else ""
    return Line(f"disk: {free / GIB:.1f} GiB free in this folder{warning}", free < LITTLE_DISK)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
