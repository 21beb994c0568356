"""The folder tree of a data set. Its folder and file names are defined here only.

    root/dataset.json                   what the set is, every parameter that made it
    root/Raw/cell_i/level_j/1..9.tif    nine raw frames, orientation-major; i, j count from 1
    root/GT/cell_i/gt.tif               super-resolved target, exactly twice the raw size
    root/GT/cell_i/source.json          in converted sets: the files that the cell was made from
    root/WF/cell_i/level_j.tif          wide field, for people to look at; never read back

This is the tree of the original BayesDL-SIM scripts, so sets that people already made still train.
"""

import re
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path

from bayesdl_sim.data.formats.tiff import tiff_header
from bayesdl_sim.data.layouts import FRAMES
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.schema import (
    anything,
    checked,
    list_of,
    mapping_of,
    maybe,
    number,
    optional,
    text,
    whole,
)

__all__ = ["PARTS", "SCALE", "DatasetSpec", "DatasetTree", "split_cells"]

PARTS = ("train", "validation", "test")
SCALE = 2
OPTIONAL = ("details", "frames", "scale")  # entries that older files lack


@dataclass(frozen=True)
class DatasetSpec:
    """Description of a data set; the content of `dataset.json`.

    Attributes:
        sample: name of the structure, e.g. "F-actin".
        microscope: "random" (another for every cell) or "fixed" (one instrument). Flips and
            turns are legal augmentation only where it is random.
        size: raw frame size (H, W) in pixels.
        levels, cells: how many signal levels per cell and how many cells.
        pixel_size_nm: raw pixel size, None where unknown or different from cell to cell.
        seed: seed of the generator, None for measured data.
        splits: cell numbers of each part, keys "train", "validation", "test".
        details: every further parameter of the generator.
        frames, scale: raw frames per stack and target pixels per raw pixel along a side. Other
            than 9 and 2 can be written (nonlinear SIM: 25 and 3), but not yet trained on.
    """

    sample: str
    microscope: str
    size: tuple[int, int]
    levels: int
    cells: int
    pixel_size_nm: float | None
    seed: int | None
    splits: dict[str, list[int]]
    details: dict = field(default_factory=dict)
    frames: int = FRAMES
    scale: int = SCALE

    def to_json(self, path: str | Path) -> None:
        """Writes the spec to `path`, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def from_json(cls, path: str | Path) -> "DatasetSpec":
        """Reads a spec back.

        Raises:
            InputError: broken file, a missing entry, or parts that share a cell.
        """
        payload = read_json(path)
        names = [entry.name for entry in fields(cls)]
        missing = [name for name in names if name not in OPTIONAL and name not in payload]
        if missing:
            raise InputError(
                f"{path} lacks the entries {', '.join(missing)}: write it again with "
                "DatasetGenerate, or delete it to have the set described from its folders"
            )
        payload = checked(payload, _KINDS, path, "data set")
        spec = cls(**{name: payload[name] for name in names if name in payload})
        _check_spec(spec, path)
        object.__setattr__(spec, "size", tuple(spec.size))  # JSON has no tuples
        return spec


def split_cells(cells: list[int]) -> dict[str, list[int]]:
    """Shares cells out to three disjoint parts: the first to test, the next to validation.

    From 15 cells on test and validation get a tenth each, below that a sixth (12 cells -> 8
    train, 2 validation, 2 test), always at least one. Whole cells are shared out, because the
    signal levels of one cell show the same structure.

    Raises:
        InputError: fewer than three cells.
    """
    cells = sorted(cells)
    if len(cells) < len(PARTS):
        raise InputError(
            f"found {len(cells)} cell(s), but training, validation and test need at least one "
            "each: make a data set of 3 cells or more"
        )
    few = (len(cells) + 5) // 10 if len(cells) >= 15 else max(1, len(cells) // 6)
    return {
        "train": cells[2 * few :],
        "validation": cells[few : 2 * few],
        "test": cells[:few],
    }


class DatasetTree:
    """Paths of everything in one data set, for its writers and its readers.

    Args:
        root: the folder that holds (or will hold) `Raw`, `GT` and `WF`.
        frames: raw frames per stack.
    """

    def __init__(self, root: str | Path, frames: int = FRAMES):
        self.root = Path(root)
        self.frames = frames

    @property
    def spec_path(self) -> Path:
        """`dataset.json`."""
        return self.root / "dataset.json"

    def raw_folder(self, cell: int, level: int) -> Path:
        """The folder of the nine frames of one stack."""
        return self.root / "Raw" / f"cell_{cell}" / f"level_{level}"

    def raw_paths(self, cell: int, level: int) -> list[Path]:
        """The nine frames of one stack in their order, whether they exist or not."""
        return [self.raw_folder(cell, level) / f"{n}.tif" for n in range(1, self.frames + 1)]

    def gt_path(self, cell: int) -> Path:
        """The super-resolved target of a cell, common to its levels."""
        return self.root / "GT" / f"cell_{cell}" / "gt.tif"

    def source_path(self, cell: int) -> Path:
        """File that names the sources of a converted cell; beside its target."""
        return self.root / "GT" / f"cell_{cell}" / "source.json"

    def wf_path(self, cell: int, level: int) -> Path:
        """The wide field of one stack (the mean of its nine frames)."""
        return self.root / "WF" / f"cell_{cell}" / f"level_{level}.tif"

    def cells(self) -> list[int]:
        """Cell numbers found on disk, ascending; gaps are fine.

        Raises:
            InputError: no `Raw` folder or no cell in it.
        """
        return _numbered(self.root / "Raw", "cell")

    def levels(self, cell: int) -> list[int]:
        """Signal levels of one cell found on disk, ascending; gaps are fine."""
        return _numbered(self.root / "Raw" / f"cell_{cell}", "level")

    def stacks(self) -> list[tuple[int, int]]:
        """All (cell, level) pairs, every file of which is there.

        Raises:
            InputError: a missing frame or target, by its path.
        """
        pairs = []
        for cell in self.cells():
            pairs += [(cell, level) for level in self.levels(cell)]
            _require(self.gt_path(cell), "the target (twice the raw size)")
        for cell, level in pairs:
            for path in self.raw_paths(cell, level):
                _require(path, "a raw frame (nine frames 1.tif to 9.tif make a stack)")
        return pairs

    @cached_property
    def spec(self) -> DatasetSpec:
        """The content of `dataset.json`, or a description inferred from the folders.

        A tree without `dataset.json` was made by others: its microscope counts as fixed (no
        flips, no turns) and its cells are split by `split_cells`.

        Raises:
            InputError: `dataset.json` and the folders name different cells.
        """
        cells = self.cells()
        if not self.spec_path.is_file():
            return self._inferred(cells)
        spec = DatasetSpec.from_json(self.spec_path)
        listed = sorted(cell for part in PARTS for cell in spec.splits[part])
        if listed != cells:
            odd = sorted(set(listed) ^ set(cells))
            raise InputError(
                f"{self.spec_path} and the folders of {self.root / 'Raw'} disagree about cell "
                f"{odd[0]} ({len(listed)} cells listed, {len(cells)} found): restore the missing "
                'cells or correct the "splits" in the file'
            )
        return spec

    def _inferred(self, cells: list[int]) -> DatasetSpec:
        first = self.raw_paths(cells[0], self.levels(cells[0])[0])[0]
        _require(first, "a raw frame (nine frames 1.tif to 9.tif make a stack)")
        return DatasetSpec(
            sample=self.root.resolve().name,
            microscope="fixed",
            size=tiff_header(first)[0][1:],
            levels=max(len(self.levels(cell)) for cell in cells),
            cells=len(cells),
            pixel_size_nm=None,
            seed=None,
            splits=split_cells(cells),
        )


_CELLS = list_of(whole(least=1))
_KINDS = {
    "sample": text(),
    "microscope": text(),
    "size": list_of(whole(least=1), length=2),
    "levels": whole(least=1),
    "cells": whole(least=1),
    "pixel_size_nm": maybe(number(above=0)),
    "seed": maybe(whole(least=0)),
    "splits": mapping_of(_CELLS),
    "details": optional(mapping_of(anything())),
    "frames": optional(whole(least=1)),
    "scale": optional(whole(least=1)),
}


def _check_spec(spec: DatasetSpec, path: str | Path) -> None:
    if spec.microscope not in ("random", "fixed"):
        raise InputError(f'{path}: "microscope" is {spec.microscope!r}, not "random" or "fixed"')
    splits = spec.splits if isinstance(spec.splits, dict) else {}
    if set(splits) != set(PARTS) or not all(isinstance(cells, list) for cells in splits.values()):
        raise InputError(f'{path}: "splits" must list the cells of {", ".join(PARTS)}')
    listed = [cell for part in PARTS for cell in splits[part]]
    twice = sorted({cell for cell in listed if listed.count(cell) > 1})
    if twice:
        raise InputError(
            f"{path} puts cell {twice[0]} into two parts: a cell belongs to train, validation "
            'or test; correct the "splits"'
        )


def _numbered(folder: Path, stem: str) -> list[int]:
    if not folder.is_dir():
        raise InputError(
            f"{folder} is missing: a data set has the folders Raw/cell_i/level_j and GT/cell_i; "
            "check the path, or make a set with python -m DatasetGenerate.from_simulation"
        )
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    padded = [name for name in names if re.fullmatch(rf"{stem}_0\d*", name)]
    if padded:
        raise InputError(f"{folder / padded[0]}: folders count from {stem}_1, without leading 0")
    matches = [re.fullmatch(rf"{stem}_(\d+)", name) for name in names]
    numbers = sorted(int(match[1]) for match in matches if match)
    if not numbers:
        raise InputError(f"{folder} holds no folder {stem}_1, {stem}_2, ...: check the path")
    return numbers


def _require(path: Path, what: str) -> None:
    if not path.is_file():
        raise InputError(f"{path} is missing: {what} was expected there; restore it")
