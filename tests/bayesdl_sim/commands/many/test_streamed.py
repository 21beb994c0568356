"""A long series: time point by time point, the same after any interruption and in any parts."""

import gc
import json
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bayesdl_sim.commands.many.streamed import is_streamed
from bayesdl_sim.commands.testing.options import parse_args
from bayesdl_sim.data.stacks import StackEntry
from bayesdl_sim.inference import posterior as posterior_module
from bayesdl_sim.inference.output.pages import TiffPages
from bayesdl_sim.inference.streaming import run as run_module
from bayesdl_sim.inference.streaming import survey as survey_module
from bayesdl_sim.inference.streaming.points import PointMaker
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.folders import finished
from bayesdl_sim.utils.folders.journal import journal_entries
from tests.bayesdl_sim.commands.many.conftest import (
    ALL_MAPS,
    ROOT,
    TIMES,
    Killed,
    command_line,
    hashes,
    killed_in_call,
)


@pytest.fixture
def plain(monkeypatch):
    """No pictures are drawn, which takes longer than all the rest."""
    monkeypatch.setattr(run_module, "write_pictures", lambda *given: None)


def without_pictures(digests):
    return {name: value for name, value in digests.items() if not name.endswith(("png", "html"))}


@pytest.fixture
def made(monkeypatch):
    """The time points that are made, in order."""
    calls, real = [], PointMaker.make

    def make(self, t, *given):
        calls.append(t)
        return real(self, t, *given)

    monkeypatch.setattr(PointMaker, "make", make)
    return calls


def test_counts_of_a_streamed_series_are_those_of_a_whole_one(call, series, tmp_path, plain):
    call(series, tmp_path / "streamed", "--stream", "always")
    call(series, tmp_path / "whole", "--stream", "never")
    counts, deviations = [], []
    for name in ("streamed", "whole"):
        facts = json.loads((tmp_path / name / "prediction.json").read_text())
        low, high = (facts["normalisation"]["sr_counts"][end] for end in ("low", "high"))
        channels = tifffile.imread(tmp_path / name / "Channels.ome.tif")
        counts.append(low + (high - low) * channels[:, 0])
        deviations.append((high - low) * channels[:, 1:4])
        sr = tifffile.imread(tmp_path / name / "SR.tif")
        np.testing.assert_allclose(
            low + (high - low) * sr / 65535.0, counts[-1], atol=(high - low) / 65535
        )
    assert counts[0].shape == (TIMES, 128, 128)
    np.testing.assert_allclose(*counts, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(*deviations, rtol=1e-3, atol=1e-2)
    assert "streamed" not in facts


def test_the_scale_is_that_of_the_frames_and_nothing_is_cut(undisturbed, undisturbed_folder):
    tmp_path = undisturbed_folder
    facts = json.loads((tmp_path / "prediction.json").read_text())
    raw = facts["normalisation"]["raw_counts_per_time_point"]
    low, high = min(row["low"] for row in raw), max(row["high"] for row in raw)
    scale = facts["normalisation"]["sr_counts"]
    assert scale["low"] == pytest.approx(low - 0.5 * (high - low))
    assert scale["high"] == pytest.approx(low + 3.5 * (high - low))
    assert facts["streamed"]["values_beyond_scale"] == 0
    assert len(facts["deviations_multiplied_by"]) == facts["source"]["time_points"] == TIMES
    assert {"SR.png", "Overview.png", "report.html"} <= set(undisturbed)


def test_changes_are_the_differences_of_neighbours(undisturbed_folder):
    tmp_path = undisturbed_folder
    sr = tifffile.imread(tmp_path / "Channels.ome.tif")[:, 0]
    change = tifffile.imread(tmp_path / "Change.tif")
    np.testing.assert_allclose(change, np.diff(sr, axis=0), atol=1e-5)
    assert tifffile.imread(tmp_path / "Misfit.tif").shape == (TIMES, 64, 64)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_killed_run_goes_on_after_its_last_time_point(
    after, call, series, undisturbed, made, monkeypatch, tmp_path, plain
):
    real = TiffPages.write

    def torn(self, t, channels, further):
        if t == after:
            real(self, t, {name: 0 * image for name, image in channels.items()}, {})
            raise Killed  # half of the files have a wrong page by now
        return real(self, t, channels, further)

    monkeypatch.setattr(TiffPages, "write", torn)
    with pytest.raises(Killed):
        call(series, tmp_path, *ALL_MAPS)
    assert list(tmp_path.glob("[!.]*")) == []
    monkeypatch.setattr(TiffPages, "write", real)
    call(series, tmp_path, *ALL_MAPS)
    assert made == [*range(after + 1), *range(after, TIMES)]
    assert hashes(tmp_path) == without_pictures(undisturbed)
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".finished.json", ".in_use.lock"]


def test_the_survey_goes_on_too_and_patterns_are_estimated_once(
    call, series, undisturbed, monkeypatch, tmp_path, plain
):
    estimated, estimate = [], survey_module.PreparedStack._estimate
    killed, counted = killed_in_call(4, survey_module.counts_or_fault)
    monkeypatch.setattr(survey_module, "counts_or_fault", killed)
    with pytest.raises(Killed):
        call(series, tmp_path, *ALL_MAPS)
    monkeypatch.setattr(
        survey_module.PreparedStack,
        "_estimate",
        lambda self, t: estimated.append(t) or estimate(self, t),
    )
    call(series, tmp_path, *ALL_MAPS)
    assert len(counted) == 4 + TIMES - 3
    assert 0 not in estimated  # the first time point was surveyed before
    assert hashes(tmp_path) == without_pictures(undisturbed)


@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_a_kill_while_the_files_take_their_places(
    form, call, series, undisturbed, made, monkeypatch, tmp_path, plain, capsys
):
    if form == "zarr":
        pytest.importorskip("zarr")
    options, moves, real = (*ALL_MAPS, "--format", form), [], finished.take_place

    def killed(source, target):
        if target.name == "prediction.json":  # after all maps
            raise Killed
        moves.append(target.name)
        real(source, target)

    monkeypatch.setattr(finished, "take_place", killed)
    with pytest.raises(Killed):
        call(series, tmp_path, *options)
    assert {"tiff": "Channels.ome.tif", "zarr": "Maps.ome.zarr"}[form] in moves
    assert not (tmp_path / "prediction.json").exists()
    before = hashes(tmp_path)
    monkeypatch.setattr(finished, "take_place", real)
    call(series, tmp_path, *options)
    assert made == [*range(TIMES)]  # nothing is made again
    after = hashes(tmp_path)
    assert before == {name: after[name] for name in before}
    if form == "tiff":
        assert after == without_pictures(undisturbed)
    assert "finished before, but for the places of its files" in capsys.readouterr().out
    call(series, tmp_path, *options, "--again")
    assert made == [*range(TIMES)] * 2


def test_the_first_time_point_counts_once_after_a_kill_behind_its_journal(
    call, series, undisturbed, made, monkeypatch, tmp_path, plain
):
    real = run_module.write_json

    def killed(path, payload):
        if path.name == run_module.FIXED:
            raise Killed
        real(path, payload)

    monkeypatch.setattr(run_module, "write_json", killed)
    with pytest.raises(Killed):
        call(series, tmp_path, *ALL_MAPS)
    journals = tmp_path / finished.UNFINISHED
    assert [entry["t"] for entry in journal_entries(journals, "points-*.jsonl")] == [0]
    monkeypatch.setattr(run_module, "write_json", real)
    entries = []
    at_the_second_point_once(
        monkeypatch, lambda: entries.extend(journal_entries(journals, "points-*.jsonl"))
    )
    call(series, tmp_path, *ALL_MAPS)
    assert [entry["t"] for entry in entries] == [0]
    assert made == [0, *range(TIMES)]
    assert hashes(tmp_path) == without_pictures(undisturbed)


def test_sigkill_at_a_moment_of_its_own(series, few_members, undisturbed, call, tmp_path):
    words = command_line(series, tmp_path, few_members, *ALL_MAPS)
    command = [sys.executable, "test.py", *words]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    journal = tmp_path / finished.UNFINISHED / "points-all.jsonl"
    while run.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n")):
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    call(series, tmp_path, *ALL_MAPS)
    assert hashes(tmp_path) == undisturbed


def test_parts_in_any_order_give_the_whole(
    call, series, undisturbed, made, tmp_path, capsys, plain
):
    for part in ("3/3", "1/3"):
        call(series, tmp_path, *ALL_MAPS, "--shard", part)
        assert list(tmp_path.glob("[!.]*")) == []
    printed = capsys.readouterr().out
    assert "part 1 of 3 is done (1 time points); 2 of other parts are missing" in printed
    call(series, tmp_path, *ALL_MAPS, "--shard", "2/3")
    assert sorted(made) == list(range(TIMES))
    assert hashes(tmp_path) == without_pictures(undisturbed)
    call(series, tmp_path, *ALL_MAPS, "--shard", "1/3")
    assert "finished before" in capsys.readouterr().out
    assert len(made) == TIMES


@pytest.fixture(scope="module")
def faulty_series(tmp_path_factory, noisy):
    """A file of seven time points, of which the second is dark and the sixth has a dark frame."""
    frames, rng = noisy(7), np.random.default_rng(4)
    for frame in (*range(9, 18), 9 * 5 + 3):
        frames[frame] = rng.normal(100, 2, frames.shape[1:]).round()
    path = tmp_path_factory.mktemp("faulty") / "movie.tif"
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


def test_faults_of_time_points_are_named_after_any_interruption(
    call, faulty_series, monkeypatch, tmp_path, plain, capsys
):
    stream, look = ("--stream", "always"), survey_module.look_at
    call(faulty_series, tmp_path / "whole", *stream)
    facts = json.loads((tmp_path / "whole" / "prediction.json").read_text())
    assert facts["verdict"]["time_points"] == [2, 6]
    reasons = facts["verdict"]["reasons"]
    assert any(reason.startswith("time point 2: the frames are dark") for reason in reasons)
    assert any(reason.startswith("time point 6: frame 4 is dark") for reason in reasons)
    assert facts["time_points_judged_in_full"] == [1, 3, 5, 7]
    assert "judged in full: time points 1, 3, 5, 7; of all others" in capsys.readouterr().out
    monkeypatch.setattr(survey_module, "look_at", killed_in_call(7, look)[0])
    with pytest.raises(Killed):
        call(faulty_series, tmp_path / "killed", *stream)
    monkeypatch.setattr(survey_module, "look_at", look)
    for part in ("2/2", "1/2"):
        call(faulty_series, tmp_path / "killed", *stream, "--shard", part)
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "whole")


def test_faults_of_a_short_series_are_those_of_a_streamed_one(call, faulty_series, tmp_path, plain):
    verdicts = []
    for way in ("always", "never"):
        call(faulty_series, tmp_path / way, "--stream", way)
        facts = json.loads((tmp_path / way / "prediction.json").read_text())
        verdicts.append(facts["verdict"] | {"judged": facts["time_points_judged_in_full"]})
    assert verdicts[0] == verdicts[1]


def test_other_options_begin_again(call, series, made, monkeypatch, tmp_path, plain):
    real = TiffPages.write
    monkeypatch.setattr(
        TiffPages, "write", lambda self, t, *maps: _killed() if t == 2 else real(self, t, *maps)
    )
    with pytest.raises(Killed):
        call(series, tmp_path, "--stream", "always")
    monkeypatch.setattr(TiffPages, "write", real)
    call(series, tmp_path, "--stream", "always", "--delta", "0.1")
    assert made == [0, 1, 2, *range(TIMES)]


def _killed():
    raise Killed


SHARED = ("--stream", "always", "--shard")
OTHER = ("--delta", "0.1")


def at_the_second_point_once(monkeypatch, act):
    """Does something while the second time point is made for the first time."""
    real, done = PointMaker.make, []

    def make(self, t, *given):
        if t == 1 and not done:
            done.append(t)
            act()
        return real(self, t, *given)

    monkeypatch.setattr(PointMaker, "make", make)


def test_work_of_a_live_run_is_not_discarded_by_other_settings(
    call, series, monkeypatch, tmp_path, plain
):
    words = r"another run is at work on this result with other settings: delta \(there .*, here 0.1"

    def others():
        for options in ((*SHARED, "2/2"), ("--stream", "never"), ("--again",)):
            with pytest.raises(InputError, match=words):
                call(series, tmp_path, *options, *OTHER)

    at_the_second_point_once(monkeypatch, others)
    for part in ("1/2", "2/2"):
        call(series, tmp_path, *SHARED, part)
    facts = json.loads((tmp_path / "prediction.json").read_text())
    assert facts["delta"] != 0.1
    assert len(facts["deviations_multiplied_by"]) == TIMES
    assert tifffile.imread(tmp_path / "SR.tif").any(axis=(1, 2)).all()


def test_a_run_whose_work_was_discarded_writes_nothing_more(
    call, series, monkeypatch, tmp_path, plain, capsys
):
    """On a drive without locks nobody sees that a run is alive."""
    call(series, tmp_path / "alone", "--stream", "always", *OTHER)
    out = tmp_path / "out"
    monkeypatch.setattr(finished, "is_at_work", lambda folder: False)
    at_the_second_point_once(monkeypatch, lambda: call(series, out, *SHARED, "2/2", *OTHER))
    words = (
        r"work of this run is gone, another run has begun with other settings: delta \(there 0.1"
    )
    with pytest.raises(InputError, match=words):
        call(series, out, *SHARED, "1/2")
    assert "unfinished work with other settings is discarded: delta" in capsys.readouterr().out
    call(series, out, *SHARED, "1/2", *OTHER)
    assert hashes(out) == hashes(tmp_path / "alone")


def test_every_part_takes_over_the_precision_of_the_first(
    call, series, monkeypatch, tmp_path, plain, capsys
):
    """Which precision is faster is measured: equal calls may find unequal answers."""
    found, choose = ["bf16"], posterior_module.choose_precision
    monkeypatch.setattr(
        posterior_module,
        "choose_precision",
        lambda name, device: choose(found[0] if name == "auto" else name, device),
    )
    auto = ("--precision", "auto", "--delta", "0.05")
    call(series, tmp_path / "alone", "--stream", "always", *auto)
    for part, found[0] in (("1/2", "bf16"), ("2/2", "fp32")):
        call(series, tmp_path / "out", *SHARED, part, *auto)
    assert "goes on in bf16, in which the series was begun" in capsys.readouterr().out
    assert hashes(tmp_path / "out") == hashes(tmp_path / "alone")
    facts = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert facts["run"]["precision"] == "bf16"
    call(series, tmp_path / "out", "--stream", "always", *auto)
    assert "finished before" in capsys.readouterr().out


def test_damage_to_half_of_the_time_points_is_named(call, noisy, tmp_path, plain):
    frames = noisy(6)  # of which 1, 3, 4 and 6 are judged first
    frames[9 * 1 + 3] = frames[9 * 2] = frames[9 * 4 + 1] = 100
    tifffile.imwrite(tmp_path / "movie.tif", frames, photometric="minisblack")
    with pytest.raises(InputError, match="at time point 5 is empty or constant in image 2"):
        call(tmp_path / "movie.tif", tmp_path / "out", "--stream", "always")


def test_warnings_of_the_survey_reach_the_verdict(call, noisy, tmp_path, plain):
    frames = noisy(3).astype(np.float32)
    frames[9:18, :6] = np.nan
    tifffile.imwrite(tmp_path / "movie.tif", frames, photometric="minisblack")
    call(tmp_path / "movie.tif", tmp_path / "out", *ALL_MAPS)
    facts = json.loads((tmp_path / "out" / "prediction.json").read_text())
    reasons = facts["verdict"]["reasons"]
    assert any("3.1% of the pixels hold no data" in reason for reason in reasons)
    channels = tifffile.imread(tmp_path / "out" / "Channels.ome.tif")
    assert np.isnan(channels[1, 0, :12]).all()
    assert np.isfinite(channels[[0, 2], 0]).all()
    change = tifffile.imread(tmp_path / "out" / "Change.tif")
    assert np.isnan(change[:, :12]).all()
    assert np.isfinite(change[:, 12:]).all()


def entry(times, size=(64, 64), opens=True):
    return StackEntry(
        name="a",
        source=Path("a.tif"),
        read=_killed,
        open=_killed if opens else None,
        times=times,
        size=size,
    )


def settings(*options):
    return parse_args(["--test_data", "a.tif", "--save_path", "b", *options])


@pytest.mark.parametrize(
    ("stack", "options", "expected"),
    [
        (entry(1), (), False),
        (entry(1), ("--stream", "always"), False),
        (entry(16), (), False),
        (entry(17), (), True),
        (entry(17), ("--stream", "never"), False),
        (entry(17, opens=False), (), False),
        (entry(17), ("--target", "t.tif"), False),
        (entry(17), ("--convention", "released"), False),
        (entry(3, (2048, 2048)), (), True),
        (entry(2), ("--stream", "always"), True),
        (entry(1, (1280, 1280)), (), False),
        (entry(1, (2048, 2048)), (), True),
        (entry(1, (2048, 2048)), ("--stream", "never"), False),
        (entry(1, (2048, 2048)), ("--target", "t.tif"), False),
        (entry(1, (2048, 2048), opens=False), (), False),
        (entry(1, (2048, 2048)), ("--convention", "released"), False),
    ],
)
def test_which_stacks_are_streamed(stack, options, expected):
    assert is_streamed(stack, settings(*options)) is expected


def test_what_cannot_be_streamed_is_refused_with_a_reason():
    for stack, options, words in (
        (entry(3, opens=False), (), "its format can only be read whole"),
        (entry(3), ("--target", "t.tif"), "a stack with a target is compared as a whole"),
        (entry(3), ("--convention", "released"), "a scale of its own"),
    ):
        with pytest.raises(InputError, match=words):
            is_streamed(stack, settings("--stream", "always", *options))


def test_memory_does_not_grow_with_the_length(call, noisy, tmp_path, monkeypatch, plain):
    """No frames and no maps of an earlier time point are held when the next one is made."""
    alive, most, real = [], [], PointMaker.make

    def watched(self, t, *given):
        result = real(self, t, *given)
        gc.collect()
        most.append(sum(reference() is not None for reference in alive))
        alive.append(weakref.ref(result))
        return result

    monkeypatch.setattr(PointMaker, "make", watched)
    tifffile.imwrite(tmp_path / "movie.tif", noisy(6), photometric="minisblack")
    call(tmp_path / "movie.tif", tmp_path / "out", "--stream", "always")
    assert len(most) == 6
    assert max(most) <= 1
