"""Anybody's stacks in, tree out: pairs, levels and the order of the frames are checked."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.formats.tiff import read_image
from bayesdl_sim.data.frame_order import ORDERS, FrameOrder
from bayesdl_sim.data.fringe_order import check_order, fringe_peak
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.DatasetGenerate import conversion, from_stacks, measured_set
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
MAJOR = ("--order", "orientation,phase")
REAL = {
    "cristae": ROOT / "data" / "cristae" / "raw.tif",
    "hela": ROOT / "data" / "hela" / "raw.tif",
}


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


def convert(folder, *options, raw="a/*.tif", target="b/*.tif"):
    files = ["--raw", str(folder / raw), "--target", str(folder / target)]
    from_stacks.main([*files, "--save_path", str(folder / "set"), *options])
    return DatasetTree(folder / "set")


def frames_of(tree, cell, level):
    return np.stack([read_image(path) for path in tree.raw_paths(cell, level)])


def test_pairs_become_cells_in_natural_order(write_pairs, tmp_path):
    scenes = write_pairs(11)  # raw_10 after raw_9, not after raw_1
    tree = convert(tmp_path, *MAJOR, "--sample", "ER", "--pixel_size_nm", "65")
    assert tree.cells() == list(range(1, 12))
    for cell, shown in enumerate(scenes, start=1):
        np.testing.assert_array_equal(frames_of(tree, cell, 1), shown.raw[1])
        np.testing.assert_array_equal(read_image(tree.gt_path(cell)), shown.target)
    spec = tree.spec
    assert (spec.sample, spec.microscope, spec.pixel_size_nm) == ("ER", "fixed", 65.0)
    assert spec.details["order_check"] == "confirmed by the fringes"
    assert spec.details["cells"]["10"]["raw"] == {"1": "a/raw_10.tif"}
    assert len(SimDataset(tree.root, "train")) == 9


def test_interleaved_frames_are_sorted(write_pairs, tmp_path):
    scenes = write_pairs(interleaved=True)
    tree = convert(tmp_path, "--order", "phase,orientation")
    for cell, shown in enumerate(scenes, start=1):
        np.testing.assert_array_equal(frames_of(tree, cell, 1), shown.raw[1])


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_wrong_order_is_noticed(write_pairs, tmp_path, interleaved):
    write_pairs(interleaved=interleaved)
    wrong, right = ORDERS if interleaved else ORDERS[::-1]
    with pytest.raises(InputError, match=f"do not follow the order {wrong}; they fit {right}"):
        convert(tmp_path, "--order", wrong)
    assert not (tmp_path / "set").exists()
    spec = convert(tmp_path, "--order", wrong, "--check_order", "False").spec
    assert spec.details["order_check"] == "not checked"


@pytest.mark.parametrize("name", REAL)
def test_the_fringes_of_real_stacks_confirm_the_order(name):
    frames = read_stack(REAL[name]).raw[0]
    right, wrong = FrameOrder(ORDERS[0]), FrameOrder(ORDERS[1])
    assert fringe_peak(right.triples(frames)) > 2 * fringe_peak(wrong.triples(frames))
    assert check_order([frames], right, name) == "confirmed by the fringes"
    with pytest.raises(InputError, match="times clearer"):
        check_order([frames], wrong, name)


def test_noise_never_contradicts_an_order():
    rng = np.random.default_rng(0)
    stacks = [rng.poisson(20, (9, 64, 64)) for _ in range(6)]
    for order in ORDERS:
        for some in ([stacks[0]], stacks):
            verdict = check_order(some, FrameOrder(order), "noise")
            assert verdict == "fringes too weak to tell"


@pytest.mark.parametrize("order", ORDERS)
def test_orders_of_other_numbers(order):
    kind = FrameOrder(order, orientations=2, phases=4)
    labels = np.array([10 * o + p for o in range(2) for p in range(4)])
    as_filed = labels if order == ORDERS[0] else labels.reshape(2, 4).T.ravel()
    np.testing.assert_array_equal(kind.orientation_major(as_filed[:, None, None])[:, 0, 0], labels)
    assert kind.other.other == kind


def test_several_levels_per_target(write_pairs, tmp_path):
    scenes = write_pairs(levels=2)
    tree = convert(tmp_path, *MAJOR, "--levels", "2")
    assert tree.stacks() == [(cell, level) for cell in (1, 2, 3) for level in (1, 2)]
    for cell, level in tree.stacks():
        np.testing.assert_array_equal(frames_of(tree, cell, level), scenes[cell - 1].raw[level])
    assert tree.spec.levels == 2


def test_other_numbers_are_written_but_not_trained_on(write_pairs, tmp_path, capsys):
    scenes = write_pairs(orientations=5, phases=5)
    tree = convert(tmp_path, *MAJOR, "--orientations", "5", "--phases", "5")
    assert tree.spec.frames == 25
    frames = frames_of(DatasetTree(tree.root, 25), 2, 1)
    np.testing.assert_array_equal(frames, scenes[1].raw[1])
    assert "train.py refuses this set of 5 x 5" in capsys.readouterr().out
    with pytest.raises(InputError, match="25 raw frames per stack"):
        SimDataset(tree.root, "train")


def test_nine_frames_of_another_kind_are_refused(tmp_path):
    with pytest.raises(InputError, match="takes for 3 x 3"):
        convert(tmp_path, *MAJOR, "--orientations", "1", "--phases", "9")


def test_fractions_of_counts_are_kept(write_pairs, tmp_path):
    write_pairs()
    for path in (tmp_path / "a").iterdir():
        tifffile.imwrite(path, tifffile.imread(path).astype(np.float32) - np.float32(60.25))
    tree = convert(tmp_path, *MAJOR)
    given = tifffile.imread(tmp_path / "a" / "raw_2.tif")
    np.testing.assert_array_equal(frames_of(tree, 2, 1), given)
    stack = SimDataset(tree.root, "validation").stack(0)
    np.testing.assert_allclose(stack.norm.invert(stack.raw), given, atol=1e-3)


def test_float_files_of_whole_numbers_become_uint16(write_pairs, tmp_path):
    write_pairs()
    for path in (tmp_path / "a").iterdir():
        tifffile.imwrite(path, tifffile.imread(path).astype(np.float32))
    tree = convert(tmp_path, *MAJOR)
    assert frames_of(tree, 2, 1).dtype == np.uint16
    path = tmp_path / "a" / "raw_3.tif"
    tifffile.imwrite(path, tifffile.imread(path) + np.float32(0.5))
    shutil.rmtree(tmp_path / "set")
    tree = convert(tmp_path, *MAJOR)  # among the files that decide the type
    assert frames_of(tree, 2, 1).dtype == np.float32


def test_mrc_files_and_names(write_pairs, tmp_path):
    scenes = write_pairs()
    for cell, shown in enumerate(scenes, start=1):
        with mrcfile.new(tmp_path / f"raw{cell}.mrc") as file:
            file.set_data(shown.raw[1])
            file.voxel_size = 626.0
    tree = convert(tmp_path, *MAJOR, raw="raw*.mrc", target="b")
    np.testing.assert_array_equal(frames_of(tree, 3, 1), scenes[2].raw[1])
    assert tree.spec.pixel_size_nm == pytest.approx(62.6)


def resize(path, keep):
    tifffile.imwrite(path, tifffile.imread(path)[keep])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("b/sr_2.tif", lambda p: resize(p, np.s_[:-1]), "exactly 2 times its raw frames, 64x64"),
        ("b/sr_2.tif", lambda p: resize(p, np.s_[::2, ::2]), "32x32 px, but a target is exactly"),
        ("b/sr_2.tif", lambda p: resize(p, np.s_[::-1]), "do not show the same field"),
        ("a/raw_2.tif", lambda p: resize(p, np.s_[:8]), "holds 8 images, but 9 "),
        ("a/raw_2.tif", lambda p: resize(p, np.s_[:, :30]), "30x32 px, but those of the set"),
        ("a/raw_2.tif", lambda p: p.write_bytes(p.read_bytes()[:-99]), "damaged or truncated"),
        ("a/raw_2.tif", lambda p: p.write_bytes(b"text"), "is not a TIFF"),
    ],
)
def test_an_unsuitable_pair_is_named(write_pairs, tmp_path, capsys, name, change, message):
    write_pairs(4)
    change(tmp_path / name)
    with pytest.raises(InputError, match="1 of 4 cells were left out"):
        convert(tmp_path, *MAJOR)
    err = capsys.readouterr().err
    assert message in err
    assert Path(name).name in err
    assert DatasetTree(tmp_path / "set").cells() == [1, 3, 4]


def test_mistakes_in_pairing_are_refused(write_pairs, tmp_path):
    write_pairs(4)
    (tmp_path / "a" / "raw_4.tif").unlink()
    with pytest.raises(InputError, match="found 3 raw files and 4 targets, but 1 raw"):
        convert(tmp_path, *MAJOR)
    with pytest.raises(InputError, match="matches both --raw and --target"):
        convert(tmp_path, *MAJOR, target="a/*.tif")
    with pytest.raises(InputError, match="--raw: no file matches"):
        convert(tmp_path, *MAJOR, raw="c/*.tif")
    (tmp_path / "a" / "raw_4.txt").write_text("notes")
    with pytest.raises(InputError, match="raw_4.txt is not a TIFF or MRC file"):
        convert(tmp_path, *MAJOR, raw="a/*")
    assert not (tmp_path / "set").exists()


def test_files_that_came_in_between_do_not_shift_the_cells(write_pairs, tmp_path):
    write_pairs(4)
    tree = convert(tmp_path, *MAJOR, "--cells", "train=1-2", "validation=3", "test=4")
    before = tree.spec_path.read_bytes()
    for name in ("a/raw", "b/sr"):
        shutil.copy(tmp_path / f"{name}_1.tif", tmp_path / f"{name}_0.tif")
    with pytest.raises(InputError, match="cell 1 was made from other files"):
        convert(tmp_path, *MAJOR, "--cells", "train=1-3", "validation=4", "test=5")
    assert tree.spec_path.read_bytes() == before
    assert tree.cells() == [1, 2, 3, 4]


def test_as_people_run_it(write_pairs, tmp_path):
    write_pairs(size=24)
    command = [sys.executable, "-m", "DatasetGenerate.from_stacks", "--order", "phase,orientation"]
    files = ["--raw", str(tmp_path / "a/*.tif"), "--target", str(tmp_path / "b")]
    done = subprocess.run(
        [*command, *files, "--check_order", "False", "--save_path", str(tmp_path / "set")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 cells in" in done.stdout
    facts = json.loads((tmp_path / "set" / "dataset.json").read_text(encoding="utf-8"))
    assert facts["details"]["complete"] is True
