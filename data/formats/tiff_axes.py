"""Axes of a TIFF file in the letters of `data.formats.image_file`."""

from __future__ import annotations

import tifffile

__all__ = ["FORMATS", "axes_of", "leading_axes"]

FORMATS = {
    "ome": "OME-TIFF",
    "imagej": "ImageJ TIFF",
    "lsm": "Zeiss LSM",
    "mmstack": "Micro-Manager",
}
POSITION = {"lsm": str.maketrans("PM", "RR")}  # the letters P and M of LSM are positions
KNOWN_AXES = "TCZRAPS"


def axes_of(part: tifffile.TiffPageSeries, file: tifffile.TiffFile) -> tuple[str, tuple[int, ...]]:
    """Letters of all axes but rows and columns, and the shape with rows and columns last."""
    if "Y" not in part.axes or "X" not in part.axes:
        raise ValueError("it holds no image")
    letters = part.axes.translate(POSITION.get(part.kind, {}))
    order = leading_axes(part.axes)
    if part.kind == "imagej" and not (file.imagej_metadata or {}).get("hyperstack"):
        letters = letters.replace("Z", "Q")  # Fiji calls the images of any stack slices
    shape = part.shape
    if part.kind == "shaped" and _is_stack_of_three(part):
        letters = letters.replace("S", "Q")
    axes = "".join(letters[i] if letters[i] in KNOWN_AXES else "Q" for i in order)
    rows, columns = part.axes.rindex("Y"), part.axes.rindex("X")
    return axes, (*(shape[i] for i in order), shape[rows], shape[columns])


def leading_axes(axes: str) -> list[int]:
    """Places of the axes that are neither rows nor columns."""
    image = (axes.rindex("Y"), axes.rindex("X"))
    return [i for i in range(len(axes)) if i not in image]


def _is_stack_of_three(part: tifffile.TiffPageSeries) -> bool:
    """An array (..., 3, H, W) of counts, which a writer took for red, green and blue."""
    axes = part.axes
    return "S" in axes and axes.index("S") < axes.index("Y") and part.dtype.itemsize > 1
