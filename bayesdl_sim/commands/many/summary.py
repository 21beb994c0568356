"""The summary of a folder of stacks: a table, and a page with a thumbnail of each."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from bayesdl_sim.inference.output.map_kinds import FACTS
from bayesdl_sim.physics.patterns.estimation import FOUND
from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.folders.staging import staged
from bayesdl_sim.utils.report.page import picture, table, text, write_page

__all__ = ["CSV", "FAILED", "PAGE", "write_summary"]

CSV = "summary.csv"
PAGE = "summary.html"
FAILED = ".failed.json"  # beside the place of a result: why there is none
OVERVIEW = "Overview.png"
OTHER = "the result there is of other options, members, versions or input"
THUMBNAIL_PX = 720  # width


def write_summary(
    folder: Path, results: Mapping[str, Path], finished: Collection[str]
) -> list[dict[str, Any]]:
    """Writes `CSV` and `PAGE` into a folder, from the results that lie there.

    Args:
        results: name of every stack -> the folder of its result.
        finished: names of the stacks whose results are finished and those of this call; a result
            of other options or another input is named, and not counted.

    Returns:
        The rows of the table.
    """
    rows = [_row(name, place, folder, name in finished) for name, place in results.items()]
    with staged(folder, (CSV, PAGE), PAGE) as partial:
        with (
            atomic_path(partial / CSV) as path,
            open(path, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        _write_page(partial, rows, results)
    return rows


def _row(name: str, place: Path, folder: Path, finished: bool) -> dict[str, Any]:
    failure = None if finished else (_read(place / FAILED) or {}).get("error")
    state = "done" if finished else "failed" if failure else "missing"
    row: dict[str, Any] = {"stack": name, "state": state}
    facts = _read(place / FACTS) if finished else None
    if state == "missing" and (place / FACTS).exists():
        failure = OTHER
    verdict, source = (facts or {}).get("verdict") or {}, (facts or {}).get("source", {})
    orientations_found = _first_orientations(facts or {})
    height, width = source.get("frame_size", ("", ""))
    return row | {
        "verdict": verdict.get("decision", ""),
        "p": "" if verdict.get("p_value") is None else round(verdict["p_value"], 4),
        "reasons": failure or "; ".join(verdict.get("reasons", ())),
        "time points": source.get("time_points", ""),
        "height": height,
        "width": width,
        "raw pixel, nm": source.get("raw_pixel_size_nm") or "",
        "fringes found": orientations_found,
        "file": source.get("file", ""),
        "result": place.relative_to(folder).as_posix() if facts is not None else "",
    }


def _first_orientations(facts: Mapping[str, Any]) -> str:
    patterns = facts.get("patterns")
    if not patterns:
        return ""
    rows = patterns[0]["orientations"]
    return f"{sum(row['probability'] > FOUND for row in rows)} of {len(rows)}"


def _read(path: Path) -> dict[str, Any] | None:
    """A record beside a result; None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_page(
    partial: Path, rows: Sequence[Mapping[str, Any]], results: Mapping[str, Path]
) -> None:
    verdicts = [row["verdict"] or row["state"] for row in rows]
    counts = {word: verdicts.count(word) for word in dict.fromkeys(verdicts)}
    words = ", ".join(f"{count} {word}" for word, count in counts.items())
    shown = ("stack", "state", "verdict", "p", "time points", "fringes found", "reasons")
    lines = [{name: row[name] for name in shown} for row in rows]
    marked = [line | {"result": line["state"] == "done"} for line in lines]
    sections = {
        "Stacks": [text(f"{len(rows)} stacks: {words}."), table(marked, miss="result")],
        "Pictures": [],
    }
    for row in rows:
        overview = results[row["stack"]] / OVERVIEW
        if row["state"] == "done" and overview.is_file():
            thumbnail = _thumbnail(overview, partial / "thumbnail.png")
            sections["Pictures"].append(picture(thumbnail, f"{row['stack']}: {row['verdict']}"))
    (partial / "thumbnail.png").unlink(missing_ok=True)
    write_page(partial / PAGE, "BayesDL-SIM: summary of a folder", sections)


def _thumbnail(source: Path, path: Path) -> Path:
    with Image.open(source) as image:
        height = round(image.height * THUMBNAIL_PX / image.width)
        image.convert("RGB").resize((THUMBNAIL_PX, height), Image.Resampling.LANCZOS).save(path)
    return path
