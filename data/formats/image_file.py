"""An image file as series of images with named axes, whatever its format."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bayesdl_sim.physics.lens import APERTURES

__all__ = [
    "Channel",
    "ImageFile",
    "Page",
    "Series",
    "plausible_aperture",
    "plausible_wavelength",
]

Page = Callable[[int], np.ndarray]
LIGHT_NM = (200.0, 2000.0)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A colour of a file.

    Attributes:
        name: empty where the file gives none.
        emission_nm, excitation_nm: wavelengths; None where the file does not state them.
        na: numerical aperture of the objective; None where the file does not state it.
    """

    name: str = ""
    emission_nm: float | None = None
    excitation_nm: float | None = None
    na: float | None = None

    @property
    def wavelength_nm(self) -> float | None:
        """The emission wavelength if the file states it, else that of the excitation."""
        return self.emission_nm or self.excitation_nm


@dataclass(frozen=True, kw_only=True)
class Series:
    """One acquisition of a file; its pixels are read by `read`, and only then.

    Attributes:
        axes: a letter for each axis but rows and columns, slowest first: T time, C colour, Z plane,
            R position, A orientation, P phase, S sample of a pixel, Q unknown.
        shape: sizes of those axes, then height and width.
        dtype: number type of the pixels.
        read: gives the pixels in that shape.
        name: name of the series, for people; may be empty.
        channels: channels of the axis C; empty where the file names none.
        pages: opens the file for reading image by image, and gives a function from the number of
            an image, in C order of `shape`, to its (H, W) pixels; None where the format can only
            be read whole.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]
    name: str = ""
    channels: tuple[Channel, ...] = ()
    pages: Callable[[], Page] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.shape[-2], self.shape[-1]

    @property
    def images(self) -> int:
        """Number of images."""
        return math.prod(self.shape[:-2])

    def __str__(self) -> str:
        return f"{self.axes}YX {'x'.join(map(str, self.shape))}"


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """Contents of a file, without its pixels.

    Attributes:
        path: the file.
        format: name of the format for people, such as OME-TIFF.
        series: all of them, thumbnails included.
        named_axes: whether the file itself names its axes.
        pixel_size_nm: width of a pixel, None where the file does not state it.
        pixel_height_nm: its height.
    """

    path: Path
    format: str
    series: tuple[Series, ...]
    named_axes: bool = False
    pixel_size_nm: float | None = None
    pixel_height_nm: float | None = None


def plausible_wavelength(nm: float | None) -> float | None:
    """A wavelength from a file; None if it cannot be that of light, such as 0."""
    return nm if nm is not None and LIGHT_NM[0] < nm < LIGHT_NM[1] else None


def plausible_aperture(na: float | None) -> float | None:
    """A numerical aperture from a file; None if no objective has it."""
    return na if na is not None and APERTURES[0] <= na <= APERTURES[1] else None
