"""Hook of mkdocs: pages that lie outside docs/ join the site, and links lead where they lie there.

In the repository a page links to `../README.md` or to `../figures/pictures/x.png`, as its readers
need it. The site holds the same files under other addresses. Links to files that the site does not
hold (sources, licences, folders) become plain text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["addresses", "on_config", "on_files", "on_page_markdown", "rewritten", "with_guides"]

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs"
PAGES = {  # path in the repository -> address in the site
    "README.md": "project/readme.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "CODE_OF_CONDUCT.md": "project/code_of_conduct.md",
    "checkpoint/README.md": "project/model_card.md",
    "checkpoint/blinking/README.md": "project/model_card_blinking.md",
}
FOLDERS = {"figures/pictures": "*.png", "examples": "*.ipynb"}  # files that join as they are
LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^()\s]+)\)")
OUTSIDE = ("http://", "https://", "mailto:", "#")


def addresses() -> dict[str, str]:
    """Address in the site of every file that it holds, by its path in the repository."""
    found = dict(PAGES)
    for path in (ROOT / DOCS).rglob("*"):
        if path.is_file() and path.suffix in (".md", ".png"):
            inside = path.relative_to(ROOT / DOCS).as_posix()
            found[f"{DOCS}/{inside}"] = inside
    for folder, pattern in FOLDERS.items():
        for path in (ROOT / folder).glob(pattern):
            found[f"{folder}/{path.name}"] = f"{Path(folder).name}/{path.name}"
    return found


def rewritten(text: str, source: str, known: Mapping[str, str]) -> str:
    """Markdown with its links changed from those of the repository to those of the site.

    Args:
        text: text of the page.
        source: its path in the repository.
        known: see `addresses`.
    """
    here = posixpath.dirname(known[source])

    def changed(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        if target.startswith(OUTSIDE):
            return match[0]
        path, anchor, name = target.partition("#")
        whole = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if whole not in known:
            return words
        address = posixpath.relpath(known[whole], here or ".")
        return f"{mark}[{words}]({address}{anchor}{name})"

    return LINK.sub(changed, text)


def with_guides(nav: list[Any], pages: Iterable[str]) -> list[Any]:
    """The navigation with every page that it does not name at the end of its guides.

    Args:
        nav: the navigation, as mkdocs.yml has it.
        pages: addresses of all pages under docs/.
    """
    left = sorted(set(pages) - _named(nav))
    return [{"Guides": [*entry["Guides"], *left]} if "Guides" in entry else entry for entry in nav]


def _named(nav: Any) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    parts = nav.values() if isinstance(nav, dict) else nav
    return set().union(*map(_named, parts))


def on_config(config: Any) -> Any:
    """Adds guides that the navigation does not name, under the titles that they bear."""
    pages = [inside for inside in addresses().values() if inside.endswith(".md")]
    config.nav = with_guides(config.nav, pages)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages and pictures that lie outside docs/."""
    from mkdocs.structure.files import File

    for source, address in addresses().items():
        if not source.startswith(f"{DOCS}/"):
            files.append(File.generated(config, address, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrites the links of one page."""
    known = addresses()
    sources = {address: source for source, address in known.items()}
    return rewritten(markdown, sources[page.file.src_uri], known)
