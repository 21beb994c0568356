"""A report as one HTML file: tables and pictures inside, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bayesdl_sim.utils.errors import require_file
from bayesdl_sim.utils.files import atomic_path

__all__ = ["finite", "number_text", "picture", "table", "text", "write_page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em;
       color: #222; }
table { border-collapse: collapse; margin: 0.8em 0; font-size: 13px; display: block;
        overflow-x: auto; }
th, td { padding: 3px 10px; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { border-bottom: 2px solid #888; }
tr.miss td { background: #fdeaea; }
figure { display: inline-block; margin: 0.5em 1em 0.5em 0; max-width: 100%; vertical-align: top; }
figure img { max-width: 100%; }
figcaption { font-size: 13px; color: #555; max-width: 60em; }
"""


def finite(value: Any) -> Any:
    """JSON has no NaN: None instead, in anything nested."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def number_text(value: Any) -> str:
    """A value as a table shows it: three to four significant figures, a dash for what is absent."""
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if not isinstance(value, float):
        return str(value)
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1000 or size < 1e-3:
        return f"{value:.3g}"
    return f"{value:.{2 if size >= 10 else 3 if size >= 0.1 else 4}f}"


def text(words: str) -> str:
    """A paragraph."""
    return f"<p>{html.escape(words)}</p>"


def table(rows: Sequence[Mapping[str, Any]], miss: str | None = None) -> str:
    """Rows with the same columns; `miss` names a column whose False marks the row."""
    if not rows:
        return text("nothing to show")
    columns = list(rows[0])
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = []
    for row in rows:
        marked = ' class="miss"' if miss is not None and row[miss] is False else ""
        cells = "".join(f"<td>{html.escape(number_text(row[column]))}</td>" for column in columns)
        body.append(f"<tr{marked}>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def picture(path: str | Path, caption: str) -> str:
    """A PNG file, written into the page itself."""
    path = require_file(path, "picture of the report")
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    words = html.escape(caption)
    return (
        f'<figure><img alt="{words}" src="data:image/png;base64,{data}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def write_page(path: str | Path, title: str, sections: Mapping[str, Sequence[str]]) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: path of the HTML file.
        title: title of the page.
        sections: heading -> pieces made by `text`, `table` and `picture`.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for heading, pieces in sections.items():
        parts += [f"<h2>{html.escape(heading)}</h2>", *pieces]
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")
