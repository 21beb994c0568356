"""Writes measured cells into the data set tree: each whole or not at all, and resumable.

Both converters share this module. A cell is read and checked completely before anything of it is
written. Then its folders WF, Raw and GT are each filled under a hidden name, `.cell_i.partial`, and
renamed. A killed run therefore leaves whole folders and hidden ones, and the next run fills what is
missing. Nothing is ever deleted.

Counts are written as they were measured: as uint16 if those of the set are whole numbers that fit,
else as float32. No background is subtracted, since it would change nothing: `data.normalise` maps
`x -> (x - low) / (high - low)` with percentiles of the whole field, and `x - 98` has percentiles
`low - 98` and `high - 98`; the target is tied to the counts by a fit with an offset. So the
network input is the same, in float, and the counts themselves stay in the files.
"""

import errno
import sys
from collections import Counter
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from tqdm import tqdm

from bayesdl_sim.data.counts import check_counts
from bayesdl_sim.data.formats.opening import read_images
from bayesdl_sim.data.frame_order import FrameOrder
from bayesdl_sim.data.normalise import Normalisation, target_normalisation
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.DatasetGenerate.workers import worker_pool
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import naming, read_json, write_json

__all__ = ["Kind", "Plan", "Source", "convert", "kind_of", "refuse_other_files"]

LARGEST_COUNT = 65535
PROBED = 5  # files that decide size and type of a set


class Source(NamedTuple):
    """One cell of the future tree, and the files it is made from.

    `number`: its number in the tree. `name`: its name in messages. `raw`: level -> file.
    """

    number: int
    name: str
    raw: dict[int, Path]
    target: Path


class Kind(NamedTuple):
    """What all raw files of a set have in common; `pixel_size_nm` is None if not stated."""

    size: tuple[int, int]
    dtype: str
    pixel_size_nm: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How every cell is converted.

    `order`: order of the images in a raw file. `scale`: target pixels per raw pixel along a side.
    `kind.pixel_size_nm` goes into the TIFF files. `cut_percentile`: percentile of a target
    below which all of it counts as background; 0 changes nothing.
    """

    root: Path
    order: FrameOrder
    scale: int
    kind: Kind
    cut_percentile: float = 0.0


def kind_of(paths: list[Path]) -> Kind:
    """The size, type and pixel size that most of the first readable files have.

    Raises:
        InputError: none of them can be read; the first one's reason.
    """
    kinds, reason = [], None
    for path in paths:
        try:
            images, pixel_size_nm = read_images(path)
        except InputError as error:
            reason = reason or error
            continue
        dtype = "uint16" if _fits_uint16(images) else "float32"
        kinds.append(Kind(images.shape[1:], dtype, pixel_size_nm))
        if len(kinds) == PROBED:
            break
    if not kinds:
        raise reason or InputError("no raw file was found")
    size = Counter(kind.size for kind in kinds).most_common(1)[0][0]
    dtype = "float32" if any(kind.dtype == "float32" for kind in kinds) else "uint16"
    return Kind(size, dtype, next((k.pixel_size_nm for k in kinds if k.pixel_size_nm), None))


def convert(
    plan: Plan, sources: list[Source], workers: int
) -> tuple[dict[int, dict[str, Any]], dict[str, str]]:
    """Converts all cells, several at a time.

    Returns:
        Facts of each converted cell by its number, and the reason of each that failed by its name.
    """
    done, failed = {}, {}
    with worker_pool(min(workers, len(sources))) as pool:
        tasks = {pool.submit(convert_cell, plan, source): source for source in sources}
        for task in counted(as_completed(tasks), "converting", len(tasks), unit="cell"):
            _collect(task, tasks[task], done, failed)
    return done, failed


def _collect(task: Future, source: Source, done: dict, failed: dict) -> None:
    try:
        done[source.number] = task.result()
    except InputError as error:
        failed[source.name] = str(error)
        tqdm.write(f"{source.name} is left out: {error}", file=sys.stderr)


def convert_cell(plan: Plan, source: Source) -> dict[str, Any]:
    """Converts one cell, or finds that it has been; returns the facts of its `source.json`.

    Raises:
        InputError: a file of the cell is damaged or does not fit; nothing of it is written then.
    """
    tree = DatasetTree(plan.root, plan.order.frames)
    cell = source.number
    wf, raw, gt = homes = (
        tree.wf_path(cell, 1).parent,
        tree.raw_folder(cell, 1).parent,
        tree.gt_path(cell).parent,
    )
    if all(folder.is_dir() for folder in homes):
        return _finished(tree, source, plan.kind.size[0] * plan.kind.size[1])
    stacks = {level: _read_raw(plan, path) for level, path in sorted(source.raw.items())}
    target, facts = _read_target(plan, source.target)
    fields = {level: stack.mean(axis=0, dtype=np.float32) for level, stack in stacks.items()}
    _check_same_field(plan, target, sum(fields.values()) / len(fields), source.target)
    images = {tree.wf_path(cell, level): field for level, field in fields.items()}
    _fill(wf, images, plan.kind.pixel_size_nm)
    images = {}
    for level, stack in stacks.items():
        images.update(zip(tree.raw_paths(cell, level), stack, strict=True))
    _fill(raw, images, plan.kind.pixel_size_nm)
    facts = {**_names(source), **facts}
    pixel = plan.kind.pixel_size_nm
    record = {tree.source_path(cell): facts, tree.gt_path(cell): target}
    _fill(gt, record, pixel and pixel / plan.scale)
    return facts


def _names(source: Source) -> dict[str, Any]:
    """Folder and name of every file, enough to notice that a cell was made of other files."""
    short = {path: f"{path.parent.name}/{path.name}" for path in source.raw.values()}
    return {
        "source": source.name,
        "raw": {str(level): short[path] for level, path in source.raw.items()},
        "target": f"{source.target.parent.name}/{source.target.name}",
    }


def refuse_other_files(tree: DatasetTree, sources: list[Source]) -> None:
    """Refuses a set, before anything is written, whose cells were made from other files.

    Raises:
        InputError: the first such cell.
    """
    for source in sources:
        path = tree.source_path(source.number)
        record = read_json(path) if path.is_file() else _names(source)
        for key, value in _names(source).items():
            if record.get(key) != value:
                raise InputError(
                    f"{path}: cell {source.number} was made from other files ({key} "
                    f"{record.get(key)}, now {value}): name a new folder, so that two data sets "
                    "never mix"
                )


def _finished(tree: DatasetTree, source: Source, pixels: int) -> dict[str, Any]:
    paths = [path for level in source.raw for path in tree.raw_paths(source.number, level)]
    for path in (*paths, tree.gt_path(source.number)):
        # After a power failure a file may have its name, but not its content.
        if not path.is_file() or path.stat().st_size < pixels:
            raise InputError(
                f"{path} is missing or empty in a cell that was complete: restore it, or delete "
                f"the folders cell_{source.number} of Raw, GT and WF to have the cell made again"
            )
    return read_json(tree.source_path(source.number))


def _read_raw(plan: Plan, path: Path) -> np.ndarray:
    """Counts (N M, H, W) of one level, orientation-major, in the type of the set."""
    images, _ = read_images(path)
    order = plan.order
    if len(images) != order.frames:
        raise InputError(
            f"{path} holds {len(images)} images, but {order.frames} ({order.orientations} "
            f"orientations x {order.phases} phases) were expected: check the file"
        )
    if images.shape[1:] != tuple(plan.kind.size):
        raise InputError(
            f"{path} holds frames of {images.shape[1]}x{images.shape[2]} px, but those of the set "
            f"are {plan.kind.size[0]}x{plan.kind.size[1]} px: a data set has one size"
        )
    check_counts(images, path)
    if plan.kind.dtype == "uint16" and not _fits_uint16(images):
        raise InputError(
            f"{path} holds {images.dtype} values that are not whole numbers up to "
            f"{LARGEST_COUNT}, as those of the set are: save all raw files in one type"
        )
    return order.orientation_major(images.astype(plan.kind.dtype))


def _fits_uint16(images: np.ndarray) -> bool:
    if images.dtype in (np.uint8, np.uint16):
        return True
    return bool(((images == np.rint(images)) & (images >= 0) & (images <= LARGEST_COUNT)).all())


def _read_target(plan: Plan, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    images, _ = read_images(path)
    if len(images) != 1:
        raise InputError(f"{path} holds {len(images)} images, but a target is a single one")
    target = images[0]
    height, width = (plan.scale * side for side in plan.kind.size)
    if target.shape != (height, width):
        raise InputError(
            f"{path} is {target.shape[0]}x{target.shape[1]} px, but a target is exactly "
            f"{plan.scale} times its raw frames, {height}x{width} px: check which file to use"
        )
    if target.dtype not in (np.uint8, np.uint16, np.float32):
        target = target.astype(np.float32)
    if not np.isfinite(target).all() or target.min() == target.max():
        raise InputError(f"{path} is constant or holds NaN or infinite values: make it again")
    if not plan.cut_percentile:
        return target, {}
    cut = np.percentile(target, plan.cut_percentile).astype(target.dtype)
    return np.maximum(target, cut), {"target_cut_at": float(cut)}


def _check_same_field(plan: Plan, target: np.ndarray, wide_field: np.ndarray, path: Path) -> None:
    """The check of training, made before the set is written; on the mean of all levels."""
    height, width = wide_field.shape
    shape = (height, plan.scale, width, plan.scale)
    binned = target.reshape(shape).mean(axis=(1, 3))
    doubled = binned.repeat(2, axis=0).repeat(2, axis=1)
    target_normalisation(doubled, wide_field, Normalisation(0.0, 1.0), str(path))


def _fill(folder: Path, content: dict[Path, Any], pixel_size_nm: float | None) -> None:
    """Writes a folder's files under its hidden name, then gives it its own; kept if it is there.

    Args:
        content: final path -> image (H, W), or a dictionary for a `.json`.
    """
    if folder.is_dir():
        return
    partial = folder.with_name(f".{folder.name}.partial")
    for path, item in content.items():
        place = partial / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            write_json(place, item)
        else:
            _write_image(place, item, pixel_size_nm)
    try:
        partial.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
        raise InputError(
            f"{folder}: another run is writing it; wait until that has ended"
        ) from error


def _write_image(path: Path, image: np.ndarray, pixel_size_nm: float | None) -> None:
    per_cm = None if pixel_size_nm is None else (1e7 / pixel_size_nm,) * 2
    unit = None if pixel_size_nm is None else "CENTIMETER"
    with naming(path):
        tifffile.imwrite(
            path, image, resolution=per_cm, resolutionunit=unit, metadata=None, software=False
        )
