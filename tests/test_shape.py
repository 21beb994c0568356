"""How large a piece may be: scripts, modules, functions, folders. A larger one wants to be two."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT_LINES, MODULE_LINES, FUNCTION_LINES, FOLDER_MODULES = 250, 300, 60, 12
TUPLE_FIELDS = 4  # of a NamedTuple; larger records are dataclasses
TESTS_PER_LINE = 0.6


def modules():
    """Every module of the project but the tests."""
    paths = [*ROOT.glob("*.py"), *ROOT.glob("[!.]*/**/*.py")]
    return sorted(path for path in paths if path.relative_to(ROOT).parts[0] != "tests")


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def length_without_docstring(function):
    """Lines of a function, from `def` to its end, less those of its docstring."""
    length = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        length -= first.end_lineno - first.lineno + 1
    return length


def too_large(root_relative, source):
    """What of one module is larger than allowed, as texts."""
    length = len(source.splitlines())
    limit = SCRIPT_LINES if root_relative.parent == Path() else MODULE_LINES
    if length > limit:
        yield f"{root_relative}: {length} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = length_without_docstring(node)
            if size > FUNCTION_LINES:
                yield f"{root_relative}: {node.name} of {size} lines"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_size_of_a_module_and_its_functions(path):
    relative = path.relative_to(ROOT)
    assert list(too_large(relative, path.read_text(encoding="utf-8"))) == []


def test_folders_hold_few_modules():
    counts = Counter(path.parent for path in modules())
    assert {str(f): n for f, n in counts.items() if n > FOLDER_MODULES} == {}


def test_every_folder_of_modules_is_a_package():
    folders = {path.parent for path in modules()} - {ROOT}
    assert [str(f) for f in folders if not (f / "__init__.py").is_file()] == []


def test_the_formatter_lays_out_every_line():
    """A line that ruff lays out badly wants a variable or a helper, not an exception."""
    paths = [*modules(), *(ROOT / "tests").rglob("*.py")]
    exception = "# fmt" + ":"
    skipped = [path for path in paths if exception in path.read_text(encoding="utf-8")]
    assert [str(path.relative_to(ROOT)) for path in skipped] == []


def test_tests_keep_up_with_the_code():
    code = sum(map(lines_of, modules()))
    tests = sum(map(lines_of, (ROOT / "tests").rglob("*.py")))
    assert tests >= TESTS_PER_LINE * code


def large_tuples(source):
    """Names of the classes of a module that are a NamedTuple of too many fields."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and "NamedTuple" in map(ast.unparse, node.bases):
            fields = [entry for entry in node.body if isinstance(entry, ast.AnnAssign)]
            if len(fields) > TUPLE_FIELDS:
                yield node.name


def test_large_records_are_dataclasses():
    paths = [*modules(), *(ROOT / "tests").rglob("*.py")]
    records = {str(p.relative_to(ROOT)): [*large_tuples(p.read_text("utf-8"))] for p in paths}
    assert {path: names for path, names in records.items() if names} == {}


@pytest.mark.parametrize(("fields", "large"), [(4, []), (5, ["A"])])
def test_a_large_tuple_is_noticed(fields, large):
    source = "class A(NamedTuple):\n" + "".join(f"    x{n}: int\n" for n in range(fields))
    assert list(large_tuples(source)) == large


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("x.py", "a = 1\n" * 251),
        ("utils/x.py", "a = 1\n" * 301),
        ("utils/x.py", "def f():\n" + "    a = 1\n" * 60),
    ],
)
def test_what_is_too_large_is_noticed(name, source):
    assert list(too_large(Path(name), source))


def test_a_docstring_does_not_count():
    source = 'def f():\n    """One.\n\n    Two.\n    """\n' + "    a = 1\n" * 59
    assert list(too_large(Path("utils/x.py"), source)) == []
