"""The notebooks in examples/ run from start to end, and their cells are what a reader sees."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def code_of(path):
    """The code cells of a notebook as one program."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def outputs_of(path):
    """The text that the stored outputs of a notebook show."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join("".join(output.get("text", [])) for output in outputs)


def test_there_is_an_example():
    assert [path.name for path in NOTEBOOKS] == ["first_stack.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_runs_in_an_empty_folder(path, tmp_path):
    """Without a kernel: its cells are plain Python, one after the other."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-c", code_of(path)], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "first_stack" / "prediction.json").is_file()
    printed = "".join(line.split("\r")[-1] for line in done.stdout.splitlines(keepends=True))
    # What is printed is what the stored outputs show: lines without measured numbers.
    stored = outputs_of(path)
    for words in ("8 members on cpu", "(1, 9, 120, 120) pixel 65 nm", "members 8/8",
                  "super-resolved (1, 240, 240) pixel 32.5 nm", "SR.tif"):  # fmt: skip
        assert words in printed
        assert words in stored
