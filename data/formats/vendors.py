"""Reads CZI (Zeiss) and ND2 (Nikon) files through their optional readers."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bayesdl_sim.data.formats.image_file import (
    Channel,
    ImageFile,
    Series,
    plausible_aperture,
    plausible_wavelength,
)
from bayesdl_sim.utils.errors import InputError

__all__ = ["open_czi", "open_nd2"]

# Letters of the formats -> ours; R is a rotation and H a phase in CZI, P a position in ND2.
CZI_AXES = {"R": "A", "H": "P", "C": "C", "Z": "Z", "T": "T", "I": "Q", "V": "Q", "B": "Q"}
ND2_AXES = {"P": "R", "T": "T", "Z": "Z", "C": "C"}
CZI_TYPES = {"Gray8": np.uint8, "Gray16": np.uint16, "Gray32Float": np.float32}


def open_czi(path: str | Path) -> ImageFile:
    """Contents of a CZI file; each scene is a series.

    Raises:
        InputError: pylibCZIrw is not installed, or it cannot read the file.
    """
    path = Path(path)
    czi = _reader("pylibCZIrw.czi", "czi", "pylibCZIrw", path)
    with _refusals(path, "CZI"), czi.open_czi(str(path)) as file:
        sizes = {
            axis: (first, size)
            for axis, (first, size) in file.total_bounding_box.items()
            if axis in CZI_AXES
        }
        order = [axis for axis in "TRHVIBZC" if axis in sizes]  # slowest first, as people name them
        scenes = file.scenes_bounding_rectangle or {None: file.total_bounding_rectangle}
        kind = next(iter(file.pixel_types.values()), "unknown")
        if kind not in CZI_TYPES:
            raise InputError(
                f"{path} holds pixels of the type {kind}, but grey camera counts were expected: "
                "give the raw data"
            )
        channels, pixel = _czi_metadata(file.metadata)
        series = [
            Series(
                axes="".join(CZI_AXES[axis] for axis in order),
                shape=(*(sizes[axis][1] for axis in order), rectangle.h, rectangle.w),
                dtype=np.dtype(CZI_TYPES[kind]),
                read=partial(_read_czi, path, [(axis, *sizes[axis]) for axis in order], scene),
                name="" if scene is None else f"scene {scene + 1}",
                channels=channels,
            )
            for scene, rectangle in sorted(scenes.items(), key=lambda item: item[0] or 0)
        ]
    return ImageFile(
        path=path,
        format="Zeiss CZI",
        series=tuple(series),
        named_axes=True,
        pixel_size_nm=pixel[0],
        pixel_height_nm=pixel[1],
    )


def _read_czi(path: Path, axes: list[tuple[str, int, int]], scene: int | None) -> np.ndarray:
    czi = _reader("pylibCZIrw.czi", "czi", "pylibCZIrw", path)
    with _refusals(path, "CZI"), czi.open_czi(str(path)) as file:
        names = [name for name, _, _ in axes]
        ranges = [range(first, first + size) for _, first, size in axes]
        images = [
            file.read(plane=dict(zip(names, place, strict=True)), scene=scene)[..., 0]
            for place in product(*ranges)
        ]
    return np.stack(images).reshape(*(size for _, _, size in axes), *images[0].shape)


def _czi_metadata(document: dict[str, Any]) -> tuple[tuple[Channel, ...], tuple]:
    """Colours and the width and height of a pixel in nm; what is odd is left out."""
    channels: tuple[Channel, ...] = ()
    sizes: dict[str, float] = {}
    metadata = document.get("ImageDocument", {}).get("Metadata", {})
    na = _czi_aperture(metadata)
    with contextlib.suppress(Exception):
        image = metadata["Information"]["Image"]
        entries = image["Dimensions"]["Channels"]["Channel"]
        channels = tuple(
            Channel(
                name=str(entry.get("@Name") or ""),
                emission_nm=_wavelength(entry, "EmissionWavelength"),
                excitation_nm=_wavelength(entry, "ExcitationWavelength"),
                na=na,
            )
            for entry in (entries if isinstance(entries, list) else [entries])
        )
    with contextlib.suppress(Exception):
        for entry in metadata["Scaling"]["Items"]["Distance"]:
            sizes[entry["@Id"]] = 1e9 * float(entry["Value"])  # metres
    plausible = {axis: size for axis, size in sizes.items() if 5 <= size < 1000}
    return channels, (plausible.get("X"), plausible.get("Y"))


def _wavelength(entry: dict[str, Any], name: str) -> float | None:
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return plausible_wavelength(float(entry[name]))
    return None


def _czi_aperture(metadata: dict[str, Any]) -> float | None:
    """Aperture of the objective that the image names, or of the only one in its file."""
    with contextlib.suppress(Exception):
        information = metadata["Information"]
        objectives = information["Instrument"]["Objectives"]["Objective"]
        lenses = objectives if isinstance(objectives, list) else [objectives]
        settings = information["Image"].get("ObjectiveSettings", {})
        named = settings.get("ObjectiveRef", {}).get("@Id")
        chosen = [lens for lens in lenses if lens.get("@Id") == named] if named else lenses
        if len(chosen) == 1:
            return plausible_aperture(float(chosen[0]["LensNA"]))
    return None


def open_nd2(path: str | Path) -> ImageFile:
    """Contents of an ND2 file.

    Raises:
        InputError: nd2 is not installed, or it cannot read the file.
    """
    path = Path(path)
    nd2 = _reader("nd2", "nd2", "nd2", path)
    with _refusals(path, "ND2"), nd2.ND2File(path) as file:
        sizes = dict(file.sizes)
        lead = [axis for axis in sizes if axis not in "YXS"]
        if sizes.get("S", 1) > 1:
            raise InputError(
                f"{path} holds colour (RGB) images, but grey images of camera counts were "
                "expected: give the raw data"
            )
        channels, pixel = (), (None, None)
        with contextlib.suppress(Exception):
            channels = tuple(
                Channel(
                    name=entry.channel.name,
                    emission_nm=plausible_wavelength(entry.channel.emissionLambdaNm),
                    na=plausible_aperture(entry.microscope.objectiveNumericalAperture),
                )
                for entry in file.metadata.channels
            )
        with contextlib.suppress(Exception):
            size = file.voxel_size()  # micrometres
            pixel = tuple(1e3 * s if 5 <= 1e3 * s < 1000 else None for s in (size.x, size.y))
        shape = (*(sizes[axis] for axis in lead), sizes["Y"], sizes["X"])
        series = Series(
            axes="".join(ND2_AXES.get(axis, "Q") for axis in lead),
            shape=shape,
            dtype=np.dtype(file.dtype),
            read=partial(_read_nd2, path, shape),
            channels=channels,
        )
    return ImageFile(
        path=path,
        format="Nikon ND2",
        series=(series,),
        named_axes=True,
        pixel_size_nm=pixel[0],
        pixel_height_nm=pixel[1],
    )


def _read_nd2(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    nd2 = _reader("nd2", "nd2", "nd2", path)
    with _refusals(path, "ND2"), nd2.ND2File(path) as file:
        return np.asarray(file.asarray()).reshape(shape)


def _reader(module: str, extra: str, package: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"{path} needs a reader that is not installed: pip install {package} (the extra "
            f"[{extra}] of bayesdl-sim), or save the stack as TIFF"
        ) from None


@contextlib.contextmanager
def _refusals(path: Path, kind: str) -> Iterator[None]:
    """Whatever a vendor's reader raises becomes an `InputError` of one line."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{path} cannot be read as {kind} ({reason}): the file is damaged or truncated; copy "
            "it again from its source, or save the stack as TIFF"
        ) from error
