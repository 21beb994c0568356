"""Stacks and chunks of series on dask's workers: the same files, whoever dies meanwhile."""

import contextlib
import errno
import importlib.util
import os
import re
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tifffile

from bayesdl_sim.commands.many import cluster
from bayesdl_sim.commands.many.cluster import Handlers, require_distributed
from bayesdl_sim.commands.many.outcome import Outcome, outcome_of
from bayesdl_sim.commands.many.work import Job
from bayesdl_sim.commands.testing.options import parse_args
from bayesdl_sim.commands.testing.run import open_posterior, process_job, refuse_frames
from bayesdl_sim.data.found_stacks import found_stacks
from bayesdl_sim.inference.streaming import run as run_module
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json
from tests.bayesdl_sim.commands.many.conftest import command_line, hashes
from tests.bayesdl_sim.commands.many.test_streamed import entry

OPTIONS = ("--stream", "always")


def workers_of_this_process():
    psutil = pytest.importorskip("psutil")
    pids = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            starts = [" ".join(one.cmdline()) for one in (child, child.parent())]
            # A worker that is forked has the command line of its server.
            if "spawn_main" in starts[0] or all("forkserver" in start for start in starts):
                pids.append(child.pid)
    return pids


def kill_one_at_work(folder, killed):
    """Kills a worker with SIGKILL as soon as a time point of the series is on the disk."""
    ended = time.monotonic() + 300
    while not killed and time.monotonic() < ended:
        chunks = [
            path for path in folder.glob("*/.unfinished/points-0*.jsonl") if path.stat().st_size
        ]
        if chunks and (pids := workers_of_this_process()):
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])
        time.sleep(0.01)


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_nothing(call, noisy, tmp_path, capsys):
    pytest.importorskip("distributed")
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    tifffile.imwrite(stacks / "movie.tif", noisy(6), photometric="minisblack")
    tifffile.imwrite(stacks / "one.tif", noisy(1, 1)[:, :32, :40])
    tifffile.imwrite(stacks / "bad.tif", noisy(1)[:8])
    with pytest.raises(InputError, match=r"1 of 3 stacks .*bad\.tif holds 8 images"):
        call(stacks, tmp_path / "alone", *OPTIONS)
    killed = []
    watcher = threading.Thread(
        target=kill_one_at_work, args=(tmp_path / "out", killed), daemon=True
    )
    watcher.start()
    with pytest.raises(InputError, match=r"1 of 3 stacks .*bad\.tif holds 8 images"):
        call(stacks, tmp_path / "out", *OPTIONS, "--workers", "2")
    watcher.join(1)
    assert len(killed) == 1
    assert hashes(tmp_path / "out") == hashes(tmp_path / "alone")
    printed = capsys.readouterr().out
    assert printed.count("bad.tif (bad): NOT reconstructed") == 2
    assert "2 of 3 stacks done" in printed


class Threads:
    """A client whose workers are this thread."""

    def submit(self, function, *given, pure):
        return function(*given)

    def scheduler_info(self):
        return {"workers": {"one": {}}}


def test_a_series_is_cut_into_chunks_that_hold_every_time_point(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(cluster, "_begin", lambda *given: Outcome(is_open=True))
    monkeypatch.setattr(cluster, "_points", lambda *given: done.append(given[-2:]) or Outcome())
    monkeypatch.setattr(cluster, "_finish", lambda begun, chunks, *given: (begun, chunks))
    settings = parse_args(["--test_data", "a", "--save_path", str(tmp_path)])
    for times, parts in ((10, 4), (3, 3), (1000, 4)):
        done.clear()
        cluster._submit(Threads(), Job(entry(times), tmp_path, True), settings, None)
        assert len(done) == parts
        assert [t for first, stop in done for t in range(first, stop)] == list(range(times))


def test_a_failed_chunk_fails_the_series_with_its_reason(tmp_path):
    begun = Outcome(lines="read\n", identity="x", is_open=True)
    chunks = [Outcome(), Outcome(failure="no memory")]
    job = Job(entry(3), tmp_path, True)
    assert cluster._finish(begun, chunks, job, None, None) == Outcome(
        lines="read\n", failure="no memory", identity="x"
    )
    assert cluster._finish(Outcome(lines="finished before\n"), [], job, None, None).failure is None


def test_a_worker_whose_series_was_discarded_says_so(series, few_members, tmp_path, monkeypatch):
    """Between two tasks no worker is at work: another run may discard the series."""
    monkeypatch.setattr(run_module, "write_pictures", lambda *given: None)
    handlers = Handlers(open_posterior, process_job, refuse_frames)
    (stack,) = found_stacks(series)

    def task(function, *given, delta):
        line = command_line(series, tmp_path, few_members, *OPTIONS, "--delta", delta)
        job = Job(stack, tmp_path / "movie", True)
        before, after = given if given else ((), ())
        return function(*before, job, parse_args(line), handlers, *after)

    first = task(cluster._begin, delta="0.05")
    assert task(cluster._points, (first,), (0, 2), delta="0.05").failure is None
    second = task(cluster._begin, delta="0.1")
    assert "unfinished work with other settings is discarded: delta" in second.lines
    words = "the unfinished work of this run is gone, another run has begun"
    assert words in task(cluster._points, (first,), (2, 5), delta="0.05").failure
    assert words in task(cluster._finish, (first, []), (), delta="0.05").failure
    assert task(cluster._points, (second,), (0, 5), delta="0.1").failure is None
    assert "verdict" in task(cluster._finish, (second, []), (), delta="0.1").lines
    assert len(read_json(tmp_path / "movie" / "prediction.json")["deviations_multiplied_by"]) == 5


def failing_task(error, raised):
    """A task of a cluster that ends with an error, and the job that it belongs to."""

    def fail():
        raise error

    job = Job(replace(entry(3), source=Path("cell.tif")), raised, False)
    return SimpleNamespace(result=fail), job


def test_an_unexpected_error_is_that_of_its_stack_with_its_traceback(tmp_path):
    future, job = failing_task(RuntimeError("index\nout of range"), tmp_path)
    outcome = outcome_of(future, job)
    assert outcome.failure.startswith("cell.tif: RuntimeError: index out of range; this is a fault")
    assert "test_cluster.py" in outcome.trace


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left"), "cell.tif: disk full"),
        (MemoryError(), "cell.tif: not enough memory for this stack: crop it"),
        (type("KilledWorker", (Exception,), {})("x"), "cell.tif: its workers died again and again"),
        (
            type("FutureLost", (Exception,), {"__module__": "distributed.client"})("lost\nit"),
            r"cell.tif: no worker could do it \(FutureLost: lost it\)",
        ),
    ],
)
def test_what_a_user_can_mend_is_one_line_that_names_the_stack(tmp_path, error, words):
    outcome = outcome_of(*failing_task(error, tmp_path))
    assert re.match(words, outcome.failure)
    assert "\n" not in outcome.failure
    assert outcome.trace == ""


def test_without_dask_the_message_names_the_package(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        cluster.importlib.util,
        "find_spec",
        lambda name: None if name == "distributed" else real(name),
    )
    with pytest.raises(InputError, match=r"pip install 'bayesdl-sim\[cluster\]', or use shard"):
        require_distributed()


def test_a_scheduler_that_does_not_respond(call, series, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "JOIN_S", 0.2)
    with pytest.raises(InputError, match=r"scheduler: tcp://127.0.0.1:9 does not answer"):
        call(series, tmp_path, "--scheduler", "tcp://127.0.0.1:9")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--workers", "2", "--shard", "1/2"), "workers and shard: expected one way"),
        (("--again", "--shard", "1/2"), "shard and again: a part cannot tell"),
        (("--workers", "0"), "workers: expected 1 or more, found 0"),
        (("--shard", "1/2", "--target", "t.tif"), "shard: a single stack with a target"),
    ],
)
def test_ways_to_share_exclude_each_other(options, words):
    with pytest.raises(InputError, match=words):
        parse_args(["--test_data", "a", "--save_path", "b", *options])
