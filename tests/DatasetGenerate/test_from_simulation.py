"""The simulated set: the same bytes for the same seed, readable, never mistaken when half-made."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from bayesdl_sim.data.formats.otf import MEASURED_OTFS, measured_optics
from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.data.sets.layout import PARTS, DatasetTree
from bayesdl_sim.DatasetGenerate import from_simulation, simulation
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--cells", "3", "--levels", "2", "--size", "32", "--seed", "7")


def generate(folder, *options):
    """Runs the command as people do."""
    command = [sys.executable, "-m", "DatasetGenerate.from_simulation", "--save_path", str(folder)]
    return subprocess.run(
        [*command, *SMALL, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )


def digests(folder):
    """Relative path -> hash of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A set of three cells made by one process."""
    folder = tmp_path_factory.mktemp("simulated") / "mixed"
    done = generate(folder, "--sample", "mixed", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def broken_off(tmp_path, monkeypatch):
    """A set whose generation was stopped after the first of its three cells."""

    class Interrupted:
        def __init__(self, *_):
            self.calls = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def submit(self, function, *arguments):
            self.calls += 1
            if self.calls > 1:
                raise KeyboardInterrupt
            function(*arguments)

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(from_simulation, "worker_pool", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        from_simulation.main(["--save_path", str(tmp_path / "set"), *SMALL])
    return tmp_path / "set"


def test_same_seed_same_bytes_whatever_the_workers(mixed, tmp_path):
    again = tmp_path / "again"
    assert generate(again, "--sample", "mixed", "--workers", "2").returncode == 0
    assert digests(again) == digests(mixed)


def test_another_seed_gives_another_set(mixed):
    assert simulation.simulate_cell(recipe(seed=7), 1, optics()).raw.shape == (2, 9, 32, 32)
    seven, eight = (simulation.simulate_cell(recipe(seed=s), 1, optics()) for s in (7, 8))
    assert (seven.raw != eight.raw).any()
    # Cells of one set differ as well, and a cell does not depend on those before it.
    second = simulation.simulate_cell(recipe(seed=7), 2, optics())
    assert (seven.raw != second.raw).any()
    stored = read_image(DatasetTree(mixed).raw_paths(2, 1)[0])
    assert (stored == second.raw[0, 0]).all()


def test_no_global_random_state_is_touched():
    before = torch.random.get_rng_state()
    simulation.simulate_cell(recipe(seed=1), 1, optics())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_set_is_read_back(mixed, tmp_path):
    for part in PARTS:
        stacks = SimDataset(mixed, part, cache_dir=tmp_path)
        assert len(stacks) == 2  # one cell at two levels
        assert stacks.spec.microscope == "random"
        stack = stacks.stack(0)
        assert stack.raw.shape == (9, 32, 32)
        assert stack.target.shape == (1, 64, 64)
        batch = next(iter(stacks.batches(0, 0, batch_size=2, patch_size=16)))
        assert batch.raw.shape == (2, 9, 16, 16)


def test_levels_show_one_field_at_rising_signal(mixed):
    tree = DatasetTree(mixed)
    for cell in tree.cells():
        dim, bright = (read_image(tree.wf_path(cell, level)) for level in (1, 2))
        assert bright.max() > dim.max()
        frames = [read_image(path) for path in tree.raw_paths(cell, 1)]
        assert sum(frames) / 9 == pytest.approx(dim, rel=1e-5)
        assert frames[0].dtype == "uint16"
        assert read_image(tree.gt_path(cell)).max() == pytest.approx(1.0)


def test_dataset_json_records_everything(mixed):
    facts = json.loads((mixed / "dataset.json").read_text(encoding="utf-8"))
    assert facts["sample"] == "mixed"
    assert facts["seed"] == 7
    assert facts["size"] == [32, 32]
    assert (facts["cells"], facts["levels"]) == (3, 2)
    assert sorted(sum(facts["splits"].values(), [])) == [1, 2, 3]
    assert facts["details"]["complete"] is True
    assert set(facts["details"]["cells"]) == {"1", "2", "3"}
    cell = facts["details"]["cells"]["1"]
    assert cell["structure"] in simulation.MIXED_SHARES
    assert len(cell["signal_e"]) == 2
    assert len(cell["microscope"]["illumination"]["phase"]) == 3
    assert 0 < cell["microscope"]["optics"]["cutoff"] < 0.5


def test_biosr_microscope_is_fixed(tmp_path):
    options = ["--microscope", "biosr", "--workers", "1"]
    from_simulation.main(["--save_path", str(tmp_path / "set"), *SMALL, *options])
    spec = DatasetTree(tmp_path / "set").spec
    assert spec.microscope == "fixed"
    assert spec.pixel_size_nm == 62.6
    cells = spec.details["cells"].values()
    assert {tuple(cell["signal_e"]) for cell in cells} == {(7.0, 250.0)}
    assert {tuple(c["microscope"]["illumination"]["frequency"]) for c in cells} == {(0.348,) * 3}


def test_an_interrupted_set_is_not_taken_for_a_finished_one(broken_off, tmp_path):
    facts = json.loads((broken_off / "dataset.json").read_text(encoding="utf-8"))
    assert facts["details"]["complete"] is False
    assert "cells" not in facts["details"]
    assert facts["cells"] == 3
    with pytest.raises(InputError, match=r"dataset\.json.* disagree about cell 2"):
        SimDataset(broken_off, "train", cache_dir=tmp_path / "cache")


def test_a_cell_without_its_target_is_noticed(mixed, tmp_path):
    # The target is written last, so a cell that was broken off lacks it.
    copy = tmp_path / "copy"
    shutil.copytree(mixed, copy)
    DatasetTree(copy).gt_path(3).unlink()
    with pytest.raises(InputError, match="gt.tif is missing"):
        SimDataset(copy, "train", cache_dir=tmp_path / "cache")


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = generate(tmp_path)
    assert done.returncode == 2
    assert "is not empty (it holds notes.txt)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--cells", "2"),
        ("--levels", "0"),
        ("--size", "16"),
        ("--seed", "-1"),
        ("--softest_nm", "-1"),
        ("--softest_nm", "nan"),
        ("--softest_nm", "inf"),
    ],
)
def test_impossible_numbers_are_refused(tmp_path, option, value):
    with pytest.raises(InputError, match=f"{option}: expected at least"):
        from_simulation.parse_args(["--save_path", str(tmp_path), option, value])


def test_a_killed_worker_ends_in_one_line(tmp_path, monkeypatch):
    real = from_simulation.worker_pool

    @contextmanager
    def whose_workers_are_killed(count):
        with real(count) as pool:
            monkeypatch.setattr(pool, "submit", lambda *_: type(pool).submit(pool, os._exit, 9))
            yield pool

    monkeypatch.setattr(from_simulation, "worker_pool", whose_workers_are_killed)
    with pytest.raises(InputError, match="a worker process was killed"):
        from_simulation.main(["--save_path", str(tmp_path / "set"), *SMALL])


def recipe(seed):
    return simulation.Recipe(sample="mixed", microscope="random", levels=2, size=32, seed=seed)


def optics():
    measured = measured_optics()
    assert len(measured) == len(MEASURED_OTFS)
    return measured


def test_wide_microscopes_give_other_cells_and_are_recorded(tmp_path):
    done = generate(tmp_path / "wide", "--microscope", "wide", "--workers", "1")
    assert done.returncode == 0, done.stderr
    details = DatasetTree(tmp_path / "wide").spec.details["cells"]
    assert {"uneven_light", "camera_maps"} <= set(details["1"])
    signals = [level for cell in details.values() for level in cell["signal_e"]]
    assert all(1 <= signal <= 400 for signal in signals)
    assert DatasetTree(tmp_path / "wide").spec.microscope == "random"


def test_ordinary_cells_stay_as_they_were():
    """Test cells of the benchmarks are made by seed: a new option must not change them."""
    recipe = simulation.Recipe(
        sample="mixed", microscope="random", levels=2, size=48, seed=20261, softest_nm=90.0
    )
    cell = simulation.simulate_cell(recipe, 1, measured_optics())
    assert (cell.details["structure"], cell.details["signal_e"]) == ("CCPs", [15.3039, 30.9679])
    assert cell.details["microscope"]["optics"]["cutoff"] == 0.335752
    assert cell.raw.mean(axis=(1, 2, 3)) == pytest.approx([113.382, 125.284], abs=0.01)


def test_an_interrupted_set_goes_on(broken_off, tmp_path, monkeypatch):
    """The cells that are there are not simulated again; the end is that of an undisturbed run."""
    monkeypatch.undo()
    tree = DatasetTree(broken_off)
    first = tree.gt_path(1).stat()
    with pytest.raises(InputError, match="unfinished set of another kind .seed 7, now 8."):
        from_simulation.main(["--save_path", str(broken_off), *SMALL, "--seed", "8"])
    from_simulation.main(["--save_path", str(broken_off), *SMALL, "--workers", "1"])
    assert tree.gt_path(1).stat().st_mtime_ns == first.st_mtime_ns
    from_simulation.main(["--save_path", str(tmp_path / "whole"), *SMALL, "--workers", "1"])
    assert digests(broken_off) == digests(tmp_path / "whole")
    with pytest.raises(InputError, match="is not empty"):
        from_simulation.main(["--save_path", str(broken_off), *SMALL])


@pytest.mark.parametrize("left", [["recipe.json"], ["recipe.json", "cell_3.json"]])
def test_a_set_that_ended_while_its_records_were_removed(mixed, tmp_path, left):
    copy = tmp_path / "copy"
    shutil.copytree(mixed, copy)
    recipe = {"sample": "mixed", "microscope": "random", "levels": 2, "size": 32, "seed": 7}
    (copy / ".unfinished").mkdir()
    for name in left:
        content = {**recipe, "softest_nm": 90.0, "cells": 3} if name == "recipe.json" else {}
        (copy / ".unfinished" / name).write_text(json.dumps(content))
    from_simulation.main(["--save_path", str(copy), *SMALL, "--sample", "mixed"])
    assert digests(copy) == digests(mixed)
