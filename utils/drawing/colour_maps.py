"""Values as colours: the colour maps of the pictures, and images on another grid of pixels."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["colour_map", "coloured", "resized"]

OPENCV = {
    "magma": cv2.COLORMAP_MAGMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
}
# ColorBrewer's diverging scheme RdBu, from blue to red.
BLUE_TO_RED = "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f"
NO_DATA = (192, 192, 192)
CLEARLY_LARGER = 3  # times: then every pixel is seen as a square


@cache
def colour_map(name: str) -> NDArray[np.uint8]:
    """The 256 colours (256, 3) of magma, viridis, cividis, RdBu_r or gray, by matplotlib's names.

    Raises:
        KeyError: another name.
    """
    if name == "RdBu_r":
        knots = np.array([list(bytes.fromhex(colour)) for colour in BLUE_TO_RED.split()])
        place, share = np.linspace(0, 1, len(knots)), np.linspace(0, 1, 256)
        columns = [np.interp(share, place, knots[:, n]).round() for n in range(3)]
        return np.stack(columns, axis=1).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    if name == "gray":
        return ramp.repeat(3, axis=1)
    return cv2.applyColorMap(ramp, OPENCV[name])[:, 0, ::-1]  # OpenCV has blue first


def coloured(image: NDArray, low: float, high: float, name: str) -> NDArray[np.uint8]:
    """The colours (H, W, 3) of an image (H, W) between two values; silver where it is NaN."""
    missing = np.isnan(image)
    place = np.where(missing, 0.0, (image - low) * (256 / (high - low))).clip(0, 255)
    colours = cv2.applyColorMap(place.astype(np.uint8), colour_map(name)[:, None])
    colours[missing] = NO_DATA
    return colours


def resized(image: NDArray, size: tuple[float, float]) -> NDArray[np.float32]:
    """An image (H, W) on another grid of so many rows and columns; NaN stays NaN.

    Pixels stay squares where they become so many whole ones, or `CLEARLY_LARGER`; else they are
    averaged, so that nothing is skipped and no row is twice as high as the next.
    """
    height, width = (round(side) for side in size)
    if (height, width) == image.shape:
        return np.asarray(image, np.float32)
    times = height / image.shape[0], width / image.shape[1]
    whole = all(t >= CLEARLY_LARGER or t == round(t) for t in times)
    nearest, smooth = Image.Resampling.NEAREST, Image.Resampling.HAMMING
    missing = np.isnan(image)
    known = np.where(missing, np.nanmin(image), image).astype(np.float32)
    grid = Image.fromarray(known).resize((width, height), nearest if whole else smooth)
    values = np.array(grid)
    if missing.any():
        values[np.array(Image.fromarray(missing).resize((width, height), nearest))] = np.nan
    return values
