"""Tables of measured rows: on the terminal, as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bayesdl_sim.utils.files import atomic_path, write_json
from bayesdl_sim.utils.report.page import number_text
from bayesdl_sim.utils.run_log import provenance

__all__ = ["markdown", "write_csv", "write_tables"]

Rows = Sequence[Mapping[str, Any]]


def markdown(rows: Rows) -> str:
    """Rows of the same columns as a Markdown table."""
    if not rows:
        return "nothing to show"
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[number_text(row[column]) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_csv(path: str | Path, rows: Rows) -> None:
    """Rows of the same columns as CSV, whole or not at all."""
    with (
        atomic_path(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_tables(
    name: str,
    tables: Mapping[str, Rows],
    folder: Path | None,
    facts: Mapping[str, Any],
    records: Rows = (),
) -> None:
    """Prints titled Markdown tables, and writes them and the single measurements to files.

    Args:
        tables: title -> rows.
        folder: gets `<name>.json` (tables, facts, provenance), `<name>.md`, and `<name>.csv`: the
            single measurements where there are some, else the rows of the first table. None: the
            tables are only printed.
        facts: settings that the numbers depend on.
        records: one row per measurement.
    """
    text = "\n\n".join(f"### {title}\n\n{markdown(rows)}" for title, rows in tables.items())
    print(text + "\n")
    if folder is None:
        return
    payload = {"tables": dict(tables), "facts": dict(facts), "provenance": provenance()}
    write_json(folder / f"{name}.json", payload)
    with atomic_path(folder / f"{name}.md") as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    write_csv(folder / f"{name}.csv", records or next(iter(tables.values())))
    print(f"written to {folder / name}.json, .csv, .md")
