"""The files of one reconstructed stack: how each map is stored and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from bayesdl_sim.data.formats.tiff_writer import (
    write_channels,
    write_hyperstack,
    write_map,
    write_sr,
)
from bayesdl_sim.inference.output.fringe_picture import write_fringes
from bayesdl_sim.inference.output.informed import write_informed
from bayesdl_sim.inference.output.map_kinds import (
    CHANNELS,
    FACTS,
    MAPS,
    OTHER,
    PROBABILITIES,
    MapKind,
)
from bayesdl_sim.inference.output.profile_picture import PROFILE
from bayesdl_sim.inference.output.stack_report import REPORT, write_stack_report
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.folders.staging import staged
from bayesdl_sim.utils.pictures import Panel, write_overview, write_picture
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = ["file_names", "result_folders", "write_results"]

HYPERSTACK = "Channels.tif"
INFORMED = "Informed.png"
FRINGES, BESIDE = "Patterns.png", "Overview.png"
OVERVIEW = ("SR", "Aleatoric", "Epistemic", "Credibility")  # beside the wide field


def file_names() -> set[str]:
    """Every TIFF that may be written."""
    return {CHANNELS, HYPERSTACK, *(f"{name}.tif" for name in MAPS)}


def _all_names() -> set[str]:
    """Every file that may be written."""
    return file_names() | {
        FACTS,
        INFORMED,
        FRINGES,
        BESIDE,
        PROFILE,
        REPORT,
        *(f"{name}.png" for name in MAPS),
    }


def result_folders(
    stacks: Sequence[Path], save_path: Path, names: Sequence[str] | None = None
) -> list[Path]:
    """Where the results of each stack go: `save_path` itself, or a subfolder for each of several.

    Args:
        stacks: the file or folder of each stack; one file may hold several.
        names: of the stacks; None takes those of their files.

    Raises:
        InputError: results would replace the raw data, or lie among its files under their names.
    """
    if len(stacks) == 1:
        folders = [save_path]
    else:
        stems = list(names or [path.name if path.is_dir() else path.stem for path in stacks])
        taken = [stem.casefold() for stem in stems]
        # cell.tif and cell.mrc are two stacks: the ending keeps their results apart.
        folders = [
            save_path / (stem if taken.count(stem.casefold()) == 1 else _with_ending(stem, path))
            for path, stem in zip(stacks, stems, strict=True)
        ]
    for source, folder in zip(stacks, folders, strict=True):
        source, outputs = source.resolve(), folder.resolve()
        if source == outputs or (outputs == source.parent and source.name in file_names()):
            raise InputError(
                f"the results in {folder} would mix with or replace the raw data {source}: choose "
                "another save_path"
            )
    return folders


def _with_ending(stem: str, path: Path) -> str:
    """`cell` of `cell.tif` -> `cell_tif`, `cell_488` of it -> `cell_488_tif`."""
    first = path.name.split(".")[0]
    ending = path.name[len(first) :].replace(".", "_")
    return stem + ("" if stem.endswith(ending) else ending)


def write_results(
    folder: Path,
    channels: Mapping[str, NDArray],
    further: Mapping[str, NDArray],
    wide_field: NDArray,
    raw_pixel_nm: float | None,
    facts: dict[str, Any],
    sr_counts: NDArray | None = None,
    *,
    spectra: NDArray | None = None,
    heading: str = "",
) -> None:
    """All files of one stack; they take the place of an earlier result together, the facts last.

    An earlier result stays as it was until all files are written, and if that fails. Of it, what
    this result does not hold is removed.

    Args:
        channels: name -> (T, 2H, 2W), with "SR"; all of them go to `CHANNELS`.
        further: maps that are files only.
        wide_field: (T, H, W) on the scale of the SR, for the overview.
        raw_pixel_nm: of the raw frames; None where unknown.
        facts: to store; "tolerance" is that of the credibility.
        spectra: of the fringes, for their picture; None leaves it out.
        heading: of the overview.
        sr_counts: what `SR.tif` holds where that is not the rounded "SR", in [0, 1].

    Raises:
        InputError: the folder cannot be written; a map that is not finite.
    """
    fine_pixel_nm = None if raw_pixel_nm is None else raw_pixel_nm / 2
    images = {**channels, **further}
    with staged(folder, _all_names(), FACTS) as partial:
        for name, kind in MAPS.items():
            if name in images:
                pixel_nm = raw_pixel_nm if kind.raw_grid else fine_pixel_nm
                _write_map(partial, name, images[name], pixel_nm, facts, sr_counts)
        colours = {name: _lut(MAPS.get(name, OTHER).colours) for name in channels}
        limits = {name: _limits(name, image) for name, image in channels.items()}
        write_channels(partial / CHANNELS, channels, fine_pixel_nm, colours)
        write_hyperstack(partial / HYPERSTACK, channels, fine_pixel_nm, colours, limits)
        _write_together(partial, images, wide_field, fine_pixel_nm, facts, heading)
        if spectra is not None and facts.get("patterns"):
            write_fringes(partial / FRINGES, spectra, facts["patterns"][0])
        write_stack_report(partial, channels, wide_field, facts, heading)
        write_json(partial / FACTS, facts)


def _write_map(
    folder: Path,
    name: str,
    image: NDArray,
    pixel_nm: float | None,
    facts: dict[str, Any],
    sr_counts: NDArray | None,
) -> None:
    """One map as TIFF, and as a picture if it has one."""
    kind, file = MAPS[name], folder / f"{name}.tif"
    if name == "SR":
        write_sr(file, image if sr_counts is None else sr_counts, pixel_nm)
    else:
        write_map(file, image, pixel_nm)
    if kind.title is not None:
        limits = _around_zero(image) if kind.symmetric else kind.limits
        style = (_label(kind, facts), kind.colours, limits, kind.border)
        write_picture(folder / f"{name}.png", image, kind.title, pixel_nm, *style)


def _write_together(
    folder: Path,
    images: Mapping[str, NDArray],
    wide_field: NDArray,
    fine_pixel_nm: float | None,
    facts: dict[str, Any],
    heading: str,
) -> None:
    """The pictures of more than one map."""
    if "Credibility" in images:
        label = _label(MAPS["Credibility"], facts)
        write_informed(folder / INFORMED, images["SR"], images["Credibility"], fine_pixel_nm, label)
    panels = {"Wide field": Panel(wide_field, "normalised SR intensity", MAPS["SR"].colours)}
    for name in OVERVIEW:
        if name in images:
            kind = MAPS[name]
            panels[kind.title] = Panel(images[name], _label(kind, facts), kind.colours)
    write_overview(folder / BESIDE, panels, fine_pixel_nm, heading)


def _lut(colours: str) -> NDArray[np.uint8]:
    """A colour map of matplotlib as ImageJ has them: (3, 256)."""
    return (255 * colormaps[colours](np.arange(256))[:, :3].T).round().astype(np.uint8)


def _limits(name: str, image: NDArray) -> tuple[float, float]:
    """The values at the ends of a channel's colours."""
    return (0.0, 1.0) if name in PROBABILITIES else display_limits(image)


def _label(kind: MapKind, facts: dict[str, Any]) -> str:
    return kind.label.replace("{delta}", f"{facts.get('tolerance', 0):.2g}")


def _around_zero(image: NDArray) -> tuple[float, float]:
    most = float(np.nanpercentile(np.abs(image), 99.9)) or 1.0
    return -most, most
