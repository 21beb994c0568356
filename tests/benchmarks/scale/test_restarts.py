"""Kills that go on: what counts as lost, and one kill of a small series from start to end."""

import json

import numpy as np
import pytest

from bayesdl_sim.benchmarks.scale import restarts
from bayesdl_sim.benchmarks.scale.restarts import finished_parts, lost, make_work
from bayesdl_sim.utils.errors import InputError


def test_finished_parts_are_stacks_or_time_points(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "prediction.json").write_text("{}")
    assert [name.rsplit("/", 1)[-1] for name in finished_parts(tmp_path)] == ["a"]
    (tmp_path / ".unfinished").mkdir()
    for name, points in (("points-all.jsonl", (0, 1)), ("points-first.jsonl", (2,))):
        lines = "".join(json.dumps({"t": t}) + "\n" for t in points)
        (tmp_path / ".unfinished" / name).write_text(lines)
    assert sorted(finished_parts(tmp_path)) == [f"time point {t}" for t in range(3)]
    (tmp_path / ".unfinished" / "points-x.jsonl").write_text('{"t": 1}\n')
    with pytest.raises(InputError, match="time point 1 was made twice"):
        finished_parts(tmp_path)


def test_what_counts_as_lost():
    points = {"time point 0": "a", "time point 1": "b"}
    assert lost(points, points | {"time point 2": "c"}) == 0
    assert lost(points, {"time point 0": "a"}) == 1
    assert lost(points, {"time point 0": "other", "time point 1": "b"}) == 1
    assert lost(points, {"out": 5}) == 0  # complete: its files are in their places
    assert lost(points, {}) == 2
    assert lost({"out/a": 5}, {"out/a": 6, "out/b": 7}) == 1


def test_kills_are_counted_and_the_end_is_compared(tmp_path):
    """The benchmark on a program that writes a file at a time and goes on where it ended."""
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, sys, time\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "for number in range(6):\n"
        "    place = out / f'{number}' / 'prediction.json'\n"
        "    if not place.exists():\n"
        "        time.sleep(0.05)\n"
        "        place.parent.mkdir(parents=True, exist_ok=True)\n"
        "        (place.parent / 'x').write_text('{}')\n"
        "        (place.parent / 'x').rename(place)\n"
    )
    work = restarts.Work("small", tmp_path, 6)
    words, rng = [str(program), str(tmp_path / "out")], np.random.default_rng(0)
    trial = restarts.disturbed(work, words, tmp_path / "out", 4, 0.15, rng)
    assert trial["kills"] == 4
    assert trial["again"] == 0
    assert all(len(end) == 6 for end in trial["ends"])


def test_the_inputs_are_many_stacks_and_a_series(tmp_path):
    folder, series = make_work(tmp_path / "work", 3, 5, 32, 0)
    assert len(list(folder.data.glob("*.tif"))) == folder.parts == 3
    assert series.parts == 5
