"""The package: what a wheel holds, and that it works in an empty folder."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import tifffile

ROOT = Path(__file__).resolve().parents[1]
# What only a checkout has; dlbi may be deleted, and the package is built without it.
LEFT_OUT = ("tests", "figures", "docs", "dlbi")
NOT_BUILT_FROM = (".git", ".venv", "build", "runs", "tests", "__pycache__", "*-results")
# Bytes are promised per number of threads, whatever the seed of Python's hashes.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}


def settings():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_BUILT_FROM))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    command += ["--disable-pip-version-check", "-w", str(folder), str(folder / "source")]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel):
    """A folder that holds what the wheel puts into site-packages."""
    target = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run_installed(installed, folder, *words):
    """Runs Python in that folder with the installed package and nothing of the checkout."""
    command = [sys.executable, "-P", *words]
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", **ONE_THREAD}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def test_every_folder_of_modules_is_listed():
    packages = set()
    for path in ROOT.glob("[!.]*/**/__init__.py"):
        parts = path.parent.relative_to(ROOT).parts
        if parts[0] not in (*LEFT_OUT, "build"):
            packages.add(".".join(parts if parts[0] == "bayesdl_sim" else ("bayesdl_sim", *parts)))
    listed = set(settings()["tool"]["setuptools"]["packages"])
    assert listed - {"bayesdl_sim.checkpoint"} == packages


def test_requirements_pin_what_the_package_needs():
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for line in settings()["project"]["dependencies"]:
        name = line.split(">")[0]
        assert f"\n{name}==" in pinned, name


def outside(path):
    """Names of the packages that a module imports as it is loaded."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        yield from (name.split(".")[0] for name in names)


def test_what_is_loaded_is_installed_with_the_package():
    """Packages of extras are imported where they are needed, or in rooms that need them whole."""
    project, names = settings()["project"], {"opencv-python-headless": "cv2", "pillow": "PIL"}
    names |= {"scikit-image": "skimage"}
    needed = [line.split(">")[0] for line in project["dependencies"]]
    known = {names.get(name, name) for name in needed} | sys.stdlib_module_names | {"bayesdl_sim"}
    loaded = set()
    for room in settings()["tool"]["setuptools"]["package-dir"].values():
        for path in (ROOT / room).rglob("*.py"):
            module = path.relative_to(ROOT).as_posix()
            if not module.startswith(("benchmarks/", "bayesdl_sim/napari/")):
                loaded |= {(module, name) for name in outside(path)}
    assert len({module for module, _ in loaded}) > 200
    assert {(module, name) for module, name in loaded if name not in known} == set()


def test_wheel_holds_one_name_and_the_shipped_posterior(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bayesdl_sim"}
    folder = "bayesdl_sim/checkpoint/F-actin/pretrained_G/"
    home = ROOT / "checkpoint" / "F-actin" / "pretrained_G"
    shipped = [path for path in home.rglob("*") if path.is_file()]
    assert {folder + path.relative_to(home).as_posix() for path in shipped} <= set(names)
    assert "bayesdl_sim/py.typed" in names
    assert wheel.stat().st_size < 60e6


def test_installed_modules_have_one_name(installed, tmp_path):
    script = (
        "import sys, bayesdl_sim, bayesdl_sim.physics.optics, bayesdl_sim.data.formats.otf as otf\n"
        "assert 'site' in bayesdl_sim.__file__, bayesdl_sim.__file__\n"
        "assert len(bayesdl_sim.__path__) == 1, bayesdl_sim.__path__\n"
        "assert otf.FOLDER.is_dir()\n"
        "print([m for m in ('physics', 'data', 'utils') if m in sys.modules])\n"
    )
    done = run_installed(installed, tmp_path, "-c", script)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_console_command_names_its_verbs_and_refuses_others(installed, tmp_path):
    start = "from bayesdl_sim.commands.bayesdl import run; run()"
    done = run_installed(installed, tmp_path, "-c", start)
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("test", "train", "evaluate", "simulate"))
    done = run_installed(installed, tmp_path, "-c", start, "paint")
    assert done.returncode == 2
    assert done.stderr.startswith("error: bayesdl: expected one of test, train")


def test_installed_posterior_and_command_give_the_bytes_of_test_py(installed, tmp_path):
    """Results of `bayesdl test` and `Posterior.shipped()` from an empty folder, and of test.py."""
    raw = tifffile.imread(ROOT / "data" / "cristae" / "raw.tif")[:, :64, :64]
    tifffile.imwrite(tmp_path / "raw.tif", raw)
    options = ["--test_data", "raw.tif", "--device", "cpu", "--members", "2", "--save_path"]
    script = (
        "import sys\n"
        "from bayesdl_sim.commands.bayesdl import main\n"
        f"main(['test', *{options!r}, 'command'])\n"
        "from bayesdl_sim import Posterior, read_stack\n"
        "posterior = Posterior.shipped(device='cpu', members=2)\n"
        "posterior.reconstruct(read_stack('raw.tif')).save('notebook')\n"
        "print(posterior.folder)\n"
    )
    done = run_installed(installed, tmp_path, "-c", script)
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout.splitlines()[-1]
    command = [sys.executable, str(ROOT / "test.py"), *options, "checkout"]
    one_thread = {**os.environ, **ONE_THREAD, "PYTHONHASHSEED": "2"}
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=one_thread)
    maps = ["SR.tif", "Aleatoric.tif", "Epistemic.tif", "Credibility.tif", "SR.png"]
    for name in maps:
        expected = (tmp_path / "checkout" / name).read_bytes()
        assert (tmp_path / "command" / name).read_bytes() == expected, name
        assert (tmp_path / "notebook" / name).read_bytes() == expected, name
