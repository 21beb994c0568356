"""Writes TIFFs that Fiji and napari open with their names and pixel size.

An image has the shape (H, W), or (T, H, W) for a time series. A pixel size is that of the image
itself (for a super-resolved map half of the raw one) in nm; None leaves it out.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.files import atomic_path
from bayesdl_sim.utils.pictures import checked_image, time_points
from bayesdl_sim.utils.report.contrast import display_limits

__all__ = [
    "TiffPlan",
    "channels_plan",
    "content_uuid",
    "hyperstack_plan",
    "map_plan",
    "sr_counts",
    "write_channels",
    "write_counts",
    "write_hyperstack",
    "write_map",
    "write_sr",
]

_IMAGEJ_LIMIT = 2**32 - 2**26  # bytes; ImageJ's TIFF has 32-bit offsets
_MOST = 65535


class TiffPlan(NamedTuple):
    """A file before it has pixels: its shape and type, and arguments of `tifffile.imwrite`."""

    shape: tuple[int, ...]
    dtype: Any
    tags: dict[str, Any]


def write_sr(path: str | Path, image01: ArrayLike, pixel_size_nm: float | None) -> None:
    """Writes the super-resolved image as uint16: normalised intensity, cut to [0, 1], x 65535.

    Pixels without data, NaN in ``image01``, are 0: whole numbers have no NaN.
    """
    image = checked_image(image01)
    counts = np.empty(image.shape, np.uint16)
    for page, out in zip(time_points(image), time_points(counts), strict=True):
        out[...] = sr_counts(page)
    _write_single(path, counts, pixel_size_nm)


def sr_counts(page: NDArray) -> NDArray[np.uint16]:
    """An image (H, W) of normalised intensity as `write_sr` stores it."""
    return np.rint(np.nan_to_num(np.clip(page, 0, 1), nan=0.0) * _MOST).astype(np.uint16)


def write_map(path: str | Path, image: ArrayLike, pixel_size_nm: float | None) -> None:
    """Writes a map as float32 in its own units, with the pixel size in ImageJ's tags."""
    _write_single(path, checked_image(image), pixel_size_nm)


def write_counts(path: str | Path, frames: ArrayLike, pixel_size_nm: float | None) -> None:
    """Writes camera counts (H, W) or (T, H, W) as uint16; whole numbers from 0 to 65535."""
    frames = np.asarray(frames)
    counts = frames.astype(np.uint16)
    if frames.ndim not in (2, 3) or not np.array_equal(counts, frames):
        raise InputError(f"{path}: expected frames of whole counts from 0 to 65535")
    _write_single(path, counts, pixel_size_nm)


def write_channels(
    path: str | Path,
    images: Mapping[str, ArrayLike],
    pixel_size_nm: float | None,
    colours: Mapping[str, NDArray] | None = None,
) -> None:
    """Writes named images of one size as the channels of one float32 OME-TIFF (CYX or TCYX).

    Its UUID is made from the content: equal channels give equal bytes, wherever they are written.

    Args:
        colours: name -> (3, 256) uint8, from dark to bright; the brightest colours the channel.
    """
    channels, shape = _channels_of(path, images)
    identifier = content_uuid([_planes_digest(channels, pixel_size_nm)])
    _write_planes(
        path, channels, channels_plan(channels, shape, pixel_size_nm, colours, identifier)
    )


def channels_plan(
    names: Collection[str],
    shape: tuple[int, ...],
    pixel_size_nm: float | None,
    colours: Mapping[str, NDArray] | None = None,
    identifier: object = "",
) -> TiffPlan:
    """The file of `write_channels`.

    Args:
        shape: shape of one channel, (H, W) or (T, H, W).
        identifier: UUID of the file.
    """
    metadata: dict[str, Any] = {"axes": "TCYX" if len(shape) == 3 else "CYX"}
    metadata["Channel"] = {"Name": list(names)}
    if colours is not None:
        metadata["Channel"]["Color"] = [_ome_colour(colours[name]) for name in names]
    metadata["UUID"] = f"urn:uuid:{identifier}"
    tags = _resolution(pixel_size_nm, "CENTIMETER") | {"ome": True}
    return _planes_plan(names, shape, metadata | _ome_size(pixel_size_nm), tags)


def write_hyperstack(
    path: str | Path,
    images: Mapping[str, ArrayLike],
    pixel_size_nm: float | None,
    colours: Mapping[str, NDArray],
    limits: Mapping[str, tuple[float, float]],
) -> bool:
    """Writes the same channels as a hyperstack of ImageJ, each with its own colours and contrast.

    Args:
        colours: name -> (3, 256) uint8, from dark to bright.
        limits: name -> the values at the two ends of the colours.

    Returns:
        Whether it was written: a series of over 4 GB has no place in a TIFF of ImageJ.
    """
    channels, shape = _channels_of(path, images)
    plan = hyperstack_plan(channels, shape, pixel_size_nm, colours, limits)
    if plan is not None:
        _write_planes(path, channels, plan)
    return plan is not None


def hyperstack_plan(
    names: Collection[str],
    shape: tuple[int, ...],
    pixel_size_nm: float | None,
    colours: Mapping[str, NDArray],
    limits: Mapping[str, tuple[float, float]],
) -> TiffPlan | None:
    """The file of `write_hyperstack` for channels of one shape; None where it has no place."""
    if 4 * len(names) * math.prod(shape) >= _IMAGEJ_LIMIT:
        return None
    times = shape[0] if len(shape) == 3 else 1
    metadata: dict[str, Any] = {
        "axes": "TCYX" if len(shape) == 3 else "CYX",
        "mode": "color",
        "Labels": list(names) * times,
        "LUTs": [colours[name] for name in names],
        "Ranges": tuple(float(end) for name in names for end in limits[name]),
    }
    first = next(iter(names))
    metadata["min"], metadata["max"] = (float(end) for end in limits[first])
    if pixel_size_nm is not None:
        metadata["unit"] = "um"
    tags = _resolution(pixel_size_nm, "NONE", per_nm=1000) | {"imagej": True}
    return _planes_plan(names, shape, metadata, tags)


def _channels_of(
    path: str | Path, images: Mapping[str, ArrayLike]
) -> tuple[dict[str, NDArray[np.float32]], tuple[int, ...]]:
    """The checked channels, and the one shape that they have."""
    channels = {name: checked_image(image) for name, image in images.items()}
    shapes = {image.shape for image in channels.values()}
    if len(shapes) != 1:
        raise InputError(f"{path}: the channels are expected to have the same size, found {shapes}")
    return channels, shapes.pop()


def _planes_plan(
    names: Collection[str],
    shape: tuple[int, ...],
    metadata: Mapping[str, Any],
    tags: Mapping[str, Any],
) -> TiffPlan:
    """Channels of one shape; `tags` name the flavour of the TIFF and its pixel size."""
    whole = (*shape[:-2], len(names), *shape[-2:])
    return TiffPlan(
        whole, np.float32, {"photometric": "minisblack", "metadata": dict(metadata), **tags}
    )


def _write_planes(path: str | Path, channels: Mapping[str, NDArray], plan: TiffPlan) -> None:
    with atomic_path(path) as partial:
        tifffile.imwrite(
            partial, _planes(channels), shape=plan.shape, dtype=plan.dtype, **plan.tags
        )


def _planes(channels: Mapping[str, NDArray]) -> Iterator[NDArray]:
    """Plane by plane, so that a long time series is never held twice."""
    for together in zip(*(time_points(image) for image in channels.values()), strict=True):
        yield from together


def _planes_digest(channels: Mapping[str, NDArray], pixel_size_nm: float | None) -> bytes:
    digest = hashlib.sha256(repr((list(channels), pixel_size_nm)).encode())
    for plane in _planes(channels):
        digest.update(np.ascontiguousarray(plane))
    return digest.digest()


def content_uuid(digests: Sequence[bytes]) -> uuid.UUID:
    """A UUID of the content; tifffile's own would hold the computer's network address.

    Args:
        digests: SHA-256 of the whole, or of each of its parts.
    """
    digest = digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


def _ome_colour(colours: NDArray) -> int:
    """The brightest colour as OME's signed number of red, green, blue and opacity."""
    red, green, blue = (int(value) for value in colours[:, -1])
    return int(np.array([red << 24 | green << 16 | blue << 8 | 255], np.uint32).view(np.int32)[0])


def _write_single(path: str | Path, image: NDArray, pixel_size_nm: float | None) -> None:
    digest = hashlib.sha256(np.ascontiguousarray(image)).digest()
    limits, identifier = display_limits(image), content_uuid([digest])
    plan = map_plan(image.shape, image.dtype, pixel_size_nm, limits, identifier)
    with atomic_path(path) as partial:
        tifffile.imwrite(partial, image, **plan.tags)


def map_plan(
    shape: tuple[int, ...],
    dtype: Any,
    pixel_size_nm: float | None,
    limits: tuple[float, float],
    identifier: object = "",
) -> TiffPlan:
    """The file of a single map (H, W) or (T, H, W): of ImageJ, or OME where it is too large.

    Args:
        limits: the values at the two ends of the greys, in ImageJ.
        identifier: UUID of the file, in OME.
    """
    axes = "TYX" if len(shape) == 3 else "YX"
    imagej = math.prod(shape) * np.dtype(dtype).itemsize < _IMAGEJ_LIMIT
    if imagej:
        metadata = {"axes": axes, "min": limits[0], "max": limits[1]}
        if pixel_size_nm is not None:
            metadata["unit"] = "um"
        resolution = _resolution(pixel_size_nm, "NONE", per_nm=1000)
    else:
        metadata = {"axes": axes, "UUID": f"urn:uuid:{identifier}"} | _ome_size(pixel_size_nm)
        resolution = _resolution(pixel_size_nm, "CENTIMETER")
    tags = {"imagej": imagej, "ome": not imagej, "photometric": "minisblack"}
    return TiffPlan(shape, dtype, tags | {"metadata": metadata, **resolution})


def _resolution(pixel_size_nm: float | None, unit: str, per_nm: float = 1e7) -> dict[str, Any]:
    """TIFF's own tags: pixels per unit of length; ImageJ names its unit (um) in its metadata."""
    if pixel_size_nm is None:
        return {}
    return {"resolution": (per_nm / pixel_size_nm,) * 2, "resolutionunit": unit}


def _ome_size(pixel_size_nm: float | None) -> dict[str, Any]:
    if pixel_size_nm is None:
        return {}
    size = pixel_size_nm / 1000
    return {
        "PhysicalSizeX": size,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": size,
        "PhysicalSizeYUnit": "µm",
    }
