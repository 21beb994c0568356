"""The words of the documents and docstrings: plain English, in sentences that stand alone."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("*.md", "docs/**/*.md", "data/*/*.md", "checkpoint/**/*.md")
ARCHAIC = re.compile(r"\b(mend|foretell|anew|likewise|shall|at hand|of before)\b", re.IGNORECASE)
FRAGMENT = re.compile(r"Of ")  # the noun is missing: a reader has to guess it


def docstrings(source):
    """Docstrings of a module, its classes and its functions."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [text for text in map(ast.get_docstring, nodes) if text]


def modules():
    folders = [path for path in ROOT.iterdir() if (path / "__init__.py").is_file()]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


@pytest.mark.parametrize("pattern", DOCUMENTS)
def test_documents_use_words_of_today(pattern):
    paths = sorted(ROOT.glob(pattern))
    assert paths
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths}
    assert {
        name: ARCHAIC.findall(text) for name, text in texts.items() if ARCHAIC.search(text)
    } == {}


def test_docstrings_begin_with_their_noun_or_verb():
    fragments = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in modules()
        for text in docstrings(path.read_text(encoding="utf-8"))
        if FRAGMENT.match(text)
    ]
    assert fragments == []


@pytest.mark.parametrize(("text", "kept"), [("Of the trunk.", False), ("Stride of it.", True)])
def test_a_fragment_is_noticed(text, kept):
    source = f'def f():\n    """{text}"""\n'
    assert docstrings(source) == [text]
    assert (FRAGMENT.match(text) is None) == kept
