"""A set of measured cells from its first file to its last: claimed, converted, described, resumed.

`dataset.json` is written first, with all cells that are to come and `"complete": false`, and once
more at the end with the cells that are there. Its entry "conversion" records the files and
settings that the folder belongs to. A run with others is refused, the same run goes on.
"""

import sys
from dataclasses import dataclass, replace
from typing import Any

from bayesdl_sim.data.sets.layout import PARTS, DatasetSpec, DatasetTree
from bayesdl_sim.DatasetGenerate.conversion import Plan, Source, convert, refuse_other_files
from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.folders.lock import owned_folder

__all__ = ["Description", "convert_set"]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the set is.

    `splits`: the cells of each part, in numbers of the tree. `splits_named`: whether the user gave
    them. `conversion`: what must be the same for a run to go on. `details`: further entries.
    """

    sample: str
    levels: int
    splits: dict[str, list[int]]
    splits_named: bool
    conversion: dict[str, Any]
    details: dict[str, Any]


def convert_set(
    description: Description,
    plan: Plan,
    sources: list[Source],
    failed: dict[str, str],
    workers: int,
) -> None:
    """Converts what is not converted yet, and writes `dataset.json`.

    Args:
        failed: cells that are known to be incomplete, by name, with the reason.

    Raises:
        InputError: the folder belongs to something else (nothing is written then), or cells were
            left out (all others are converted then).
    """
    root = writable_folder(plan.root)
    _claim(DatasetTree(root, plan.order.frames), description)  # refuses before it writes a lock
    with owned_folder(root):
        _convert_set(description, plan, sources, failed, workers)


def _convert_set(
    description: Description,
    plan: Plan,
    sources: list[Source],
    failed: dict[str, str],
    workers: int,
) -> None:
    tree = DatasetTree(plan.root, plan.order.frames)
    _claim(tree, description)
    refuse_other_files(tree, sources)
    _write_spec(tree, description, plan, {"complete": False})
    done, damaged = convert(plan, sources, workers) if sources else ({}, {})
    failed = {**failed, **damaged}
    present = {*done, *_present(tree)}  # a cell of an earlier run stays, whatever became of it
    splits = {
        part: [cell for cell in cells if cell in present]
        for part, cells in description.splits.items()
    }
    facts = {
        "complete": not failed,
        "left_out": failed,
        "cells": {str(number): facts for number, facts in sorted(done.items())},
    }
    _write_spec(tree, replace(description, splits=splits), plan, facts)
    shares = ", ".join(f"{len(splits[part])} {part}" for part in PARTS)
    print(f"{len(done)} cells in {plan.root} ({shares})")
    if failed:
        for name, reason in sorted(failed.items()):
            print(f"  {name}: {reason}", file=sys.stderr)
        raise InputError(
            f"{len(failed)} of {len(failed) + len(done)} cells were left out, for the reasons "
            "above; the others are converted. Fix the files and run the same command again"
        )


def _claim(tree: DatasetTree, description: Description) -> None:
    """Takes an empty folder, or goes on with one of the same set."""
    root = tree.root
    if not tree.spec_path.is_file():
        names = [path.name for path in root.iterdir() if not path.name.startswith(".")]
        if names:
            raise InputError(
                f"{root} is not empty (it holds {names[0]}) and is not a converted set: name a "
                "new folder, so that two data sets never mix"
            )
        return
    spec = DatasetSpec.from_json(tree.spec_path)
    record = spec.details.get("conversion", {"program": spec.details.get("generator", "another")})
    for key, value in description.conversion.items():
        if record.get(key) != value:
            raise InputError(
                f"{root} holds another data set ({key} {record.get(key)}, now {value}): name a new "
                "folder, so that two data sets never mix"
            )
    _keep_cells(tree, spec, description)


def _keep_cells(tree: DatasetTree, spec: DatasetSpec, description: Description) -> None:
    """Existing cells stay, and stay in their part unless the user names the parts."""
    new_parts = {cell: part for part, cells in description.splits.items() for cell in cells}
    old_parts = {cell: part for part, cells in spec.splits.items() for cell in cells}
    for cell in _present(tree):
        if cell not in new_parts:
            raise InputError(
                f"{tree.root} already holds cell {cell}, which is not among the chosen ones: "
                "choose it too, or name a new folder"
            )
        if not description.splits_named and old_parts.get(cell, new_parts[cell]) != new_parts[cell]:
            raise InputError(
                f"{tree.root}: with these cells, cell {cell} would move from {old_parts[cell]} to "
                f"{new_parts[cell]}; name the parts by --cells train=... validation=... test=..."
            )


def _present(tree: DatasetTree) -> list[int]:
    return tree.cells() if any(tree.root.glob("Raw/cell_*")) else []


def _write_spec(
    tree: DatasetTree, description: Description, plan: Plan, facts: dict[str, Any]
) -> None:
    DatasetSpec(
        sample=description.sample,
        microscope="fixed",
        size=tuple(plan.kind.size),
        levels=description.levels,
        cells=sum(len(cells) for cells in description.splits.values()),
        pixel_size_nm=plan.kind.pixel_size_nm,
        seed=None,
        splits=description.splits,
        details={
            "generator": description.conversion["program"],
            "conversion": description.conversion,
            **description.details,
            **facts,
        },
        frames=plan.order.frames,
        scale=plan.scale,
    ).to_json(tree.spec_path)
