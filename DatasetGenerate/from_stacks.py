"""Converts raw stacks and super-resolved targets of any 2D-SIM microscope into the data set tree.

    python -m DatasetGenerate.from_stacks --raw 'a/*.tif' --target 'b/*.tif' \
        --order orientation,phase --save_path DIR
    python -m DatasetGenerate.from_stacks --raw 'dim/*.mrc' --target 'sr/*.mrc' \
        --order phase,orientation --levels 4 --save_path DIR --sample MT

Files (TIFF or MRC) are taken in natural order of their paths, 2.tif before 10.tif: the first raw
file belongs to the first target, and so on; with `--levels N` the first N raw files show the field
of the first target at N signal levels. Each pair becomes a cell. A pair that does not show the same
field is refused.

`--order` states what the images of a raw file are, the slowest first: `orientation,phase` is three
phases of orientation 0, then of 1, then of 2; `phase,orientation` (interleaved) shows all three
orientations at phase 0 first. Where the fringes are strong enough, the order is checked
against them. Other numbers, such as 5 x 5, or 1 x 7 for hexagonal patterns, are converted with
`--orientations N --phases M`, but networks here are trained on 3 x 3 only.

Counts are written as they are (see `DatasetGenerate.conversion`): do not subtract a background
before. Parts: see `--cells`; without it the rule of `DatasetGenerate.from_biosr`. Run the same
command again after an interruption: what is converted stays.
"""

import argparse
import glob
import os
from pathlib import Path

from natsort import natsorted

from bayesdl_sim.data.formats.content import image_files, is_image_file
from bayesdl_sim.data.formats.opening import read_images
from bayesdl_sim.data.frame_order import ORDERS, FrameOrder
from bayesdl_sim.data.fringe_order import check_order
from bayesdl_sim.data.layouts import FRAMES
from bayesdl_sim.data.sets.layout import PARTS, SCALE
from bayesdl_sim.DatasetGenerate.conversion import Plan, Source, kind_of
from bayesdl_sim.DatasetGenerate.measured_set import Description, convert_set
from bayesdl_sim.DatasetGenerate.selection import CELLS_HELP, share_out
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import InputError, run_script, strict_bool

__all__ = ["find_files", "main", "pair_up", "parse_args"]

CHECKED = 5  # stacks whose fringes are checked


def find_files(words: list[str], option: str) -> list[Path]:
    """The files of patterns, folders and names, each once, in natural order of their paths.

    Raises:
        InputError: a word that fits nothing, or a file that is neither TIFF nor MRC.
    """
    paths = set()
    for word in words:
        if Path(word).is_dir():
            matches = set(image_files(Path(word)))
        else:
            matches = {Path(name) for name in glob.glob(word, recursive=True)}
        if not matches:
            raise InputError(f"{option}: no file matches {word!r}: check folder and name")
        paths |= matches
    for path in sorted(paths):
        if not path.is_file() or not is_image_file(path):
            raise InputError(f"{option}: {path} is not a TIFF or MRC file: save it as TIFF")
    return natsorted(paths, key=str)


def pair_up(raw: list[Path], targets: list[Path], levels: int) -> list[Source]:
    """Pairs N consecutive raw files with each target; cells and levels count from 1.

    Raises:
        InputError: the numbers do not match, or a file is both.
    """
    common = sorted(set(raw) & set(targets))
    if common:
        raise InputError(f"{common[0]} matches both --raw and --target: name different files")
    if len(raw) != levels * len(targets):
        raise InputError(
            f"found {len(raw)} raw files and {len(targets)} targets, but {levels} raw file(s) per "
            f"target make {levels * len(targets)}: complete the pairs, or give --levels"
        )
    return [
        Source(
            index + 1,
            target.name,
            {level + 1: raw[index * levels + level] for level in range(levels)},
            target,
        )
        for index, target in enumerate(targets)
    ]


def check_frame_order(sources: list[Source], order: FrameOrder) -> str:
    """Checks the order on some stacks of the brightest level; unreadable ones fail later."""
    level = max(sources[0].raw, key=lambda level: _brightness(sources[0].raw[level]))
    stacks, names = [], []
    for source in sources:
        try:
            images, _ = read_images(source.raw[level])
        except InputError:
            continue
        if len(images) == order.frames and min(images.shape[1:]) >= 16:
            stacks.append(images)
            names.append(str(source.raw[level]))
        if len(stacks) == CHECKED:
            break
    return check_order(stacks, order, names[0]) if stacks else "no stack could be read"


def _brightness(path: Path) -> float:
    try:
        return float(read_images(path)[0].mean())
    except InputError:
        return 0.0


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(
        prog="python -m DatasetGenerate.from_stacks",
        description="Converts raw stacks and their targets into a data set.",
        allow_abbrev=False,
    )
    parser.add_argument("--raw", nargs="+", required=True, help="pattern, folder or files")
    parser.add_argument(
        "--target", nargs="+", required=True, help="the same; exactly twice the raw size"
    )
    parser.add_argument(
        "--order", choices=ORDERS, required=True, help="of the images of a raw file, slowest first"
    )
    parser.add_argument(
        "--save_path", type=Path, required=True, help="new folder, or that of the same conversion"
    )
    parser.add_argument("--sample", help="name of the structure (default: that of save_path)")
    parser.add_argument("--levels", type=int, default=1, help="raw files per target (default: 1)")
    parser.add_argument("--orientations", type=int, default=3, help="patterns' directions")
    parser.add_argument("--phases", type=int, default=3, help="phases of each")
    parser.add_argument(
        "--check_order", type=strict_bool, default=True, help="ask the fringes (default: True)"
    )
    parser.add_argument("--cells", nargs="+", metavar="CELLS", help=CELLS_HELP)
    parser.add_argument(
        "--pixel_size_nm", type=float, help="of a raw pixel, where the files do not say it"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    args = parser.parse_args(argv)
    for name in ("levels", "orientations", "phases", "workers"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name}: expected at least 1, found {getattr(args, name)}")
    shape = (args.orientations, args.phases)
    if shape != (3, 3) and shape[0] * shape[1] == FRAMES:
        raise InputError(
            f"{shape[0]} orientations x {shape[1]} phases make {FRAMES} frames, which every reader "
            "here takes for 3 x 3: such a set cannot be written"
        )
    if args.pixel_size_nm is not None and not 0 < args.pixel_size_nm < float("inf"):
        raise InputError(f"--pixel_size_nm: expected a positive number, found {args.pixel_size_nm}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Pairs the files, checks their order, converts them and describes the set."""
    args = parse_args(argv)
    order = FrameOrder(args.order, args.orientations, args.phases)
    raw, targets = find_files(args.raw, "--raw"), find_files(args.target, "--target")
    sources = pair_up(raw, targets, args.levels)
    parts, parts_named = share_out(args.cells, [source.number for source in sources])
    chosen = {cell for cells in parts.values() for cell in cells}
    sources = [source for source in sources if source.number in chosen]
    verdict = check_frame_order(sources, order) if args.check_order else "not checked"
    print(f"order {order.order}: {verdict}")
    print(f"first pair: {next(iter(sources[0].raw.values()))} -> {sources[0].target}")
    kind = kind_of([source.raw[1] for source in sources])
    kind = kind._replace(pixel_size_nm=args.pixel_size_nm or kind.pixel_size_nm)
    description = Description(
        sample=args.sample or args.save_path.resolve().name,
        levels=args.levels,
        splits={part: parts[part] for part in PARTS},
        splits_named=parts_named,
        conversion={
            "program": "DatasetGenerate.from_stacks",
            "raw": sorted({str(path.parent.resolve()) for path in raw}),
            "target": sorted({str(path.parent.resolve()) for path in targets}),
            "order": list(order),
            "levels": args.levels,
            "dtype": kind.dtype,
        },
        details={"order_check": verdict, "written_order": ORDERS[0]},
    )
    plan = Plan(root=args.save_path, order=order, scale=SCALE, kind=kind)
    convert_set(description, plan, sources, {}, args.workers)
    if (order.orientations, order.phases) != (3, 3):
        print(
            f"note: networks here take 3 x 3 frames; train.py refuses this set of "
            f"{order.orientations} x {order.phases}"
        )


if __name__ == "__main__":
    run_script(main)
