"""What the benchmarks share with a terminal: options, Markdown tables, and result files."""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.files import atomic_path, write_json
from bayesdl_sim.utils.run_log import provenance

__all__ = ["arguments", "at_least", "markdown", "report"]


def arguments(
    name: str,
    description: str,
    network: bool = True,
    room: str = "benchmarks",
    save_path: Path | None = None,
    saved: str = "folder for JSON and CSV; none: print only",
) -> argparse.ArgumentParser:
    """The options that benchmarks have in common; figures name their room and what they save."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {room}.{name}", description=description, allow_abbrev=False
    )
    parser.add_argument("--save_path", type=Path, default=save_path, help=saved)
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's own choice)")
    if network:
        parser.add_argument(
            "--pretrained_G",
            type=Path,
            default=Path("checkpoint/F-actin/pretrained_G"),
            help="folder of members",
        )
        parser.add_argument("--members", type=int, help="use this many (default: all)")
        parser.add_argument("--tile", type=int, default=512, help="side of a tile, raw pixels")
        parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
        parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    return parser


def at_least(args: argparse.Namespace, **least: int) -> None:
    """Checks number options; sets the threads; makes the results folder before the work starts."""
    for name, lowest in {"threads": 1, "members": 1, **least}.items():
        value = getattr(args, name, None)
        if value is not None and value < lowest:
            raise InputError(f"--{name}: expected at least {lowest}, found {value}")
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.save_path is not None:
        writable_folder(args.save_path)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same columns as a Markdown table."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_text(row[column]) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    size = abs(value)
    if size >= 1000 or 0 < size < 1e-3:
        return f"{value:.3g}"
    return f"{value:.2f}" if size >= 10 else f"{value:.3f}"


def report(
    name: str,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    save_path: Path | None,
    facts: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Prints titled Markdown tables, and writes them and the single measurements to files.

    Args:
        tables: title -> rows.
        save_path: gets `<name>.json` (tables, facts, provenance), `<name>.md`, and `<name>.csv`:
            the single measurements where there are some, else the rows of the first table.
        facts: settings that the numbers depend on.
        records: one row per measurement.
    """
    text = "\n\n".join(f"### {title}\n\n{markdown(rows)}" for title, rows in tables.items())
    print(text + "\n")
    if save_path is None:
        return
    payload = {"tables": dict(tables), "facts": dict(facts), "provenance": provenance()}
    write_json(save_path / f"{name}.json", payload)
    with atomic_path(save_path / f"{name}.md") as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    rows = list(records) or next(iter(tables.values()))
    with (
        atomic_path(save_path / f"{name}.csv") as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"written to {save_path / name}.json, .csv, .md")
