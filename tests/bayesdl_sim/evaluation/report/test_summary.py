"""Files of a report: they replace an earlier report together, or not at all."""

import errno
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from bayesdl_sim.evaluation.report import summary

ROWS = [{"cell": 1, "psnr": 30.0}]
TABLES = {"Bars": [{"what": "mean z^2", "met": True}]}


def write(folder, examples=()):
    results = SimpleNamespace(
        images=ROWS, uncertainty=ROWS, examples=dict.fromkeys(examples), left_out={}
    )
    figures = {"chart.png": (Figure(figsize=(1, 1)), "a chart")}
    summary.write_results(folder, results, TABLES, figures, {}, ["a note"])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pictures_of_an_earlier_report_go(tmp_path):
    (tmp_path / "example_7_maps.png").write_bytes(b"earlier")
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path)
    tables, pages = {"metrics.csv", "uncertainty.csv"}, {"report.html", "summary.json"}
    assert set(contents(tmp_path)) == tables | pages | {"chart.png", "notes.txt"}


@pytest.mark.parametrize("broken", ["write_csv", "write_json", "write_page"])
def test_a_full_disk_leaves_the_earlier_report_as_it_was(tmp_path, monkeypatch, broken):
    write(tmp_path)
    (tmp_path / "example_7_maps.png").write_bytes(b"earlier")
    before = contents(tmp_path)

    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(summary, broken, full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path)
    assert contents(tmp_path) == before
