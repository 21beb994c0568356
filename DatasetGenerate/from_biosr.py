"""Converts a structure of BioSR (or of its authors' later sets) into the data set tree.

    python -m DatasetGenerate.from_biosr --data_path BioSR/F-actin --save_path \
        DatasetGenerate/Trainingdata/F-actin
    python -m DatasetGenerate.from_biosr --data_path BioSR/CCPs --save_path \
        DatasetGenerate/Trainingdata/CCPs --bg_cut_prct 50 --cells 1-30

Run the same command again after an interruption: what is converted stays. The following
layouts are recognised, also with `seq_` instead of `level_` (beads, COS7-Lifeact):

    Cell_001/RawSIMData_level_01.mrc ...  SIM_gt.mrc          nine frames; one target for all levels
    Cell_001/RawSIMData_level_01.mrc ...  SIM_gt_a.mrc        nonlinear: 25 frames, target 3 times
    Cell_001/RawSIMData/RawSIMData_level_01.mrc ...  GTSIM/GTSIM_level_01.mrc     ER

`RawSIMData_gt.mrc` (what the target was made of) and `SIM_gt_b.mrc` (gamma 0.6) are not used.

**ER.** Its targets belong to one level each, for the living cell moves between them, so their mean
would fit none. The tree has one target per cell; each level of cell 12 thus becomes a cell of its
own, `cell_1203/level_3` for level 3. All of them go to the part of cell 12.

**Parts.** Cells 1 to 5 test, 6 to 10 validation, the rest train; with fewer than 15 cells the
shares of `data.sets.layout.split_cells`; otherwise as `--cells train=... validation=... test=...`
says.

**Background.** The camera offset of 98 counts is recorded, not subtracted: the files hold the
counts, and the normalisation takes any offset out, in float (see `DatasetGenerate.conversion`).

**`--bg_cut_prct`.** All of a target below this percentile of its pixels counts as background and
is set to that value; for CCPs, whose targets hold faint artefacts between the pits. The released
script says percentile too, but takes its number as a share of the intensity range.
"""

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path

from bayesdl_sim.data.frame_order import ORDERS, FrameOrder
from bayesdl_sim.data.sets.layout import PARTS
from bayesdl_sim.DatasetGenerate.conversion import Plan, Source, kind_of
from bayesdl_sim.DatasetGenerate.measured_set import Description, convert_set
from bayesdl_sim.DatasetGenerate.selection import CELLS_HELP, numbers_in, share_out
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError, require_folder, run_script

__all__ = ["main", "parse_args"]

BACKGROUND_COUNTS = 98
PIXEL_SIZE_NM = 62.6  # of all of BioSR, where a header does not state it
CELL = re.compile(r"cell_?(\d+)", re.IGNORECASE)
RAW = re.compile(r"RawSIMData_(?:level|seq)_(\d+)\.mrc", re.IGNORECASE)
LEVEL_TARGET = re.compile(r"GTSIM_(?:level|seq)_(\d+)\.mrc", re.IGNORECASE)
PER_LEVEL = 100  # ER: cell_1203 is level 3 of cell 12


@dataclass(frozen=True, kw_only=True)
class CellFiles:
    """What a cell's folder holds: raw files and, for ER, targets by level; else one target."""

    folder: Path
    raw: dict[int, Path]
    level_targets: dict[int, Path]
    target: Path
    nonlinear: bool


def find_cells(root: Path) -> dict[int, CellFiles]:
    """All cells of a structure by their numbers, ascending.

    Raises:
        InputError: no cell there, or two of one number.
    """
    cells = {}
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        match = CELL.fullmatch(folder.name)
        if not match:
            continue
        number = int(match[1])
        if number in cells:
            raise InputError(
                f"{folder} and {cells[number].folder.name} are both cell {number}: rename one"
            )
        cells[number] = _files_of(folder)
    if not cells:
        inside = [entry.name for entry in sorted(root.iterdir())][:4]
        raise InputError(
            f"{root} holds no folder Cell_001, Cell_002, ... but {', '.join(inside) or 'nothing'}: "
            "name the folder of one structure, such as BioSR/F-actin"
        )
    return dict(sorted(cells.items()))


def _files_of(folder: Path) -> CellFiles:
    subfolders = [folder / "RawSIMData", folder / "GTSIM"]
    places = [folder, *(place for place in subfolders if place.is_dir())]
    files = [path for place in places for path in sorted(place.iterdir())]
    nonlinear = (folder / "SIM_gt_a.mrc").is_file()
    target = folder / ("SIM_gt_a.mrc" if nonlinear else "SIM_gt.mrc")
    return CellFiles(
        folder=folder,
        raw=_by_level(files, RAW),
        level_targets=_by_level(files, LEVEL_TARGET),
        target=target,
        nonlinear=nonlinear,
    )


def _by_level(files: list[Path], pattern: re.Pattern) -> dict[int, Path]:
    files_by_level = {}
    for path in files:
        match = pattern.fullmatch(path.name)
        if match and int(match[1]) in files_by_level:
            raise InputError(
                f"{path} and {files_by_level[int(match[1])]} are the same level: remove one"
            )
        if match:
            files_by_level[int(match[1])] = path
    return files_by_level


def sources_of(
    cells: dict[int, CellFiles], levels: list[int], per_level: bool
) -> tuple[list[Source], dict[str, str]]:
    """The cells of the future tree, and the reason for each cell that lacks a file, by its name."""
    sources, failed = [], {}
    for number, cell in cells.items():
        name = cell.folder.name
        missing = _missing(cell, levels, per_level)
        if missing:
            failed[name] = missing
        elif per_level:
            sources += [
                Source(
                    PER_LEVEL * number + level,
                    f"{name} level {level}",
                    {level: cell.raw[level]},
                    cell.level_targets[level],
                )
                for level in levels
            ]
        else:
            raw = {level: cell.raw[level] for level in levels}
            sources.append(Source(number, name, raw, cell.target))
    return sources, failed


def _missing(cell: CellFiles, levels: list[int], per_level: bool) -> str | None:
    for level in levels:
        for files, what in ((cell.raw, "raw file"), (cell.level_targets, "target")):
            if level not in files and (per_level or what == "raw file"):
                return (
                    f"{cell.folder} lacks the {what} of level {level}, which other cells have: "
                    "restore it, or choose the levels by --levels"
                )
    if not per_level and not cell.target.is_file():
        return f"{cell.target} is missing: it is the target; restore it, or choose the --cells"
    return None


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(
        prog="python -m DatasetGenerate.from_biosr",
        description="Converts a structure of BioSR into a data set.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--data_path", type=Path, required=True, help="folder with Cell_001, Cell_002, ..."
    )
    parser.add_argument(
        "--save_path", type=Path, required=True, help="new folder, or that of the same conversion"
    )
    parser.add_argument("--sample", help="name of the structure (default: that of the folder)")
    parser.add_argument("--cells", nargs="+", metavar="CELLS", help=CELLS_HELP)
    parser.add_argument("--levels", help="levels to convert, such as 1-9 (default: all)")
    parser.add_argument(
        "--bg_cut_prct",
        type=float,
        default=0.0,
        help="percentile of a target below which all is background, 0 to below 100 (default: 0)",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    args = parser.parse_args(argv)
    if not 0 <= args.bg_cut_prct < 100:
        raise InputError(f"--bg_cut_prct: expected 0 to below 100, found {args.bg_cut_prct}")
    if args.workers < 1:
        raise InputError(f"--workers: expected at least 1, found {args.workers}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Finds the cells, converts them and describes the set."""
    args = parse_args(argv)
    root = require_folder(args.data_path, "folder of a structure of BioSR")
    cells = find_cells(root)
    parts, parts_named = share_out(args.cells, list(cells))
    chosen = sorted(cell for numbers in parts.values() for cell in numbers)
    cells = {number: cells[number] for number in chosen}
    available = sorted({level for cell in cells.values() for level in cell.raw})
    if not available:
        first = next(iter(cells.values())).folder
        raise InputError(f"{first} holds no RawSIMData_level_01.mrc, ...: is it a cell of BioSR?")
    levels = numbers_in(args.levels, available, "--levels") if args.levels else available
    per_level = any(cell.level_targets for cell in cells.values())
    nonlinear = any(cell.nonlinear for cell in cells.values())
    sources, failed = sources_of(cells, levels, per_level)
    order = FrameOrder(ORDERS[0], 5, 5) if nonlinear else FrameOrder(ORDERS[0])
    kind = kind_of([path for cell in cells.values() for path in list(cell.raw.values())[:1]])
    kind = kind._replace(pixel_size_nm=round(kind.pixel_size_nm or PIXEL_SIZE_NM, 3))
    plan = Plan(
        root=args.save_path,
        order=order,
        scale=3 if nonlinear else 2,
        kind=kind,
        cut_percentile=args.bg_cut_prct,
    )
    if per_level:
        parts = {
            part: [PER_LEVEL * cell + level for cell in numbers for level in levels]
            for part, numbers in parts.items()
        }
    description = Description(
        sample=args.sample or root.resolve().name,
        levels=1 if per_level else len(levels),
        splits={part: parts[part] for part in PARTS},
        splits_named=parts_named,
        conversion={
            "program": "DatasetGenerate.from_biosr",
            "source": str(root.resolve()),
            "levels": levels,
            "bg_cut_prct": args.bg_cut_prct,
            "dtype": kind.dtype,
        },
        details={
            "background_counts": BACKGROUND_COUNTS,
            "background": "part of the written counts; the normalisation takes it out",
            "target_per_level": per_level,
            "cell_number": f"{PER_LEVEL} x cell + level" if per_level else "that of the source",
        },
    )
    convert_set(description, plan, sources, failed, args.workers)
    if nonlinear:
        print("note: networks here take 9 frames; train.py refuses sets of 25 (nonlinear SIM)")


if __name__ == "__main__":
    run_script(main)
