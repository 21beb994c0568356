"""Benchmarks that train: tiny sets and networks, and what their tables and curves say."""

import csv

import numpy as np
import pytest

import train as program
from bayesdl_sim.benchmarks import engines, fine_tuning
from bayesdl_sim.benchmarks.scenes.kept_out import kept_out_scene
from bayesdl_sim.benchmarks.shared.training import train
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError


@pytest.fixture
def in_process(monkeypatch):
    """train.py without a process of its own, which would take most of the time."""

    def run(root, work, name, options):
        place = ["--root_dir", root, "--save_model_dir", work, "--exp_name", name, "--resume"]
        program.main([str(word) for word in [*place, *options, "--device", "cpu"]])
        return work / "F-actin" / f"{name}-SIM"

    for benchmark in (engines, fine_tuning):
        monkeypatch.setattr(benchmark, "train", run)


def test_engines_get_the_same_budget_and_one_table(tmp_path, in_process):
    words = "--threads 1 --epochs 4 --cells 3 --size 48 --levels 1 --n_feat 4 --test_cells 1"
    words += " --kept_out 1 --test_size 32 --tail_epochs 1 --ensemble 4"
    words += " --engines ensemble mc_dropout"
    words = [*words.split(), "--save_path", str(tmp_path), "--work", str(tmp_path / "work")]
    engines.main(words)
    with open(tmp_path / "engines.csv", newline="") as file:
        records = list(csv.DictReader(file))
    assert {record["posterior"] for record in records} == {"ensemble", "mc_dropout"}
    assert all(0 <= float(record["coverage"]) <= 1 for record in records)
    lines = (tmp_path / "engines.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    table = [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]
    assert [row["members"] for row in table] == ["4", "4"]
    assert table[0]["gradient steps"] == table[1]["gradient steps"]
    assert all(0 <= float(row["AUROC, kept out"]) <= 1 for row in table)


def test_fine_tuning_gives_both_curves(tmp_path, monkeypatch, in_process):
    config = network_config("unet", "", in_channels=9, width=4, levels=2, blocks=1)
    folder = tmp_path / "members"
    save_checkpoint(member_path(folder, 1), member_payload(build_network(config), {}, {}))
    monkeypatch.setattr(fine_tuning, "EPOCHS", 2)
    tiny = ["--n_feat", "4", "--levels", "2", "--nBlocks", "1", "--first_guess", "False"]
    given = fine_tuning.options
    monkeypatch.setattr(fine_tuning, "options", lambda *a: [*given(*a), *tiny])
    words = ["--minutes", "0.02", "--size", "48", "--levels", "1", "--held_out", "1"]
    words += ["--cells", "2", "--save_path", str(tmp_path), "--pretrained_G", str(folder)]
    fine_tuning.main([*words, "--device", "cpu"])
    with open(tmp_path / "fine_tuning.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["training"] for row in rows] == [fine_tuning.TUNED] * 2 + [fine_tuning.SCRATCH] * 2
    assert all(0 < float(row["psnr"]) < 60 for row in rows)
    assert (tmp_path / "fine_tuning.png").stat().st_size > 10_000


def test_the_set_of_a_new_structure_keeps_its_cells_apart(tmp_path):
    words = ["--size", "48", "--levels", "2", "--cells", "2", "--held_out", "1"]
    args = fine_tuning.parse_args(words)
    fine_tuning.write_set(tmp_path, "letters", args)
    part = SimDataset(tmp_path, "train")
    assert part.cells == [1, 2]
    assert SimDataset(tmp_path, "validation").cells == [3]
    scene = kept_out_scene("letters", 2, 2, 48, args.seed)
    stack = part.stack(3)
    counts = stack.norm.low + stack.norm.scale * stack.raw.numpy()
    np.testing.assert_allclose(counts, scene.raw[1].numpy(), atol=0.02)


def test_table_says_where_the_bar_holds():
    seconds = np.array([1.0, 2, 3, 4])
    curves = {
        fine_tuning.TUNED: (seconds, np.array([20.0, 21, 22, 23])),
        fine_tuning.SCRATCH: (seconds, np.array([15.0, 22, 21, 21])),
    }
    rows = fine_tuning.table(curves, start=19.0)
    assert [row["holds"] for row in rows] == ["yes", "NO", "yes", "yes"]
    assert rows[-1]["better by, dB"] == 2.0
    assert fine_tuning.table(curves, start=23.5)[-1]["holds"] == "NO"


def test_a_failed_training_is_told_in_its_words(tmp_path):
    with pytest.raises(InputError, match="the training x failed: no data set in"):
        train(tmp_path / "nothing", tmp_path, "x", [])
