"""docs/reproducibility.md promises no more than is tested: every test that it names is there."""

import ast
import re
from pathlib import Path

from bayesdl_sim.inference.output.result_files import FACTS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reproducibility.md"
FAULTS = 15  # kinds of fault that the page lists


def functions_in(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_named_test_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > FAULTS
    assert [
        f"{file}::{name}" for file, name in named if name not in functions_in(ROOT / file)
    ] == []


def test_every_fault_has_a_test():
    text = PAGE.read_text(encoding="utf-8").partition("## What would notice")[2]
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) == FAULTS
    assert all("::test_" in row for row in rows)


def test_the_files_that_stand_for_a_whole_set_are_named():
    text = PAGE.read_text(encoding="utf-8")
    for name in (FACTS, "report.html", "dataset.json", "reconstruction.json", "scores.json"):
        assert f"`{name}`" in text
