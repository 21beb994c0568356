"""A small posterior, a series and a folder of stacks, with what undisturbed runs make of them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bayesdl_sim.commands.test import main
from tests.conftest import save_random_members

ROOT = Path(__file__).resolve().parents[4]
TIMES = 5


class Killed(BaseException):
    """Ends a run where nobody catches it."""


def killed_in_call(number, function):
    """The function, killed in its call of this number, and a list of the calls so far."""
    calls = []

    def counting(*given):
        calls.append(given)
        if len(calls) == number:
            raise Killed
        return function(*given)

    return counting, calls


@pytest.fixture(scope="session")
def few_members(tmp_path_factory):
    """Two random networks with tails that take nine frames and a first guess."""
    return save_random_members(tmp_path_factory.mktemp("few"), guess=True)


@pytest.fixture(scope="session")
def noisy():
    """A function that gives frames (9 T, 64, 64) of a real cell that bleaches."""
    cell = tifffile.imread(ROOT / "data" / "cristae" / "raw.tif")[:, :64, :64].astype(float)

    def frames(times, seed=0):
        rng = np.random.default_rng(seed)
        fading = [rng.poisson(cell * (1 - 0.05 * t)) for t in range(times)]
        return np.concatenate(fading).astype(np.uint16)

    return frames


@pytest.fixture(scope="session")
def series(tmp_path_factory, noisy):
    """A file of five time points."""
    path = tmp_path_factory.mktemp("series") / "movie.tif"
    tifffile.imwrite(path, noisy(TIMES), photometric="minisblack")
    return path


def command_line(data, save_path, members, *options):
    """The options of test.py on one thread, in single precision, with any further ones."""
    paths = ["--test_data", data, "--save_path", save_path, "--pretrained_G", members]
    numerics = ["--device", "cpu", "--threads", "1", "--precision", "fp32"]
    return [str(word) for word in (*paths, *numerics, "--pixel_size_nm", "65", *options)]


@pytest.fixture(scope="session")
def call(few_members):
    """The command, in this process, with options in plain words."""

    def run(data, save_path, *options):
        main(command_line(data, save_path, few_members, *options))

    return run


ALL_MAPS = ("--stream", "always", "--changes", "0.9", "--interval", "0.9", "--misfit")


@pytest.fixture(scope="session")
def undisturbed_folder(series, call, tmp_path_factory):
    """The result of a series that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    call(series, folder, *ALL_MAPS)
    return folder


@pytest.fixture(scope="session")
def undisturbed(undisturbed_folder):
    """The hashes of its files."""
    return hashes(undisturbed_folder)


def hashes(folder):
    """Path -> hash of every file that is not hidden; of the facts, all but the seconds."""
    digests = {}
    for path in sorted(folder.rglob("[!.]*")):
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-3:]):
            content = path.read_bytes()
            if path.name == "prediction.json":
                facts = json.loads(content)
                content = json.dumps({k: v for k, v in facts.items() if k != "seconds"}).encode()
            digests[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return digests
