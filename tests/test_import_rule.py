"""Who may import whom: arrows point downwards only, and an import does no work.

The table is the one of CONTRIBUTING.md. Every module is imported as `bayesdl_sim.<room>.<module>`:
under a second name it would be loaded twice. Sources are parsed, not imported, so that nothing
hides behind an import that fails.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ("data", "physics", "models", "bayes", "metrics")
PRODUCT = ("inference", "training", "evaluation", "tools", "commands", "napari")  # of bayesdl_sim/
CALLED = {*PRODUCT} - {"napari"}  # the plugin is called by napari alone
BELOW = {"utils", "DatasetGenerate", *LIBRARY}
MAY_IMPORT = {
    "utils": set(),
    **dict.fromkeys(("physics", "models", "metrics"), {"utils"}),
    "bayes": {"metrics", "utils"},
    "data": {"physics", "utils"},
    "DatasetGenerate": {"utils", "data", "physics"},
    "inference": BELOW,
    "training": BELOW,
    "evaluation": {"inference", *BELOW},
    "tools": {"inference", *BELOW},
    "commands": {"inference", "training", "evaluation", "tools", *BELOW},
    "napari": {"inference", "tools", *BELOW},
    "benchmarks": {*CALLED, *BELOW},
    "figures": {"benchmarks", *CALLED, *BELOW},
    "scripts": {*CALLED, *BELOW},  # train.py, test.py, evaluate.py, calibrate.py
    "docs": set(),  # the hook of the site
    "dlbi": {"data", "physics", "models", "bayes", "metrics", "utils"},
}
# Only inside a function, so that everything else works where the folder was deleted.
LAZILY = {"napari": {"dlbi"}}
ABROAD = {"napari"}  # rooms that bear the name of the program that they are written for
PACKAGE = "bayesdl_sim"
FOLDERS = {room: ROOT / PACKAGE / room if room in PRODUCT else ROOT / room for room in MAY_IMPORT}
ROOMS = [room for room, folder in FOLDERS.items() if folder.is_dir()]
_SCRIPTS = {path.stem for path in ROOT.glob("*.py")}
IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
QUIET = (*IMPORTS, *DEFINITIONS, ast.Assign, ast.AnnAssign, ast.AugAssign)


def sources():
    """(room, path) of every module but the tests."""
    paths = [(room, path) for room in ROOMS for path in sorted(FOLDERS[room].rglob("*.py"))]
    return paths + [("scripts", path) for path in sorted(ROOT.glob("*.py"))]


def violations(source, room):
    """What a module of that room does against the rules, as texts; empty if nothing."""
    tree = ast.parse(source)
    late = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    problems = []
    for node in ast.walk(tree):  # imports inside functions count too
        further = LAZILY.get(room, set()) if id(node) in late else set()
        problems += _import_problems(node, room, MAY_IMPORT[room] | further)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path":
            problems.append("edits sys.path")
    for statement in tree.body[1:]:
        if not isinstance(statement, QUIET) and not _is_main_guard(statement):
            problems.append(f"works on import: {ast.unparse(statement).splitlines()[0]}")
    if ast.get_docstring(tree) is None:
        problems.append("has no docstring")
    return problems


def _import_problems(node, room, allowed):
    if isinstance(node, ast.Import):
        targets = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            yield "imports relatively"
        if any(alias.name == "*" for alias in node.names):
            yield f"imports everything from {node.module}"
        targets = [node.module or ""]
        if node.module == "sys" and any(alias.name == "path" for alias in node.names):
            yield "edits sys.path"
    else:
        return
    for target in targets:
        first, *rest = target.split(".")
        if (first in MAY_IMPORT and first not in ABROAD) or first in _SCRIPTS:
            yield f"imports {target} without {PACKAGE}: a module has one name"
        elif first == PACKAGE:
            rooms = rest[:1] or [alias.name for alias in node.names]
            for top in rooms:
                if top in MAY_IMPORT and top != room and top not in allowed:
                    listed = sorted(allowed) or "no room"
                    yield f"imports {PACKAGE}.{top}, but {room} may import {listed}"


def _is_main_guard(statement):
    return isinstance(statement, ast.If) and ast.unparse(statement.test) in (
        "__name__ == '__main__'",
        "TYPE_CHECKING",
    )


@pytest.mark.parametrize(
    ("room", "path"), [pytest.param(r, p, id=str(p.relative_to(ROOT))) for r, p in sources()]
)
def test_module_keeps_the_rule(room, path):
    assert violations(path.read_text(encoding="utf-8"), room) == []


@pytest.mark.parametrize("room", ROOMS)
def test_room_has_an_init_of_one_docstring(room):
    # Without it, any installed package of the same name wins.
    (statement,) = ast.parse((FOLDERS[room] / "__init__.py").read_text(encoding="utf-8")).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value.value, str)
    assert "\n" not in statement.value.value


@pytest.mark.parametrize("room", ["utils", "DatasetGenerate", *LIBRARY, *PRODUCT])
def test_modules_say_what_they_offer(room):
    for path in FOLDERS[room].rglob("*.py"):
        if path.name == "__init__.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lists = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        assert len(lists) == 1, path
        defined = {getattr(node, "name", None) for node in tree.body} | {
            ast.unparse(target)
            for node in tree.body
            if isinstance(node, (ast.Assign, ast.AnnAssign))
            for target in getattr(node, "targets", [getattr(node, "target", None)])
        }
        assert set(lists[0]) <= defined, path


def test_no_folder_of_modules_is_left_out():
    ignored = {"tests"}
    folders = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("[!.]*/**/*.py")}
    product = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert folders - ignored == {*ROOMS, PACKAGE} - {*PRODUCT}
    assert product <= {*PRODUCT}


@pytest.mark.parametrize(
    ("room", "line", "word"),
    [
        ("bayes", "from bayesdl_sim.models.unet import UNet", "bayesdl_sim.models"),
        ("bayes", "def f():\n    import bayesdl_sim.data.stacks", "bayesdl_sim.data"),
        ("utils", "from bayesdl_sim import physics", "physics"),
        ("data", "from bayesdl_sim.utils.errors import *", "everything"),
        ("data", "from .stacks import read_stack", "relatively"),
        ("models", "import sys\nsys.path.insert(0, '.')", "sys.path"),
        ("models", "from sys import path", "sys.path"),
        ("benchmarks", "from bayesdl_sim.figures.gallery import draw", "figures"),
        ("DatasetGenerate", "import bayesdl_sim.bayes.energy", "bayes"),
        ("scripts", "import bayesdl_sim.dlbi", "dlbi"),
        ("bayes", "from bayesdl_sim.models.unet import UNet", "models"),
        ("training", "from bayesdl_sim.inference.judging.gate import judge", "inference"),
        ("inference", "from bayesdl_sim.training.summary import write_summary", "training"),
        ("napari", "from bayesdl_sim.dlbi.movies.reading import open_movie", "dlbi"),
        ("napari", "from bayesdl_sim.commands.testing.options import parse_args", "commands"),
        ("tools", "from bayesdl_sim.napari.reader import get_reader", "napari"),
        ("commands", "import bayesdl_sim.napari.samples", "napari"),
        ("bayes", "import bayes.energy", "one name"),
        ("data", "def f():\n    from utils.errors import InputError", "one name"),
        ("scripts", "from train import fit", "train"),
        ("physics", "print('hello')", "works on import"),
    ],
)
def test_each_breach_is_noticed(room, line, word):
    assert any(word in problem for problem in violations(f'"""Doc."""\n{line}\n', room))


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("bayes", "from bayesdl_sim.bayes.energy import ssim"),
        ("DatasetGenerate", "from bayesdl_sim.physics.image_formation import simulate"),
        ("figures", "from bayesdl_sim.metrics.profiles import profile"),
        ("scripts", "import numpy as np\nif __name__ == '__main__':\n    print()"),
        ("data", "import dataclasses\nimport test_utils_of_others"),
        ("napari", "import napari\nfrom napari.qt.threading import create_worker"),
        ("napari", "def f():\n    from bayesdl_sim.dlbi.movies.reading import open_movie"),
    ],
)
def test_what_is_allowed_passes(room, line):
    assert violations(f'"""Doc."""\n{line}\n', room) == []
