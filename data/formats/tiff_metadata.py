"""Pixel sizes, colours and apertures that TIFF files of microscopes and Fiji state."""

from __future__ import annotations

import contextlib
import math
import xml.etree.ElementTree as ElementTree

import tifffile

from bayesdl_sim.data.formats.image_file import Channel, plausible_aperture, plausible_wavelength

__all__ = ["channels_of", "pixel_sizes_nm"]

UNIT_NM = {
    **dict.fromkeys(("nm", "nanometer", "nanometers"), 1.0),
    **dict.fromkeys(("micron", "microns", "um", "\u00b5m", "\u03bcm", "\\u00b5m"), 1e3),
    **dict.fromkeys(("micrometer", "micrometers"), 1e3),
    **dict.fromkeys(("mm", "millimeter"), 1e6),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 1e7),
    **dict.fromkeys(("m", "meter"), 1e9),
    **dict.fromkeys(("inch", "inches"), 25.4e6),
}
PLAUSIBLE_NM = (5.0, 1000.0)  # uncalibrated files state 1 um, or a printer's 72 dpi (352778 nm)


def pixel_sizes_nm(file: tifffile.TiffFile) -> tuple[float | None, float | None]:
    """Width and height of a pixel in nm, each None if not stated or not plausible.

    Plausible is 5 to 1000 nm; 1000 nm itself is a placeholder.
    """
    sizes: tuple[float | None, float | None] = (None, None)
    with contextlib.suppress(Exception):  # odd metadata must not stop the reading of the image
        sizes = _ome_nm(file.ome_metadata) if file.is_ome else _resolution_nm(file)
    width, height = (_plausible(size) for size in sizes)
    return width, height


def channels_of(file: tifffile.TiffFile) -> list[tuple[Channel, ...]]:
    """The colours of each series of an OME-TIFF; an empty list for other files."""
    if not file.is_ome:
        return []
    with contextlib.suppress(Exception):
        root = ElementTree.fromstring(file.ome_metadata)
        lenses = {lens.get("ID"): lens for lens in root.findall("{*}Instrument/{*}Objective")}
        colours = []
        for image in root.findall("{*}Image"):
            na = _aperture(image, lenses)
            elements = image.findall("{*}Pixels/{*}Channel")
            colours.append(tuple(_channel(element, na) for element in elements))
        return colours
    return []


def _channel(element: ElementTree.Element, na: float | None) -> Channel:
    return Channel(
        name=element.get("Name", "").strip(),
        emission_nm=_wavelength(element, "EmissionWavelength"),
        excitation_nm=_wavelength(element, "ExcitationWavelength"),
        na=na,
    )


def _wavelength(element: ElementTree.Element, name: str) -> float | None:
    with contextlib.suppress(KeyError, ValueError):
        unit = element.get(f"{name}Unit", "nm").strip().lower()
        return plausible_wavelength(float(element.attrib[name]) * UNIT_NM[unit])
    return None


def _aperture(
    image: ElementTree.Element, lenses: dict[str | None, ElementTree.Element]
) -> float | None:
    """Aperture of the objective that an image names, or of the only one in its file."""
    settings = image.find("{*}ObjectiveSettings")
    lens = lenses.get(settings.get("ID")) if settings is not None else None
    if settings is None and len(lenses) == 1:
        (lens,) = lenses.values()
    with contextlib.suppress(TypeError, ValueError):
        return plausible_aperture(float(lens.get("LensNA"))) if lens is not None else None
    return None


def _plausible(size: float | None) -> float | None:
    if size is None or not PLAUSIBLE_NM[0] <= size < PLAUSIBLE_NM[1]:  # also NaN
        return None
    return size


def _ome_nm(xml: str) -> tuple[float | None, float | None]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return None, None
    sizes = []
    for name in ("PhysicalSizeX", "PhysicalSizeY"):
        if name in pixels.attrib:
            unit = pixels.get(f"{name}Unit", "um").strip().lower()
            sizes.append(float(pixels.attrib[name]) * UNIT_NM[unit])
        else:
            sizes.append(None)
    return sizes[0], sizes[1]


def _resolution_nm(file: tifffile.TiffFile) -> tuple[float | None, float | None]:
    page = file.pages.first
    unit = (file.imagej_metadata or {}).get("unit")
    if unit is None:  # a plain TIFF states pixels per inch or per centimetre only
        unit = {2: "inch", 3: "cm"}[int(page.tags["ResolutionUnit"].value)]
    width = _per_pixel(page, "XResolution", str(unit))
    height = _per_pixel(page, "YResolution", str(unit)) if "YResolution" in page.tags else None
    return width, height


def _per_pixel(page: tifffile.TiffPage, tag: str, unit: str) -> float:
    numerator, denominator = page.tags[tag].value
    size = UNIT_NM[unit.strip().lower()] * denominator / numerator
    return size if math.isfinite(size) else 0.0
