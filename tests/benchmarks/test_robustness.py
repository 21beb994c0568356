"""Damaged files of every kind are read or refused in one line; the benchmark sees what is not."""

import numpy as np
import pytest

from bayesdl_sim.benchmarks.robustness import fuzz
from bayesdl_sim.benchmarks.robustness.damage import DAMAGES
from bayesdl_sim.benchmarks.robustness.readers import READERS, Reader, write_whole_files

EACH = 50  # damaged files per reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz")
    write_whole_files(path, np.random.default_rng(0))
    return path


@pytest.mark.parametrize("name", READERS)
def test_whole_files_are_read(folder, name):
    READERS[name].read(folder / READERS[name].file)


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_end_in_words(folder, name):
    kinds = list(DAMAGES[READERS[name].form])
    records = [
        fuzz.outcome(folder, name, kinds[number % len(kinds)], np.random.default_rng([1, number]))
        for number in range(EACH)
    ]
    assert [record for record in records if record["result"] == "fault"] == []
    assert sum(record["result"] == "refused" for record in records) > EACH // 5
    assert max(record["seconds"] for record in records) < fuzz.SECONDS
    READERS[name].read(folder / READERS[name].file)  # the whole file is back


def test_a_reader_that_fails_is_a_fault(folder, monkeypatch):
    monkeypatch.setitem(READERS, "gate.json", Reader("gate.json", lambda path: {}["scores"]))
    record = fuzz.outcome(folder, "gate.json", "cut", np.random.default_rng(0))
    assert (record["result"], record["text"]) == ("fault", "KeyError: 'scores'")


def test_a_reader_that_kills_its_process_is_a_fault(tmp_path, monkeypatch):
    def read(path):
        raise SystemExit(3)

    monkeypatch.setitem(READERS, "MRC", Reader("stack.mrc", read))
    options = ["--inputs", "2", "--readers", "MRC", "--work", str(tmp_path)]
    records = fuzz.all_outcomes(fuzz.parse_args(options), tmp_path)
    assert [record["text"] for record in records] == ["the process died (exit code 3)"] * 2
    assert fuzz.summary(fuzz.parse_args(options), records)[0]["anything else"] == 2
