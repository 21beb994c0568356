"""The whole path as a user walks it: simulate, train both steps, infer, read the files back."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile

from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.metrics.images import pearson
from bayesdl_sim.utils.files import read_json

ROOT = Path(__file__).parents[1]


def run(*words: str) -> str:
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_simulate_train_infer_read_back(tmp_path):
    root, work = tmp_path / "set", tmp_path / "work"
    # A folder with a space, as users have them.
    results = tmp_path / "my results"
    cells = ["--cells", "5", "--levels", "2", "--size", "64", "--workers", "1", "--seed", "3"]
    simulation = ["-m", "DatasetGenerate.from_simulation", "--sample", "MT"]
    run(*simulation, "--save_path", str(root), *cells)
    common = ["--root_dir", str(root), "--save_model_dir", str(work), "--sample", "MT"]
    common += ["--patch_size", "32", "--batch_size", "4"]
    size = ["--n_feat", "8", "--levels", "2", "--nBlocks", "1"]
    chain = ["--epoch", "8", "--cycles", "1", "--members_per_cycle", "3", "--lr", "2e-3"]
    printed = run("train.py", *common, *size, *chain)
    assert "train: 6 stacks of 3 cells" in printed
    tail = ["--train_type", "uncertainty_tail", "--likehood", "gauss", "--SGLD", "False"]
    run("train.py", *common, *tail, "--epoch", "2")

    tree = DatasetTree(root)
    stack = tree.raw_folder(tree.spec.splits["test"][0], 2)
    members = work / "MT" / "BayesDL-SIM"
    paths = ["--test_data", stack, "--pretrained_G", members, "--save_path", results]
    run("test.py", *map(str, paths), "--pixel_size_nm", "65")

    sr = tifffile.imread(results / "SR.tif")
    assert sr.shape == (128, 128)
    assert sr.dtype == np.uint16
    target = tifffile.imread(tree.gt_path(tree.spec.splits["test"][0]))
    assert pearson(sr.astype(float), target) > 0.5  # short training, but of the same field
    for name in ("Aleatoric", "Epistemic"):
        uncertainty = tifffile.imread(results / f"{name}.tif")
        assert uncertainty.dtype == np.float32
        assert (uncertainty > 0).mean() > 0.99
    facts = read_json(results / "prediction.json")
    assert "temperature" in str(facts)
    assert (results / "Overview.png").stat().st_size > 10_000
