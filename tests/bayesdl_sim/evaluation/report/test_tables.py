"""Tables show values as a person reads them, and are stored beside the single measurements."""

import csv

import pytest

from bayesdl_sim.evaluation.report.tables import markdown, write_csv, write_tables
from bayesdl_sim.metrics.bootstrap import Estimate
from bayesdl_sim.utils.files import read_json
from bayesdl_sim.utils.report.page import number_text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (36.4961, "36.50"),
        (0.89912, "0.899"),
        (0.01234, "0.0123"),
        (1234.5, "1.23e+03"),
        (0.0, "0"),
        (4e-5, "4e-05"),
        (None, "–"),
        (float("nan"), "–"),
        (False, "NO"),
        (7, "7"),
        (Estimate(0.9, 0.85, 0.95, 3), "0.900 [0.850, 0.950]"),
    ],
)
def test_numbers_as_a_person_reads_them(value, words):
    assert number_text(value) == words


def test_markdown_keeps_small_and_large_numbers_readable():
    text = markdown([{"a": 34.3412, "b": 0.9213, "c": 3e-5, "d": 12345.0, "e": "x", "f": 3}])
    assert text.splitlines()[-1] == "| 34.34 | 0.921 | 3e-05 | 1.23e+04 | x | 3 |"


def test_a_table_without_rows_is_labelled():
    assert markdown([]) == "nothing to show"


def test_csv_keeps_commas_in_names(tmp_path):
    write_csv(tmp_path / "x.csv", [{"cell": 1, "name": "a, b"}, {"cell": 2, "name": "c"}])
    with (tmp_path / "x.csv").open(newline="") as file:
        assert list(csv.DictReader(file))[0] == {"cell": "1", "name": "a, b"}


def test_tables_are_printed_and_stored(tmp_path, capsys):
    tables = {"First": [{"a": 1, "b": 0.5}], "Second": [{"c": "x"}]}
    write_tables("it", tables, None, {})
    printed = capsys.readouterr().out
    assert "### First\n\n| a | b |\n| --- | --- |\n| 1 | 0.500 |" in printed
    assert list(tmp_path.iterdir()) == []
    write_tables("it", tables, tmp_path, {"seed": 3}, [{"stack": 1}, {"stack": 2}])
    assert capsys.readouterr().out.startswith(printed.rstrip())
    stored = read_json(tmp_path / "it.json")
    assert stored["tables"] == tables
    assert stored["facts"] == {"seed": 3}
    with (tmp_path / "it.csv").open(newline="") as file:
        assert [row["stack"] for row in csv.DictReader(file)] == ["1", "2"]
    write_tables("it", tables, tmp_path, {})
    assert (tmp_path / "it.csv").read_text().split() == ["a,b", "1,0.5"]
