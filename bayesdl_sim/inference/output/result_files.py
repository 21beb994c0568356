"""The files of one reconstructed stack: how each map is stored and shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdl_sim.data.formats.tiff_writer import (
    write_channels,
    write_hyperstack,
    write_map,
    write_sr,
)
from bayesdl_sim.inference.output.fringe_picture import write_fringes
from bayesdl_sim.inference.output.informed import write_informed
from bayesdl_sim.inference.output.map_kinds import CHANNELS, FACTS, MAPS, MapKind
from bayesdl_sim.inference.output.names import (
    BESIDE,
    FRINGES,
    HYPERSTACK,
    INFORMED,
    OVERVIEW,
    channel_colours,
    channel_limits,
    file_names,
    result_names,
)
from bayesdl_sim.inference.output.pages import layout_of
from bayesdl_sim.inference.output.stack_report import write_stack_report
from bayesdl_sim.inference.output.zarr_pages import ZarrPages
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import write_json
from bayesdl_sim.utils.folders.staging import staged
from bayesdl_sim.utils.pictures import Panel, write_overview, write_picture

__all__ = ["result_folders", "write_pictures", "write_results"]


def result_folders(
    stacks: Sequence[Path], save_path: Path, names: Sequence[str] | None = None
) -> list[Path]:
    """Where the results of each stack go: `save_path` itself, or a subfolder for each of several.

    No two stacks have the same folder, on drives that do not tell small letters from capitals too.

    Args:
        stacks: the file or folder of each stack; one file may hold several.
        names: names of the stacks; None takes those of their files.

    Raises:
        InputError: results would replace the raw data, or lie among its files under their names.
    """
    if len(stacks) == 1:
        folders = [save_path]
    else:
        stems = list(names or [path.name if path.is_dir() else path.stem for path in stacks])
        folders = [save_path / name for name in _unique_names(stacks, stems)]
    for source, folder in zip(stacks, folders, strict=True):
        source, outputs = source.resolve(), folder.resolve()
        if source == outputs or (outputs == source.parent and source.name in file_names()):
            raise InputError(
                f"the results in {folder} would mix with or replace the raw data {source}: choose "
                "another save_path"
            )
    return folders


def _unique_names(stacks: Sequence[Path], stems: Sequence[str]) -> list[str]:
    """Names of the results, that of the stack where no other stack has it."""
    counts = Counter(stem.casefold() for stem in stems)
    taken, names = {stem for stem, count in counts.items() if count == 1}, []
    for path, stem in zip(stacks, stems, strict=True):
        name = stem
        if counts[stem.casefold()] > 1:
            # cell.tif and cell.mrc are two stacks: the ending keeps their results apart.
            name = base = _with_ending(stem, path)
            number = 1
            while name.casefold() in taken:
                number += 1
                name = f"{base}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


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
    form: str = "tiff",
) -> None:
    """All files of one stack; they take the place of an earlier result together, the facts last.

    An earlier result stays as it was until all files are written, and if that fails. Of it, what
    this result does not hold is removed.

    Args:
        channels: name -> (T, 2H, 2W), with "SR"; all of them go to `CHANNELS`.
        further: maps that are files only.
        wide_field: (T, H, W) on the scale of the SR, for the overview.
        raw_pixel_nm: pixel size of the raw frames; None where unknown.
        facts: entries to store; "tolerance" is that of the credibility.
        spectra: spectra of the fringes, for their picture; None leaves it out.
        heading: heading of the overview.
        sr_counts: what `SR.tif` holds where that is not the rounded "SR", in [0, 1].
        form: format of the maps: tiff, or zarr for OME-Zarr.

    Raises:
        InputError: the folder cannot be written; a map that is not finite.
    """
    fine_pixel_nm = None if raw_pixel_nm is None else raw_pixel_nm / 2
    with staged(folder, result_names(), FACTS) as partial:
        if form == "zarr":
            _write_stores(partial, channels, further, fine_pixel_nm)
        else:
            _write_tiffs(partial, channels, further, raw_pixel_nm, sr_counts)
        shown, more = (channels, further, wide_field), (raw_pixel_nm, facts, spectra, heading)
        first, times = first_shown(facts), len(wide_field)
        if first == 0:
            write_pictures(partial, *shown, *more)
        else:
            shown = (_only(channels, first), _only(further, first), wide_field[first][None])
            write_pictures(partial, *shown, *more, times=times, number=first + 1)
        write_json(partial / FACTS, facts)


def first_shown(facts: Mapping[str, Any]) -> int:
    """The first time point, from 0, with a result: the one that the pictures show."""
    left_out = {t - 1 for t in facts.get("time_points_left_out", ())}
    return min({*range(len(left_out) + 1)} - left_out)


def _only(maps: Mapping[str, NDArray], t: int) -> dict[str, NDArray]:
    """One time point of all maps; of a change, the one from there on."""
    return {name: image[min(t, len(image) - 1)][None] for name, image in maps.items()}


def write_pictures(
    folder: Path,
    channels: Mapping[str, NDArray],
    further: Mapping[str, NDArray],
    wide_field: NDArray,
    raw_pixel_nm: float | None,
    facts: dict[str, Any],
    spectra: NDArray | None,
    heading: str,
    times: int = 1,
    binned: int = 1,
    number: int = 1,
) -> None:
    """All that is made to be looked at: the pictures of the maps, of several, and the report.

    Args:
        times: time points of the series, where only one is given; its maps are then (1, 2H, 2W).
        binned: pixels of the maps, a side, that were averaged for a pixel of the images given.
        number: number of that time point, from 1.
    """
    raw_pixel_nm = raw_pixel_nm and binned * raw_pixel_nm
    fine_pixel_nm = None if raw_pixel_nm is None else raw_pixel_nm / 2
    images, end = {**channels, **further}, ""
    if times > 1:
        end = f" (time point {number} of {times})"
    for name, kind in MAPS.items():
        # A change to or from a time point that is left out has nothing to show.
        if name in images and kind.title is not None and not np.isnan(images[name][0]).all():
            pixel_nm = raw_pixel_nm if kind.raw_grid else fine_pixel_nm
            limits = _around_zero(images[name]) if kind.symmetric else kind.limits
            style = (_label(kind, facts), kind.colours, limits, -(-kind.border // binned))
            path = folder / f"{name}.png"
            write_picture(path, images[name], kind.title + end, pixel_nm, *style)
    _write_together(folder, images, wide_field, fine_pixel_nm, facts, heading, end)
    if spectra is not None and facts.get("patterns"):
        write_fringes(folder / FRINGES, spectra, facts["patterns"][0])
    write_stack_report(folder, channels, wide_field, facts, heading, fine_pixel_nm)


def _write_tiffs(
    folder: Path,
    channels: Mapping[str, NDArray],
    further: Mapping[str, NDArray],
    raw_pixel_nm: float | None,
    sr_counts: NDArray | None,
) -> None:
    fine_pixel_nm = None if raw_pixel_nm is None else raw_pixel_nm / 2
    images = {**channels, **further}
    for name, kind in MAPS.items():
        if name not in images:
            continue
        if name == "SR":
            shown = images[name] if sr_counts is None else sr_counts
            write_sr(folder / "SR.tif", shown, fine_pixel_nm)
        else:
            pixel_nm = raw_pixel_nm if kind.raw_grid else fine_pixel_nm
            write_map(folder / f"{name}.tif", images[name], pixel_nm)
    colours = channel_colours(channels)
    limits = {name: channel_limits(name, image) for name, image in channels.items()}
    write_channels(folder / CHANNELS, channels, fine_pixel_nm, colours)
    write_hyperstack(folder / HYPERSTACK, channels, fine_pixel_nm, colours, limits)


def _write_stores(
    folder: Path,
    channels: Mapping[str, NDArray],
    further: Mapping[str, NDArray],
    fine_pixel_nm: float | None,
) -> None:
    """The same maps as OME-Zarr."""
    layout = layout_of(channels, further, fine_pixel_nm)
    pages = ZarrPages(folder, layout)
    for t in range(layout.times):
        places = {name: t - layout.times + number for name, number in layout.further.items()}
        further_images = {
            name: further[name][place] for name, place in places.items() if place >= 0
        }
        pages.write(t, {name: image[t] for name, image in channels.items()}, further_images)


def _write_together(
    folder: Path,
    images: Mapping[str, NDArray],
    wide_field: NDArray,
    fine_pixel_nm: float | None,
    facts: dict[str, Any],
    heading: str,
    end: str,
) -> None:
    """The pictures of more than one map."""
    if "Credibility" in images:
        label = _label(MAPS["Credibility"], facts)
        maps = (images["SR"], images["Credibility"])
        write_informed(folder / INFORMED, *maps, fine_pixel_nm, label, end)
    panels = {f"Wide field{end}": Panel(wide_field, "normalised SR intensity", MAPS["SR"].colours)}
    for name in OVERVIEW:
        if name in images:
            kind = MAPS[name]
            panels[kind.title + end] = Panel(images[name], _label(kind, facts), kind.colours)
    write_overview(folder / BESIDE, panels, fine_pixel_nm, heading)


def _label(kind: MapKind, facts: dict[str, Any]) -> str:
    return kind.label.replace("{delta}", f"{facts.get('tolerance', 0):.2g}")


def _around_zero(image: NDArray) -> tuple[float, float]:
    most = float(np.nanpercentile(np.abs(image), 99.9)) or 1.0
    return -most, most
