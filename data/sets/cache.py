"""A memory-mapped copy of a data set: every TIFF of the tree is decoded only once.

    <cache_dir>/<key>/index.json   stacks, their scales, and the folder they came from
    <cache_dir>/<key>/raw.npy      (stacks, 9, H, W) uint16, or float32 where the frames are not
    <cache_dir>/<key>/target.npy   (cells, 2H, 2W) float32

The key is a hash of the name, size and modification time of every file, so a changed tree gets a
new copy and the old one is removed. The system pages the maps in and out; 50 cells x 9 levels at
502x502 take 2.2 GB of disk and no memory that it cannot take back.
"""

import hashlib
import shutil
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayesdl_sim.data.counts import check_counts
from bayesdl_sim.data.formats.tiff import read_image, tiff_header
from bayesdl_sim.data.layouts import FRAMES
from bayesdl_sim.data.normalise import Normalisation, normalisation_of, target_normalisation
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.data.sets.room import require_room
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.schema import anything, list_of, number, read_record, text, whole

__all__ = ["Cache", "CachedStack", "open_cache", "stored_array", "stored_cache"]

VERSION = 2
STALE_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class CachedStack:
    """One (cell, level) pair: its rows in the two maps and its two scales."""

    cell: int
    level: int
    raw_row: int
    target_row: int
    norm: Normalisation
    target_norm: Normalisation


@dataclass(frozen=True, kw_only=True, eq=False)
class Cache:
    """The maps: raw (stacks, 9, H, W) in counts, target (cells, 2H, 2W) in its own units.

    `folder` is where they lie, and where more about the same stacks may be kept; `sha256` is the
    hash of all that the maps hold.
    """

    raw: np.ndarray
    target: np.ndarray
    stacks: list[CachedStack]
    folder: Path
    sha256: str


def open_cache(tree: DatasetTree, cache_dir: str | Path | None = None) -> Cache:
    """Opens the copy of a tree, making it first where there is none.

    Args:
        tree: a complete data set.
        cache_dir: where copies live; default `.cache` inside the tree.

    Raises:
        InputError: incomplete tree, unreadable or unsuitable image, no room for the copy.
    """
    pairs = tree.stacks()
    home = Path(cache_dir) if cache_dir is not None else tree.root / ".cache"
    folder = home / _key(tree, pairs)
    cache = stored_cache(folder)
    if cache is None:
        _build(tree, pairs, home, folder)
        cache = stored_cache(folder)
    if cache is None:
        raise InputError(f"{folder} was written but cannot be read back: check the disk")
    return cache


def _key(tree: DatasetTree, pairs: list[tuple[int, int]]) -> str:
    paths = [path for cell, level in pairs for path in tree.raw_paths(cell, level)]
    paths += [tree.gt_path(cell) for cell in sorted({cell for cell, _ in pairs})]
    digest = hashlib.sha256(f"version {VERSION}".encode())
    for path in paths:
        stat = path.stat()
        entry = f"{path.relative_to(tree.root)}|{stat.st_size}|{stat.st_mtime_ns}\n"
        digest.update(entry.encode())
    return digest.hexdigest()[:16]


def stored_cache(folder: Path) -> Cache | None:
    """The finished copy in `folder`; None where there is none or it is damaged."""
    try:
        index = read_record(folder / "index.json", _INDEX)
    except InputError:
        return None
    raw, target = (stored_array(folder / f"{name}.npy") for name in ("raw", "target"))
    if raw is None or target is None:
        return None
    cache = Cache(
        raw=raw,
        target=target,
        stacks=[_stack(row) for row in index["stacks"]],
        folder=folder,
        sha256=index["sha256"],
    )
    return cache if _fits(cache) else None


def stored_array(path: Path) -> np.ndarray | None:
    """The array of a `.npy` file, memory-mapped; None where there is none or it is damaged."""
    try:
        return np.load(path, mmap_mode="r")
    except MemoryError:
        raise
    except Exception:  # a broken header fails in as many ways as Python code can be broken
        return None


def _row(value: Any, place: str) -> list[Any]:
    """One stack of the index: cell, level, two rows, two scales of a positive range."""
    row = list_of(anything(), length=6)(value, place)
    numbers = [whole(0)(entry, place) for entry in row[:4]]
    scales = [list_of(number(), length=2)(entry, place) for entry in row[4:]]
    for low, high in scales:
        number(above=0)(high - low, place)
    return [*numbers, *scales]


def _stack(row: list[Any]) -> CachedStack:
    """The stack of a checked row of the index."""
    cell, level, raw_row, target_row, norm, target_norm = row
    return CachedStack(
        cell=cell,
        level=level,
        raw_row=raw_row,
        target_row=target_row,
        norm=Normalisation(*norm),
        target_norm=Normalisation(*target_norm),
    )


_INDEX = {"sha256": text(), "stacks": list_of(_row, least=1)}


def _fits(cache: Cache) -> bool:
    """Whether the maps have the shapes and types that the index and each other need."""
    raw, target = cache.raw, cache.target
    if raw.ndim != 4 or raw.shape[1] != FRAMES or len(raw) != len(cache.stacks):
        return False
    height, width = raw.shape[2:]
    shapes = target.shape[1:] == (2 * height, 2 * width)
    types = raw.dtype in (np.uint16, np.float32) and target.dtype == np.float32
    return (
        shapes
        and types
        and [stack.raw_row for stack in cache.stacks] == list(range(len(raw)))
        and {stack.target_row for stack in cache.stacks} == set(range(len(target)))
    )


def _build(tree: DatasetTree, pairs: list[tuple[int, int]], home: Path, folder: Path) -> None:
    """Decodes the tree into a temporary folder, which then takes its place in one step."""
    shape, kind = tiff_header(tree.raw_paths(*pairs[0])[0])
    size = shape[1:]
    dtype = np.dtype(np.uint16 if kind in (np.uint8, np.uint16) else np.float32)
    cells = len({cell for cell, _ in pairs})
    needed = size[0] * size[1] * (len(pairs) * 9 * dtype.itemsize + cells * 4 * 4)
    require_room(home, needed, "the memory-mapped copy of the set")
    _remove_leftovers(tree, home, folder)
    building = Path(tempfile.mkdtemp(prefix=f"{folder.name}.building-", dir=home))
    try:
        stacks, content = _decode(tree, pairs, building, size, dtype)
        index = {"root": str(tree.root.resolve()), "sha256": content}
        write_json(
            building / "index.json", {**index, "stacks": [astuple(stack) for stack in stacks]}
        )
        if stored_cache(folder) is None:  # else another process finished the same copy first
            shutil.rmtree(folder, ignore_errors=True)  # a damaged copy
            building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _decode(
    tree: DatasetTree, pairs: list[tuple[int, int]], building: Path, size: tuple, dtype: np.dtype
) -> tuple[list[CachedStack], str]:
    """Writes both maps; returns what they hold, and the SHA-256 of it in this order."""
    height, width = size
    cells = sorted({cell for cell, _ in pairs})
    stacks, target, digest = [], None, hashlib.sha256()
    # Plain writes instead of a writable map: a full disk is then an error, not a crash.
    with (building / "raw.npy").open("wb") as raw_file, (building / "target.npy").open("wb") as gt:
        _npy_header(raw_file, (len(pairs), 9, height, width), dtype)
        _npy_header(gt, (len(cells), 2 * height, 2 * width), np.dtype(np.float32))
        for row, (cell, level) in enumerate(counted(pairs, "reading the set", unit="stack")):
            if not stacks or stacks[-1].cell != cell:
                first = tree.raw_paths(cell, level)[0]
                _require_size(first, tiff_header(first)[0][1:], size)  # before its target
                target = _read_target(tree.gt_path(cell), size)
                gt.write(target.tobytes())
                digest.update(f"cell {cell} {target.shape}".encode() + target.tobytes())
            raw = _read_raw(tree.raw_paths(cell, level), size, dtype)
            raw_file.write(raw.tobytes())
            digest.update(f"level {level} {raw.dtype}".encode() + raw.tobytes())
            norm = normalisation_of(raw, str(tree.raw_folder(cell, level)))
            wide_field = raw.mean(axis=0, dtype=np.float64)
            target_norm = target_normalisation(target, wide_field, norm, str(tree.gt_path(cell)))
            stack = CachedStack(
                cell=cell,
                level=level,
                raw_row=row,
                target_row=cells.index(cell),
                norm=norm,
                target_norm=target_norm,
            )
            stacks.append(stack)
    return stacks, digest.hexdigest()


def _read_raw(paths: list[Path], size: tuple, dtype: np.dtype) -> np.ndarray:
    stack = np.empty((len(paths), *size), dtype)
    for frame, path in zip(stack, paths, strict=True):
        image = read_image(path)
        _require_size(path, image.shape, size)
        if dtype == np.uint16 and not np.can_cast(image.dtype, dtype):
            raise InputError(
                f"{path} holds {image.dtype} values, but the frames before it are 16-bit "
                "integers: save all raw frames of a data set in one type"
            )
        frame[:] = image
    check_counts(stack, paths[0].parent)
    return stack


def _require_size(path: Path, found: tuple, size: tuple) -> None:
    if tuple(found) != tuple(size):
        raise InputError(
            f"{path} is {found[0]}x{found[1]} px, but the frames before it are {size[0]}x{size[1]} "
            "px: all raw frames of a data set have the same size; crop the larger cells with their "
            "targets, or make a set of each size"
        )


def _read_target(path: Path, size: tuple) -> np.ndarray:
    target = read_image(path).astype(np.float32)
    expected = (2 * size[0], 2 * size[1])
    if target.shape != expected:
        raise InputError(
            f"{path} is {target.shape[0]}x{target.shape[1]} px, but a target is exactly twice "
            f"its raw frames, {expected[0]}x{expected[1]} px: resample it"
        )
    if not np.isfinite(target).all():
        raise InputError(f"{path} holds NaN or infinite values: make the target again")
    if target.min() == target.max():
        raise InputError(f"{path} is constant (every pixel is {target.flat[0]:g}): make it again")
    return target


def _npy_header(file, shape: tuple, dtype: np.dtype) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _remove_leftovers(tree: DatasetTree, home: Path, folder: Path) -> None:
    """Removes copies of earlier states of this tree, and half-made ones of killed processes."""
    root = str(tree.root.resolve())
    for index in home.glob("*/index.json"):
        try:
            outdated = read_json(index).get("root") == root and index.parent != folder
        except InputError:
            continue
        if outdated:
            shutil.rmtree(index.parent, ignore_errors=True)
    for half in home.glob("*.building-*"):
        newest = max((path.stat().st_mtime for path in half.glob("*")), default=0.0)
        if time.time() - newest > STALE_SECONDS:
            shutil.rmtree(half, ignore_errors=True)
