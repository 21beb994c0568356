"""Damaged files of every kind are read or refused in one line; the benchmark sees what is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdl_sim.benchmarks.faulty_inputs import fuzz
from bayesdl_sim.benchmarks.faulty_inputs.damage import DAMAGES
from bayesdl_sim.benchmarks.faulty_inputs.readers import READERS, Reader, write_whole_files

EACH = 23  # damaged files per reader, 500 over all
NEVER_REFUSED = ("log of a training",)  # the rows up to the damage are kept


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
    """Each damage of a file is a kind and the seed of its places, which hypothesis draws."""
    kinds, results = sorted(DAMAGES[READERS[name].form]), []

    @settings(max_examples=EACH, deadline=None, derandomize=True, database=None)
    @given(kind=st.sampled_from(kinds), seed=st.integers(0, 2**32 - 1))
    def damage_and_read(kind, seed):
        record = fuzz.outcome(folder, name, kind, np.random.default_rng(seed))
        results.append(record["result"])
        assert record["result"] != "fault", record
        assert record["seconds"] < fuzz.SECONDS, record
        assert record["grown"] < fuzz.BYTES, record

    damage_and_read()
    assert len(results) >= EACH // 2  # hypothesis may find that there are no more
    if name not in NEVER_REFUSED:
        assert results.count("refused") > len(results) // 5
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
