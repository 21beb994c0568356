"""BioSR in, tree out: every count there, nothing mixed, deleted, half-made or silently left out."""

import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.data.normalise import normalisation_of, target_normalisation
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.data.sets.layout import PARTS, DatasetTree
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.DatasetGenerate import conversion, from_biosr, measured_set
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Starting processes takes longer than these small cells; one test does it as people do."""
    monkeypatch.setattr(
        measured_set, "convert", lambda plan, sources, workers: alone(plan, sources)
    )


def alone(plan, sources):
    done, failed = {}, {}
    for source in sources:
        try:
            done[source.number] = conversion.convert_cell(plan, source)
        except InputError as error:
            failed[source.name] = str(error)
    return done, failed


def convert(root, folder, *options):
    from_biosr.main(["--data_path", str(root), "--save_path", str(folder), *options])
    return DatasetTree(folder)


def digests(folder):
    """Relative path -> hash and time of every file but dataset.json."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "dataset.json"
    }


def frames_of(tree, cell, level):
    return np.stack([read_image(path) for path in tree.raw_paths(cell, level)])


def facts_of(folder):
    return json.loads((folder / "dataset.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("word", ["level", "seq"])
def test_counts_come_back_exactly(write_biosr, tmp_path, word):
    root, scenes = write_biosr(word=word)
    tree = convert(root, tmp_path / "set")
    assert tree.stacks() == [(cell, level) for cell in (1, 2, 3) for level in (1, 2, 3)]
    for cell, level in tree.stacks():
        frames = frames_of(tree, cell, level)
        assert frames.dtype == np.uint16
        np.testing.assert_array_equal(frames, scenes[cell].raw[level])
        np.testing.assert_allclose(
            read_image(tree.wf_path(cell, level)), frames.mean(axis=0), rtol=1e-6
        )
        np.testing.assert_array_equal(read_image(tree.gt_path(cell)), scenes[cell].target)
    assert not list((tmp_path / "set").rglob("*.partial*"))


def test_dataset_json_records_the_conversion(write_biosr, tmp_path):
    root, _ = write_biosr()
    spec = convert(root, tmp_path / "set", "--sample", "MT").spec
    assert (spec.sample, spec.microscope, spec.size) == ("MT", "fixed", (32, 32))
    assert (spec.cells, spec.levels, spec.seed) == (3, 3, None)
    assert (spec.frames, spec.scale) == (9, 2)
    assert spec.pixel_size_nm == pytest.approx(62.6)
    assert spec.details["background_counts"] == 98
    assert spec.details["complete"] is True
    assert spec.details["conversion"]["source"] == str(root.resolve())
    assert spec.details["cells"]["2"]["raw"]["3"] == "Cell_002/RawSIMData_level_03.mrc"
    stack = read_stack(DatasetTree(tmp_path / "set").raw_folder(1, 1))
    assert stack.pixel_size_nm == pytest.approx(62.6)  # stored with the frames, too


def test_the_set_is_trained_on(write_biosr, tmp_path):
    root, scenes = write_biosr()
    convert(root, tmp_path / "set")
    for part in PARTS:
        stacks = SimDataset(tmp_path / "set", part)
        assert len(stacks) == 3
        stack = stacks.stack(1)
        np.testing.assert_allclose(
            stack.norm.invert(stack.raw), scenes[stack.cell].raw[stack.level], atol=1e-3
        )
        batch = next(iter(stacks.batches(0, 0, batch_size=2, patch_size=16)))
        assert batch.target.shape == (2, 1, 32, 32)


def test_the_network_input_does_not_depend_on_the_background(make_scene):
    shown = make_scene(1)
    raw, wide = shown.raw[1].astype(np.float64), shown.raw[1].mean(axis=0)
    norm, without = normalisation_of(raw), normalisation_of(raw - 98)
    np.testing.assert_allclose(norm.apply(raw), without.apply(raw - 98), atol=1e-12)
    one = target_normalisation(shown.target, wide, norm)
    two = target_normalisation(shown.target, wide - 98, without)
    target = shown.target.astype(np.float64)
    np.testing.assert_allclose(one.apply(target), two.apply(target), atol=1e-9)


def test_the_parts_of_biosr(write_biosr, tmp_path):
    root, _ = write_biosr(cells=range(1, 18), levels=1, size=16)
    splits = convert(root, tmp_path / "set").spec.splits
    assert splits == {
        "test": [1, 2, 3, 4, 5],
        "validation": [6, 7, 8, 9, 10],
        "train": [11, 12, 13, 14, 15, 16, 17],
    }
    few = convert(root, tmp_path / "few", "--cells", "1-4,17").spec.splits
    assert few == {"test": [1], "validation": [2], "train": [3, 4, 17]}
    named = ["--cells", "train=3,12-", "validation=2", "test=1"]
    splits_named = convert(root, tmp_path / "own", *named).spec.splits
    assert splits_named == {"train": [3, 12, 13, 14, 15, 16, 17], "validation": [2], "test": [1]}


def test_er_has_a_target_per_level(write_biosr, tmp_path):
    root, scenes = write_biosr(layout="ER", name="ER")
    tree = convert(root, tmp_path / "set")
    assert tree.stacks() == [(100 * c + level, level) for c in (1, 2, 3) for level in (1, 2, 3)]
    for cell, level in tree.stacks():
        shown = scenes[cell // 100]
        np.testing.assert_array_equal(frames_of(tree, cell, level), shown.raw[level])
        np.testing.assert_array_equal(read_image(tree.gt_path(cell)), shown.target + level)
    # No part shares a living cell with another one.
    assert tree.spec.splits == {
        "test": [101, 102, 103],
        "validation": [201, 202, 203],
        "train": [301, 302, 303],
    }
    assert tree.spec.details["cells"]["203"]["source"] == "Cell_002 level 3"
    assert len(SimDataset(tmp_path / "set", "train")) == 3


def test_nonlinear_is_written_but_never_taken_for_nine_frames(write_biosr, tmp_path, capsys):
    root, scenes = write_biosr(layout="nonlinear", levels=1, name="F-actin_Nonlinear")
    tree = convert(root, tmp_path / "set")
    assert (tree.spec.frames, tree.spec.scale) == (25, 3)
    for cell in (1, 2, 3):
        frames = frames_of(DatasetTree(tree.root, 25), cell, 1)
        np.testing.assert_array_equal(frames, scenes[cell].raw[1])
        np.testing.assert_array_equal(read_image(tree.gt_path(cell)), scenes[cell].target)  # _a
    assert "train.py refuses" in capsys.readouterr().out
    with pytest.raises(InputError, match="25 raw frames per stack and targets of 3 times"):
        SimDataset(tmp_path / "set", "train")


def test_background_of_a_target_is_cut_at_a_percentile(write_biosr, tmp_path):
    root, scenes = write_biosr(levels=1, name="CCPs")
    tree = convert(root, tmp_path / "set", "--bg_cut_prct", "30")
    cut = np.percentile(scenes[2].target, 30).astype(np.uint16)
    target = read_image(tree.gt_path(2))
    np.testing.assert_array_equal(target, np.maximum(scenes[2].target, cut))
    assert tree.spec.details["cells"]["2"]["target_cut_at"] == cut
    assert 0.28 < (target == cut).mean() < 0.32


def test_levels_are_chosen(write_biosr, tmp_path):
    root, _ = write_biosr()
    tree = convert(root, tmp_path / "set", "--levels", "1,3")
    assert tree.levels(2) == [1, 3]
    assert tree.spec.levels == 2


@pytest.mark.parametrize("stop_at", range(7))
def test_a_killed_run_goes_on_where_it_was(write_biosr, tmp_path, monkeypatch, stop_at):
    root, scenes = write_biosr(levels=1)
    write, calls = conversion._write_image, []

    def killed(path, image, pixel_size_nm):
        calls.append(path)
        if len(calls) > 4 * stop_at + 1:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        write(path, image, pixel_size_nm)

    with monkeypatch.context() as patch:
        patch.setattr(conversion, "_write_image", killed)
        with pytest.raises(KeyboardInterrupt):
            convert(root, tmp_path / "set")
    assert facts_of(tmp_path / "set")["details"]["complete"] is False
    with pytest.raises(InputError):
        SimDataset(tmp_path / "set", "train")
    before = digests(tmp_path / "set")
    tree = convert(root, tmp_path / "set")
    after = digests(tmp_path / "set")
    whole = {path: entry for path, entry in before.items() if "partial" not in path}
    assert whole.items() <= after.items()  # what was complete was not written again
    for cell in (1, 2, 3):
        np.testing.assert_array_equal(frames_of(tree, cell, 1), scenes[cell].raw[1])
    assert not list((tmp_path / "set").rglob(".cell_*"))
    assert facts_of(tmp_path / "set")["details"]["complete"] is True


def test_a_second_run_changes_nothing(write_biosr, tmp_path):
    root, _ = write_biosr()
    convert(root, tmp_path / "set")
    before = digests(tmp_path / "set"), facts_of(tmp_path / "set")
    convert(root, tmp_path / "set")
    assert (digests(tmp_path / "set"), facts_of(tmp_path / "set")) == before


def test_cells_are_added_but_do_not_change_their_part(write_biosr, tmp_path):
    root, _ = write_biosr(cells=range(1, 14), levels=1, size=16)
    convert(root, tmp_path / "set", "--cells", "1-5")
    before = digests(tmp_path / "set")
    with pytest.raises(InputError, match="cell 2 would move from validation to test"):
        convert(root, tmp_path / "set")
    with pytest.raises(InputError, match="already holds cell 1, which is not among the chosen"):
        convert(root, tmp_path / "set", "--cells", "2-6")
    assert digests(tmp_path / "set") == before
    parts = ["--cells", "train=3-", "validation=2", "test=1"]
    assert convert(root, tmp_path / "set", *parts).spec.cells == 13
    assert before.items() <= digests(tmp_path / "set").items()


def test_two_sets_never_mix(write_biosr, tmp_path):
    root, _ = write_biosr(levels=2)
    other, _ = write_biosr(levels=2, name="MT")
    convert(root, tmp_path / "set")
    before = digests(tmp_path / "set")
    for again, options, word in (
        (other, (), "source"),
        (root, ("--levels", "1"), "levels"),
        (root, ("--bg_cut_prct", "10"), "bg_cut_prct"),
    ):
        with pytest.raises(InputError, match=f"holds another data set .{word}"):
            convert(again, tmp_path / "set", *options)
    assert digests(tmp_path / "set") == before


def test_a_folder_of_something_else_is_left_alone(write_biosr, small_set, tmp_path):
    root, _ = write_biosr(levels=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is not empty \(it holds notes.txt\)"):
        convert(root, tmp_path / "mine")
    with pytest.raises(InputError, match="holds another data set .program"):
        convert(root, small_set)
    with pytest.raises(InputError, match="is not empty"):
        convert(root, root)


def header_with(offset, value):
    return lambda whole: whole[:offset] + struct.pack("<i", value) + whole[offset + 4 :]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("RawSIMData_level_02.mrc", lambda whole: whole[:-7], "is truncated"),
        ("RawSIMData_level_02.mrc", lambda whole: b"TIFF? no" * 300, "is not an MRC file"),
        ("RawSIMData_level_02.mrc", lambda whole: b"", "is not an MRC file"),
        ("RawSIMData_level_02.mrc", header_with(12, 4), "complex values"),
        ("RawSIMData_level_02.mrc", header_with(8, 8), "holds 8 images, but 9"),
        ("RawSIMData_level_02.mrc", header_with(4, 31), "31x32 px, but those of the set"),
        ("RawSIMData_level_02.mrc", lambda whole: whole[:1024] + bytes(len(whole)), "constant"),
        ("RawSIMData_level_02.mrc", None, "lacks the raw file of level 2"),
        ("SIM_gt.mrc", header_with(4, 63), "63x64 px, but a target is exactly 2 times"),
        ("SIM_gt.mrc", lambda whole: whole[:-1], "is truncated"),
        ("SIM_gt.mrc", lambda whole: whole[:1024] + whole[:1023:-1], "not show the same field"),
        ("SIM_gt.mrc", None, "is missing: it is the target"),
    ],
)
def test_a_damaged_cell_is_named_and_the_others_are_converted(
    write_biosr, tmp_path, capsys, name, change, message
):
    root, scenes = write_biosr(cells=(1, 2, 3, 4))
    path = root / "Cell_003" / name
    whole = path.read_bytes()
    path.unlink() if change is None else path.write_bytes(change(whole))
    with pytest.raises(InputError, match="1 of 4 cells were left out"):
        convert(root, tmp_path / "set")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  Cell")]
    assert message in line
    assert "Cell_003" in line
    tree = DatasetTree(tmp_path / "set")
    assert tree.cells() == [1, 2, 4]
    assert tree.spec.splits == {"test": [1], "validation": [2], "train": [4]}
    assert message in tree.spec.details["left_out"]["Cell_003"]
    assert tree.spec.details["complete"] is False
    assert len(SimDataset(tree.root, "train")) == 3
    path.write_bytes(whole)  # repaired
    tree = convert(root, tmp_path / "set")
    assert tree.spec.splits == {"test": [1], "validation": [2], "train": [3, 4]}
    np.testing.assert_array_equal(frames_of(tree, 3, 2), scenes[3].raw[2])


def test_a_file_lost_from_a_converted_cell_is_named(write_biosr, tmp_path, capsys):
    root, _ = write_biosr(levels=1)
    tree = convert(root, tmp_path / "set")
    tree.raw_paths(2, 1)[4].write_bytes(b"")
    with pytest.raises(InputError, match="1 of 3 cells"):
        convert(root, tmp_path / "set")
    assert "5.tif is missing or empty in a cell that was complete" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"cell_2.level_1.5\.tif"):
        SimDataset(tmp_path / "set", "train")


def test_a_source_lost_later_does_not_spoil_the_set(write_biosr, tmp_path):
    root, _ = write_biosr(cells=(1, 2, 3, 4))
    convert(root, tmp_path / "set")
    (root / "Cell_003" / "RawSIMData_level_02.mrc").unlink()
    with pytest.raises(InputError, match="1 of 4 cells"):
        convert(root, tmp_path / "set", "--levels", "1-3")
    assert DatasetTree(tmp_path / "set").spec.splits["train"] == [3, 4]
    assert len(SimDataset(tmp_path / "set", "train")) == 6


def test_whole_numbers_in_other_types_become_uint16(write_biosr, tmp_path):
    root, scenes = write_biosr(levels=1)
    path = root / "Cell_002" / "RawSIMData_level_01.mrc"
    for code, dtype in ((1, np.int16), (2, np.float32)):
        whole = header_with(12, code)(path.read_bytes()[:1024])
        path.write_bytes(whole + scenes[2].raw[1].astype(dtype).tobytes())
        tree = convert(root, tmp_path / f"set{code}")
        np.testing.assert_array_equal(frames_of(tree, 2, 1), scenes[2].raw[1])
        assert read_image(tree.raw_paths(2, 1)[0]).dtype == np.uint16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cells", "9"), "there is no 9; the numbers are 1 to 3"),
        (("--cells", "one"), "expected numbers such as"),
        (("--cells", "1-2"), "3 cells or more"),
        (("--cells", "train=1", "validation=2"), "no cells for test"),
        (("--cells", "train=1-2", "validation=2", "test=3"), "cell 2 is in two parts"),
        (("--cells", "train=1", "3"), "name a part for all"),
        (("--cells", "dev=1"), "expected train, validation, test once each"),
        (("--levels", "7"), "--levels: there is no 7"),
        (("--bg_cut_prct", "100"), "0 to below 100"),
        (("--workers", "0"), "at least 1"),
    ],
)
def test_impossible_wishes_are_refused(write_biosr, tmp_path, options, message):
    root, _ = write_biosr(levels=1)
    with pytest.raises(InputError, match=message):
        convert(root, tmp_path / "set", *options)
    assert not (tmp_path / "set").exists()


def test_the_folder_above_is_refused(write_biosr, tmp_path):
    root, _ = write_biosr(levels=1)
    with pytest.raises(InputError, match="holds no folder Cell_001, .* but F-actin: name"):
        convert(root.parent, tmp_path / "set")


def test_as_people_run_it(write_biosr, tmp_path):
    root, scenes = write_biosr(cells=(1, 2, 3, 4), levels=1)
    (root / "Cell_004" / "SIM_gt.mrc").write_bytes(b"not MRC" * 400)
    command = [sys.executable, "-m", "DatasetGenerate.from_biosr", "--data_path", str(root)]
    done = subprocess.run(
        [*command, "--save_path", str(tmp_path / "set"), "--workers", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Cell_004/SIM_gt.mrc is not an MRC file" in done.stderr.replace("\\", "/")
    assert done.stderr.strip().splitlines()[-1].startswith("error: 1 of 4 cells were left out")
    tree = DatasetTree(tmp_path / "set")
    np.testing.assert_array_equal(frames_of(tree, 3, 1), scenes[3].raw[1])
