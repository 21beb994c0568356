"""Runs train.py in a process of its own, and reads its results."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

from bayesdl_sim.utils.errors import InputError

__all__ = ["STEP_2", "curve", "train"]

ROOT = Path(__file__).resolve().parents[2]
STEP_2 = ("--train_type", "uncertainty_tail", "--likehood", "gauss", "--SGLD", "False")


def train(root: Path, work: Path, name: str, options: list[Any]) -> Path:
    """Runs one step of train.py, or goes on with it after an interruption.

    Args:
        root: data set.
        work: folder of the runs.
        name: name of this run.
        options: all others of the command line.

    Returns:
        The folder of the run.

    Raises:
        InputError: train.py failed; its message is passed on.
    """
    command = [sys.executable, "train.py", "--root_dir", root.resolve()]
    command += ["--save_model_dir", work.resolve(), "--exp_name", name, "--resume", *options]
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"the training {name} failed: {last.removeprefix('error: ')}")
    return work / "F-actin" / f"{name}-SIM"  # the name of train.py's own default sample


def curve(folder: Path, name: str) -> list[dict[str, float]]:
    """The lines of a CSV of a run: step1, step1_steps or step2."""
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
