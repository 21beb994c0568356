"""Test cells as cases: which cells of a set are used, and one stack with its truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.data.formats.opening import read_images
from bayesdl_sim.data.normalise import Normalisation, normalisation_of, target_normalisation
from bayesdl_sim.data.sets.layout import DatasetTree
from bayesdl_sim.data.stacks import read_stack
from bayesdl_sim.evaluation.alignment import moved, shift_of_targets
from bayesdl_sim.evaluation.scenes import field_patterns
from bayesdl_sim.physics.illumination import Illumination
from bayesdl_sim.physics.image_formation import grid_for
from bayesdl_sim.physics.lens import require_cutoff, require_lens
from bayesdl_sim.physics.optics import Optics
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.errors import InputError

__all__ = [
    "Case",
    "CaseSettings",
    "Cells",
    "chosen_cells",
    "each_case",
    "list_stacks",
    "read_case",
    "require_use_of_optics",
    "warn_of_training_cells",
]


@dataclass(frozen=True, kw_only=True)
class CaseSettings:
    """Which cells of a set are used, and what is known of its microscope.

    Attributes:
        part: test or validation, the cells to evaluate where `cells` names none.
        cells: cells to evaluate; empty for those of the part.
        calibration_cells: cells to fit calibration and baselines on; empty for the validation
            cells.
        max_stacks: evaluate this many, evenly picked; None for all.
        na, wavelength_nm: numerical aperture and emission wavelength, where the set does not state
            the microscopes of its cells; both, or neither.
        pixel_size_nm: pixel size of the raw frames, there, too.
    """

    part: str = "test"
    cells: tuple[int, ...] = ()
    calibration_cells: tuple[int, ...] = ()
    max_stacks: int | None = None
    na: float | None = None
    wavelength_nm: float | None = None
    pixel_size_nm: float | None = None

    def __post_init__(self) -> None:
        require_lens(self.na, self.wavelength_nm)
        if self.pixel_size_nm is not None and not 0 < self.pixel_size_nm < math.inf:
            raise InputError(f"pixel_size_nm: expected a positive size, found {self.pixel_size_nm}")


class Cells(NamedTuple):
    """Numbers of the cells to evaluate and of those to fit on."""

    evaluated: list[int]
    fitted: list[int]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One stack with its truth.

    Attributes:
        cell, level: numbers in the tree.
        structure: name, "" where unknown.
        signal_e: median electrons per lit pixel, NaN where unknown.
        raw: counts (9, H, W).
        norm: scale of the network's intensities.
        target: (2H, 2W) in these.
        optics: nominal optics, None where unknown.
        illumination: true patterns, None where unknown.
        pixel_size_nm: pixel size of the raw frames; None where unknown.
    """

    cell: int
    level: int
    structure: str
    signal_e: float
    raw: NDArray[np.float32]
    norm: Normalisation
    target: NDArray[np.float32]
    optics: Optics | None
    illumination: Illumination | None
    pixel_size_nm: float | None

    @property
    def name(self) -> str:
        """Cell and level, as shown to the user."""
        return f"cell {self.cell}, level {self.level}"

    @property
    def wide_field(self) -> NDArray[np.float64]:
        """Mean of the nine frames (H, W), normalised as the target."""
        return self.norm.apply(self.raw.mean(axis=0, dtype=np.float64))


def chosen_cells(tree: DatasetTree, settings: CaseSettings) -> Cells:
    """Cells to evaluate and cells to calibrate on.

    Raises:
        InputError: a cell that the set does not have, or that is in both lists.
    """
    splits = tree.spec.splits
    evaluated = list(settings.cells or splits[settings.part])
    fitted = list(settings.calibration_cells or splits["validation"])
    available = tree.cells()
    for cell in (*evaluated, *fitted):
        if cell not in available:
            raise InputError(
                f"cell {cell} is not in {tree.root}, which holds {len(available)} cells"
            )
    shared = sorted(set(evaluated) & set(fitted))
    if shared and settings.cells and settings.calibration_cells:
        raise InputError(f"cell {shared[0]} is in cells and in calibration_cells: choose one")
    return Cells(evaluated, fitted)


def warn_of_training_cells(tree: DatasetTree, cells: Sequence[int]) -> None:
    """Prints a warning if the set's own split has given some of these cells to training."""
    trained = set(tree.spec.splits["train"]) & set(cells)
    if trained:
        print(
            f"WARNING: {len(trained)} of the cells belong to the set's training part: right only "
            "if these members were trained on another set"
        )


def list_stacks(
    tree: DatasetTree, cells: Sequence[int], most: int | None = None
) -> list[tuple[int, int]]:
    """(cell, level) pairs; of too many, evenly picked ones."""
    pairs = [(cell, level) for cell in cells for level in tree.levels(cell)]
    if most is not None and most < len(pairs):
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, most).round().astype(int)]
    return pairs


def read_case(
    tree: DatasetTree,
    cell: int,
    level: int,
    settings: CaseSettings,
    shift_px: tuple[float, float] = (0.0, 0.0),
) -> Case:
    """One stack and its target from the disk.

    Args:
        shift_px: rows and columns by which the target is moved, of `shift_of_targets`; stack and
            target are then cut by the two raw pixels a side that the movement touches.

    Raises:
        InputError: unreadable files, or a target that does not show the same field.
    """
    stack = read_stack(tree.raw_folder(cell, level))
    raw = stack.raw[0]
    norm = normalisation_of(raw, str(stack.source))
    path = tree.gt_path(cell)
    target = moved(np.squeeze(read_images(path)[0]).astype(np.float32), shift_px)
    if target.shape != tuple(2 * side for side in raw.shape[1:]):
        raise InputError(f"{path} is {target.shape} px, expected twice the frames {raw.shape[1:]}")
    if shift_px != (0.0, 0.0):
        raw, target = raw[:, 2:-2, 2:-2], target[4:-4, 4:-4]
    scale = target_normalisation(target, raw.mean(axis=0, dtype=np.float64), norm, str(path))
    facts = _facts(tree, cell)
    optics = _known_optics(tree, cell, settings, stack.pixel_size_nm)
    signals = facts.get("signal_e", [])
    return Case(
        cell=cell,
        level=level,
        structure=facts.get("structure", tree.spec.sample),
        signal_e=float(signals[level - 1]) if level <= len(signals) else float("nan"),
        raw=raw,
        norm=norm,
        target=scale.apply(target),
        optics=optics.nominal if optics else None,
        illumination=_true_patterns(facts, target.shape) if shift_px == (0.0, 0.0) else None,
        pixel_size_nm=_pixel_size(tree, cell, settings, stack.pixel_size_nm),
    )


def require_use_of_optics(tree: DatasetTree, cells: Sequence[int], settings: CaseSettings) -> None:
    """Raises `InputError` for optics that are impossible, or that the set states itself."""
    names = ("na", "wavelength_nm", "pixel_size_nm")
    given = [name for name in names if getattr(settings, name) is not None]
    if given and all(_stated_optics(tree, cell) for cell in cells):
        raise InputError(
            f"{', '.join(given)}: {tree.root} states the microscope of every cell, which is used; "
            "leave them out"
        )
    size = settings.pixel_size_nm or tree.spec.pixel_size_nm
    if settings.na is not None and size is not None:
        require_cutoff(settings.na, settings.wavelength_nm, size, str(tree.root))


def _facts(tree: DatasetTree, cell: int) -> dict[str, Any]:
    """What the set states of a cell; empty for measured ones."""
    return tree.spec.details.get("cells", {}).get(str(cell), {})


def _stated_optics(tree: DatasetTree, cell: int) -> dict[str, Any]:
    """The optics that the set states of a cell, whole; else empty."""
    stated = _facts(tree, cell).get("microscope", {}).get("optics", {})
    return stated if {"na", "emission_nm", "pixel_size_nm"} <= stated.keys() else {}


def _pixel_size(
    tree: DatasetTree, cell: int, settings: CaseSettings, of_file: float | None
) -> float | None:
    """Pixel size of the raw frames of a cell in nm, of the first that states it; else None."""
    stated = _stated_optics(tree, cell).get("pixel_size_nm")
    return stated or settings.pixel_size_nm or tree.spec.pixel_size_nm or of_file


def _known_optics(
    tree: DatasetTree, cell: int, settings: CaseSettings, of_file: float | None
) -> Optics | None:
    """Aperture, wavelength and pixel size of a cell; None where one of them is unknown.

    Raises:
        InputError: the settings do not go with the pixel size.
    """
    size, stated = _pixel_size(tree, cell, settings, of_file), _stated_optics(tree, cell)
    if stated:
        return Optics(stated["na"], stated["emission_nm"], size)
    if settings.na is None or size is None:
        return None
    require_cutoff(settings.na, settings.wavelength_nm, size, str(tree.raw_folder(cell, 1)))
    return Optics(settings.na, settings.wavelength_nm, size)


def _true_patterns(facts: Mapping[str, Any], shape: tuple[int, int]) -> Illumination | None:
    """The patterns of a simulated cell, phases at the first pixel of its frames; else None.

    Args:
        facts: the record of the cell in the set.
        shape: (2H, 2W) of its target.
    """
    stored = facts.get("microscope", {}).get("illumination")
    if stored is None:
        return None
    grid = grid_for((shape[0] // 2, shape[1] // 2))
    return field_patterns(Illumination.from_dict(stored), grid)


def each_case(
    tree: DatasetTree,
    pairs: Sequence[tuple[int, int]],
    what: str,
    settings: CaseSettings,
) -> Iterator[tuple[str, Case | str]]:
    """Name and case of each stack, with its progress; the reason instead where one is unreadable.

    Targets of another half-pixel convention are moved onto the frames, and the shift is printed.

    Args:
        pairs: pairs from `list_stacks`.
        what: title of the bar.
    """
    shift_px = shift_of_targets(tree, sorted({cell for cell, _ in pairs}))
    if shift_px != (0.0, 0.0):
        rows, columns = shift_px
        print(
            f"targets are moved by {rows:+.2f} rows and {columns:+.2f} columns (of the doubled "
            "grid) onto the frames: their program has another half-pixel convention"
        )
    for cell, level in counted(pairs, what, unit="stack"):
        try:
            case: Case | str = read_case(tree, cell, level, settings, shift_px)
        except InputError as error:
            case = str(error)
        yield f"cell {cell}, level {level}", case
