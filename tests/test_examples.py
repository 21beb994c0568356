"""The notebooks in examples/ run from start to end, and their cells are what a reader sees."""

import json
import os
import re
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


# Lines without measured numbers, which a run prints and the stored outputs show.
PRINTED = {
    "first_stack.ipynb": (
        "8 members on cpu",
        "(1, 9, 120, 120) pixel 65 nm",
        "members 8/8",
        "super-resolved (1, 240, 240) pixel 32.5 nm",
        "SR.tif",
    ),
    "is_it_real.ipynb": (
        "accept (p = ",
        "copied frame: refuse: frames 4 and 5 are copies of one exposure",
        "exchanged frames: refuse: frames (1, 2, 6) and (3, 4, 5)",
        "no fringes: refuse: the nine frames differ by noise only",
    ),
    "my_optics.ipynb": (
        "cut-off 0.347 cycles per raw pixel: 188 nm in wide field",
        "(192, 192)",
        "100 e-/px: error 0.",
    ),
}


def test_there_are_three_examples():
    assert [path.name for path in NOTEBOOKS] == sorted(PRINTED)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_runs_in_an_empty_folder(path, tmp_path):
    """Runs a notebook without a kernel: its cells are plain Python, one after the other."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-c", code_of(path)]
    where = {"cwd": tmp_path, "env": environment}
    done = subprocess.run(command, **where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    saved = [child.name for child in tmp_path.iterdir()]
    assert saved == (["first_stack"] if path.name == "first_stack.ipynb" else [])
    printed = "".join(line.split("\r")[-1] for line in done.stdout.splitlines(keepends=True))
    stored = outputs_of(path)
    for words in PRINTED[path.name]:
        assert words in printed
        assert words in stored


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_shows_pictures_and_links_that_lead_somewhere(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    text = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (path.parent / target).is_file(), target
    assert path.stat().st_size < 500_000
