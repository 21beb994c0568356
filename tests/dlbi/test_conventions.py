"""The fine grid and the state codes are written down once."""

import ast
from pathlib import Path

import pytest

from bayesdl_sim.dlbi import blinking, conventions
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES

FOLDER = Path(conventions.__file__).parent


def assigned(path):
    """Names that a module assigns."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


@pytest.mark.parametrize("name", conventions.__all__)
def test_each_is_assigned_in_one_module(name):
    paths = [path for path in FOLDER.rglob("*.py") if name in assigned(path)]
    assert [path.name for path in paths] == ["conventions.py"]


def test_states_are_the_rows_of_the_tables():
    table = FLUOROPHORES["bleaching"].transition
    assert table.shape == (conventions.STATES, conventions.STATES)
    assert table[conventions.BLEACHED, conventions.BLEACHED] == 1
    assert table[conventions.EMITTING, conventions.BLEACHED] == 0
    assert table[conventions.DARK, conventions.BLEACHED] > 0


def test_the_simulator_has_the_same_grid():
    assert blinking.FINE == conventions.FINE
