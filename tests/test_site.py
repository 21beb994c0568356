"""The documents: links lead somewhere, a guide does what it says, and the site builds."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import tifffile

from bayesdl_sim.docs.site_links import LINK, OUTSIDE, addresses, rewritten, with_guides

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ROOT / "docs" / "guides"
LONGEST_GUIDE = 120  # lines
FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def documents():
    """Every document of the repository."""
    patterns = ("*.md", "docs/**/*.md", "data/*/*.md", "checkpoint/**/*.md", ".github/**/*.md")
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


def without_code(text):
    """Markdown without its blocks and spans of code, in which brackets are no links."""
    text = re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors_of(path):
    """The anchors of a document's headings, as GitHub and the site make them."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for _, _, target in LINK.findall(without_code(path.read_text(encoding="utf-8"))):
        if target.startswith(OUTSIDE[:3]):
            continue
        place, _, anchor = target.partition("#")
        linked = path.parent / place if place else path
        assert linked.exists(), f"{path.name}: {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors_of(linked), f"{path.name}: {target}"


def test_the_navigation_names_pages_that_exist():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r": ([\w/]+\.md)$", text, re.MULTILINE)
    assert len(named) > 20
    assert set(named) - set(addresses().values()) == set()


def test_a_guide_that_the_navigation_does_not_name_joins_it():
    nav = [{"Home": "index.md"}, {"Guides": [{"First": "guides/a.md"}]}, {"How": ["how/x.md"]}]
    pages = ["index.md", "guides/a.md", "guides/new.md", "how/x.md"]
    joined = with_guides(nav, pages)
    assert joined[1] == {"Guides": [{"First": "guides/a.md"}, "guides/new.md"]}
    assert [joined[0], joined[2]] == [nav[0], nav[2]]
    assert with_guides(nav, pages[:2]) == nav


def test_guides_are_short():
    for path in GUIDES.glob("*.md"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_GUIDE, path.name


def test_links_are_rewritten_for_the_site():
    known = addresses()
    text = "[a](../../README.md#limits) ![b](../../figures/pictures/live.png) [c](../dlbi.md)"
    assert rewritten(text, "docs/guides/first_stack.md", known) == (
        "[a](../project/readme.md#limits) ![b](../pictures/live.png) [c](../dlbi.md)"
    )
    assert rewritten("[d](docs/guides/fiji.md)", "README.md", known) == "[d](../guides/fiji.md)"
    assert rewritten("[code](../test.py)", "docs/index.md", known) == "code"
    outside = "[e](https://bioimage.io) [f](#here)"
    assert rewritten(outside, "docs/index.md", known) == outside


def test_pictures_of_the_site_do_not_hide_each_other():
    known = addresses()
    assert len(set(known.values())) == len(known)


def test_the_guide_reconstructs_a_phase_major_stack_of_two_colours(tmp_path):
    """Its commands, word by word, in a folder of their own: both colours, each with a verdict."""
    text = (GUIDES / "my_file_is_different.md").read_text(encoding="utf-8")
    section = text.split("## A two-colour stack, phase by phase")[1].split("\n## ")[0]
    (block,) = FENCED.findall(section)
    for name in ("cristae", "hela"):
        (tmp_path / "data" / name).mkdir(parents=True)
        shutil.copy(ROOT / "data" / name / "raw.tif", tmp_path / "data" / name)
    shutil.copy(ROOT / "test.py", tmp_path)
    (tmp_path / "runs").mkdir()
    bin_folder = tmp_path / "bin"  # `python` is the interpreter of the tests
    bin_folder.mkdir()
    (bin_folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "utf-8")
    (bin_folder / "python").chmod(0o755)
    path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["sh", "-e", "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("verdict: accept") == 2
    assert done.stdout.count("fringes found in 3 of 3 orientations") == 2
    folders = sorted((tmp_path / "runs" / "two_colours").glob("two_colours_*"))
    assert len(folders) == 2
    images = [tifffile.imread(folder / "SR.tif") for folder in folders]
    assert [image.shape for image in images] == [(224, 224)] * 2
    assert (images[0] != images[1]).any()


@pytest.mark.skipif(
    not (find_spec("material") and find_spec("mkdocstrings")),
    reason="needs mkdocs-material and mkdocstrings (extra [docs])",
)
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("index", "gallery", "guides/fiji", "how/fhmm", "api/index", "project/readme"):
        assert (tmp_path / f"{name}.html").is_file(), name
    api = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    assert "Reconstructs and judges one stack" in api
    pages = "".join(p.read_text(encoding="utf-8") for p in tmp_path.rglob("*.html"))
    assert "fonts.googleapis.com" not in pages
    assert not re.search(r'<(?:script|img|link)[^>]+(?:src|href)="https?://(?!squidfunk)', pages)
