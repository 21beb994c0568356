"""Time points of a series that are left out: named, empty, and the others as good as without."""

import json
import re

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.formats.opening import read_images
from bayesdl_sim.inference.output import result_files
from bayesdl_sim.inference.streaming import run as run_module
from bayesdl_sim.inference.streaming import survey as survey_module
from bayesdl_sim.utils.errors import InputError
from tests.bayesdl_sim.commands.many.conftest import Killed, hashes, killed_in_call

TIMES = 6  # of which 1, 3, 4 and 6 are judged in full
FAULTS = {
    "dark": lambda frames, t: np.random.default_rng(4).normal(100, 2, frames[t].shape).round(),
    "constant": lambda frames, t: np.full_like(frames[t], 117),
    "copied": lambda frames, t: frames[t][[0, 1, 2, 3, 3, 5, 6, 7, 8]],
}


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Without pictures, which take longest."""
    monkeypatch.setattr(result_files, "write_pictures", lambda *given, **known: None)
    monkeypatch.setattr(run_module, "write_pictures", lambda *given: None)


@pytest.fixture
def damaged(noisy, tmp_path):
    """A function that writes a series with a fault at some time points."""

    def write(fault, *points, times=TIMES):
        frames = noisy(times).reshape(times, 9, 64, 64)
        for t in points:
            frames[t] = FAULTS[fault](frames, t)
        path = tmp_path / f"{fault}.tif"
        tifffile.imwrite(path, frames.reshape(-1, 64, 64), photometric="minisblack")
        return path

    return write


def facts_of(folder):
    return json.loads((folder / "prediction.json").read_text())


@pytest.mark.parametrize(
    ("fault", "point"),
    [("dark", 0), ("constant", 0), ("constant", 1), ("copied", 1), ("copied", 2)],
)
def test_it_is_named_and_empty_whether_it_is_judged_in_full_or_not(
    call, damaged, tmp_path, capsys, fault, point
):
    path, found = damaged(fault, point), []
    for way in ("always", "never"):
        call(path, tmp_path / way, "--stream", way, "--changes", "0.9", "--misfit")
        printed = capsys.readouterr().out
        assert f"left out: time points {point + 1}: NaN" in printed
        assert not re.search(rf"patterns moved: .*\b{point + 1}\b", printed)
        facts = facts_of(tmp_path / way)
        assert facts["time_points_left_out"] == [point + 1]
        assert f"time point {point + 1}: " in facts["verdict"]["reasons"][0]
        found.append((facts["verdict"], facts["patterns"]))
        channels, _ = read_images(tmp_path / way / "Channels.ome.tif")
        maps = channels.reshape(TIMES, -1, *channels.shape[-2:])
        names = facts["channels"]
        empty = [t for t in range(TIMES) if np.isnan(maps[t, 0]).all()]
        assert empty == [point]
        assert np.isnan(maps).any(axis=(1, 2, 3)).sum() == 1
        assert not maps[point, names.index("Credibility")].any()
        misfit, change = (
            tifffile.imread(tmp_path / way / f"{name}.tif") for name in ("Misfit", "Change")
        )
        assert np.isnan(misfit).all(axis=(1, 2)).nonzero()[0].tolist() == [point]
        unknown = np.isnan(change).all(axis=(1, 2)).nonzero()[0].tolist()
        assert unknown == [t for t in (point - 1, point) if 0 <= t < TIMES - 1]
    assert found[0] == found[1]
    assert found[0][0]["decision"] == "warn"


def test_the_others_are_as_good_as_without_it(call, damaged, noisy, tmp_path):
    """They have the maps of the same series, in which that one holds light."""
    call(damaged("constant", 4), tmp_path / "out", "--stream", "always", "--force")
    good = tmp_path / "good.tif"
    tifffile.imwrite(good, noisy(TIMES), photometric="minisblack")
    call(good, tmp_path / "good", "--stream", "always", "--force")
    maps = [tifffile.imread(tmp_path / name / "Channels.ome.tif") for name in ("out", "good")]
    scales = [facts_of(tmp_path / name)["normalisation"]["sr_counts"] for name in ("out", "good")]
    assert scales[0] == scales[1]
    np.testing.assert_array_equal(np.delete(maps[0], 4, 0), np.delete(maps[1], 4, 0))
    assert np.isfinite(maps[1][4]).all()
    assert np.isnan(maps[0][4, 0]).all()


def test_what_is_refused_alone_is_kept_if_it_is_forced(call, damaged, tmp_path):
    for way in ("always", "never"):
        call(damaged("copied", 2), tmp_path / way, "--stream", way, "--force")
        assert "time_points_left_out" not in facts_of(tmp_path / way)
        assert not np.isnan(tifffile.imread(tmp_path / way / "Channels.ome.tif")).any()


@pytest.mark.parametrize("way", ["always", "never"])
def test_a_fault_of_half_of_them_refuses_the_series_and_leaves_nothing(
    call, damaged, tmp_path, way
):
    with pytest.raises(InputError, match="refused, nothing is written: time points 2, 4, 5"):
        call(damaged("copied", 1, 3, 4), tmp_path / "out", "--stream", way)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".in_use.lock"]
    call(damaged("copied", 1, 3, 4), tmp_path / "out", "--stream", way, "--force")
    assert facts_of(tmp_path / "out")["verdict"]["forced"]


def test_an_interrupted_run_goes_on_to_the_same_files(call, damaged, monkeypatch, tmp_path):
    path, options = damaged("constant", 0, 4), ("--stream", "always", "--changes", "0.9")
    call(path, tmp_path / "whole", *options)
    real = survey_module.look_at
    monkeypatch.setattr(survey_module, "look_at", killed_in_call(3, real)[0])
    with pytest.raises(Killed):
        call(path, tmp_path / "parts", *options)
    monkeypatch.setattr(survey_module, "look_at", real)
    for part in ("2/3", "1/3", "3/3"):
        call(path, tmp_path / "parts", *options, "--shard", part)
    assert hashes(tmp_path / "parts") == hashes(tmp_path / "whole")


def test_a_store_has_nothing_there_either(call, damaged, tmp_path):
    zarr = pytest.importorskip("zarr")
    for way in ("always", "never"):
        call(damaged("dark", 0), tmp_path / way, "--stream", way, "--format", "zarr")
        maps = zarr.open_group(tmp_path / way / "Maps.ome.zarr", mode="r")["0"][:]
        assert np.isnan(maps[:, 0]).all(axis=(1, 2)).nonzero()[0].tolist() == [0]
