"""A folder of stacks: finished ones are skipped, failures listed, and a summary is written."""

import csv
import errno
import json

import pytest
import tifffile

from bayesdl_sim.bayes.prediction import predict
from bayesdl_sim.commands.testing import run as run_of_a_stack
from bayesdl_sim.inference import reconstruction as reconstruction_module
from bayesdl_sim.inference import series
from bayesdl_sim.inference.output import result_files
from bayesdl_sim.inference.streaming import run as run_module
from bayesdl_sim.tools.profile import write_profile
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json
from tests.bayesdl_sim.commands.many.conftest import Killed, hashes


@pytest.fixture
def stacks(noisy, tmp_path):
    """Three good stacks and one of eight frames."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    for number, name in enumerate("abd"):
        tifffile.imwrite(folder / f"{name}.tif", noisy(1, number)[:, :32, :40])
    tifffile.imwrite(folder / "c.tif", noisy(1)[:8])
    return folder


@pytest.fixture
def predicted(monkeypatch):
    """One entry for each time point that is predicted; nothing is drawn."""
    calls = []
    monkeypatch.setitem(
        series.CONVENTIONS, "total_variance", lambda *given: calls.append(1) or predict(*given)
    )
    for module in (result_files, run_module):
        monkeypatch.setattr(module, "write_pictures", lambda *given: None)
    return calls


def test_finished_stacks_are_skipped_and_failures_listed(call, stacks, predicted, tmp_path, capsys):
    out = tmp_path / "out"
    for _ in range(2):
        with pytest.raises(InputError, match=r"1 of 4 stacks .*c\.tif holds 8 images"):
            call(stacks, out)
        assert len(predicted) == 3
    printed = capsys.readouterr().out
    assert printed.count("finished before") == 3
    assert f"3 of 4 stacks done; summary in {out / 'summary.html'}" in printed
    (stacks / "c.tif").unlink()
    call(stacks, out, "--again")
    assert len(predicted) == 6
    call(stacks, out, "--delta", "0.1")  # other options, other results
    assert len(predicted) == 9
    (out / "a" / "Total.tif").unlink(missing_ok=True)
    (out / "b" / "Epistemic.tif").unlink()
    call(stacks, out, "--delta", "0.1")  # a file that is missing is made again
    assert len(predicted) == 10
    tifffile.imwrite(stacks / "d.tif", 2 * tifffile.imread(stacks / "d.tif"))
    call(stacks, out, "--delta", "0.1")
    assert len(predicted) == 11


def test_the_summary_has_a_row_and_a_picture_of_every_stack(call, stacks, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError):
        call(stacks, out)
    with open(out / "summary.csv", encoding="utf-8") as file:
        rows = {row["stack"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["a", "b", "c", "d"]
    assert rows["a"]["state"] == "done"
    assert (rows["a"]["height"], rows["a"]["width"], rows["a"]["time points"]) == ("32", "40", "1")
    assert float(rows["a"]["raw pixel, nm"]) == 65
    verdict = json.loads((out / "a" / "prediction.json").read_text())["verdict"]
    assert rows["a"]["verdict"] == verdict["decision"]
    assert rows["c"]["state"] == "failed"
    assert "holds 8 images" in rows["c"]["reasons"]
    page = (out / "summary.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64") == 3
    assert "4 stacks: 3 not judged, 1 failed." in page
    assert 'class="miss"' in page


def test_a_killed_folder_goes_on_and_equals_an_undisturbed_one(
    call, stacks, predicted, tmp_path, monkeypatch
):
    (stacks / "c.tif").unlink()
    call(stacks, tmp_path / "undisturbed")
    assert len(predicted) == 3
    real = reconstruction_module.write_results

    def killed(folder, *given, **named):
        if folder.name == "b":
            raise Killed
        real(folder, *given, **named)

    monkeypatch.setattr(reconstruction_module, "write_results", killed)
    with pytest.raises(Killed):
        call(stacks, tmp_path / "out")
    monkeypatch.setattr(reconstruction_module, "write_results", real)
    call(stacks, tmp_path / "out")
    assert len(predicted) == 3 + 2 + 2  # a and b, then b and d
    assert hashes(tmp_path / "out") == hashes(tmp_path / "undisturbed")


def test_shards_share_a_folder_and_a_series(call, stacks, noisy, predicted, tmp_path):
    (stacks / "c.tif").unlink()
    call(stacks, tmp_path / "whole")
    for part in ("2/2", "1/2"):
        call(stacks, tmp_path / "out", "--shard", part)
    assert len(predicted) == 6
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


def rows_of(folder):
    with open(folder / "summary.csv", encoding="utf-8") as file:
        return {row["stack"]: row for row in csv.DictReader(file)}


def test_results_of_other_options_do_not_count_as_done(call, stacks, predicted, tmp_path, capsys):
    (stacks / "c.tif").unlink()
    out = tmp_path / "out"
    call(stacks, out)
    assert "3 of 3 stacks done" in capsys.readouterr().out
    call(stacks, out, "--delta", "0.1", "--shard", "2/2")  # the second of three
    assert "1 of 3 stacks done" in capsys.readouterr().out
    rows = rows_of(out)
    assert [row["state"] for row in rows.values()] == ["missing", "done", "missing"]
    assert "is of other options, members, versions or input" in rows["a"]["reasons"]
    assert rows["a"]["result"] == rows["a"]["time points"] == rows["a"]["verdict"] == ""
    call(stacks, out, "--delta", "0.1", "--shard", "1/2")
    assert "3 of 3 stacks done" in capsys.readouterr().out
    tifffile.imwrite(stacks / "b.tif", 2 * tifffile.imread(stacks / "b.tif"))
    call(stacks, out, "--delta", "0.1", "--shard", "1/2")
    assert "2 of 3 stacks done" in capsys.readouterr().out


def test_a_failure_that_is_mended_is_forgotten(call, stacks, predicted, noisy, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError):
        call(stacks, out)
    assert "holds 8 images" in read_json(out / "c" / ".failed.json")["error"]
    tifffile.imwrite(stacks / "c.tif", noisy(1, 5)[:, :32, :40])
    call(stacks, out)
    assert not (out / "c" / ".failed.json").exists()
    assert ",failed," not in (out / "summary.csv").read_text()


def test_a_fault_of_the_program_in_one_stack_does_not_stop_the_others(
    call, stacks, predicted, monkeypatch, tmp_path, capsys
):
    out, process = tmp_path / "out", run_of_a_stack.process

    def broken(entry, *given):
        if entry.source.name == "a.tif":
            raise ZeroDivisionError("a slip")
        process(entry, *given)

    monkeypatch.setattr(run_of_a_stack, "process", broken)
    with pytest.raises(InputError, match=r"2 of 4 stacks .* ZeroDivisionError: a slip; .*failed"):
        call(stacks, out)
    assert "NOT reconstructed, a fault of the program" in capsys.readouterr().out
    record = read_json(out / "a" / ".failed.json")
    assert "a slip" in record["error"]
    assert any("in broken" in line for line in record["traceback"])
    assert "traceback" not in read_json(out / "c" / ".failed.json")
    assert [row["state"] for row in rows_of(out).values()] == ["failed", "done", "failed", "done"]
    monkeypatch.setattr(run_of_a_stack, "process", process)
    with pytest.raises(InputError, match="1 of 4 stacks"):
        call(stacks, out)


def test_a_full_disk_stops_all_stacks_and_a_single_stack_keeps_its_error(
    call, stacks, monkeypatch, tmp_path
):
    def full(*given):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(run_of_a_stack, "process", full)
    with pytest.raises(OSError, match="no space left"):
        call(stacks, tmp_path / "out")
    monkeypatch.setattr(run_of_a_stack, "process", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(stacks / "a.tif", tmp_path / "single")


@pytest.mark.parametrize("stream", ["never", "always"])
def test_a_profile_along_a_line_of_the_user_stays(stream, call, noisy, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "movie.tif", noisy(2)[:, :32, :40], photometric="minisblack")
    out = tmp_path / "out"
    call(tmp_path / "movie.tif", out, "--stream", stream)
    before = (out / "Profile.png").read_bytes()
    write_profile(out, (2.0, 3.0, 40.0, 60.0))
    chosen = (out / "Profile.png").read_bytes()
    assert chosen != before
    call(tmp_path / "movie.tif", out, "--stream", stream)
    assert "finished before" in capsys.readouterr().out
    assert (out / "Profile.png").read_bytes() == chosen
    (out / "SR.png").unlink()
    call(tmp_path / "movie.tif", out, "--stream", stream)
    assert "verdict" in capsys.readouterr().out  # made again


def test_subfolders_that_are_not_read_and_parts_without_work_are_named(
    call, noisy, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(run_of_a_stack, "process", lambda *given: None)
    data = tmp_path / "data"
    for folder in ("", "other cells", "results"):
        (data / folder).mkdir()
        tifffile.imwrite(data / folder / "cell.tif", noisy(1), photometric="minisblack")
    (data / "results" / "prediction.json").write_text("{}")
    (data / "notes").mkdir()
    tifffile.imwrite(data / "cell 2.tif", noisy(1), photometric="minisblack")
    call(data, tmp_path / "out", "--shard", "3/3")
    printed = capsys.readouterr().out
    assert "other cells: not read, since it is no stack" in printed
    assert printed.count("not read") == 1
    assert "part 3 of 3 has none of the 2 stacks" in printed
