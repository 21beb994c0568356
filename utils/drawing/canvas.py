"""A picture in the making: images, shapes with smooth edges and letters on a grid of pixels.

A plotting library takes longer to load and to draw a few labels than a network takes for its
image; for the pictures of every stack this is enough. Places are (x, y) in screen pixels from the
upper left corner, boxes (left, top, right, bottom).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from bayesdl_sim.utils.files import atomic_path

__all__ = ["Box", "Canvas", "text_width"]

Box = tuple[float, float, float, float]
SMOOTH = 4  # shapes are drawn so many times larger, and reduced
FONT = "DejaVuSans.ttf"
HATCH, HATCHED = 9, 2  # pixels from one line of a hatching to the next, and of the line


class Canvas:
    """A white picture of whole pixels; what is drawn later lies on top."""

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("RGB", (round(width), round(height)), "white")
        self._pen = ImageDraw.Draw(self.image)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture as (h, w, 3)."""
        return np.asarray(self.image)

    def save(self, path: str | Path) -> None:
        """Writes a PNG, whole or not at all."""
        # OpenCV packs with one filter for all rows, and Pillow tries all of them on every row: half
        # the time and a sixth more bytes. Its default is quicker than its lowest level.
        done, content = cv2.imencode(".png", cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR))
        if not done:
            raise OSError(f"{path}: the picture was not packed")
        with atomic_path(path) as partial:
            partial.write_bytes(content)

    def picture(self, box: Box, colours: NDArray[np.uint8]) -> None:
        """Colours (h, w, 3) from the upper left corner of a box on, one pixel each."""
        self.image.paste(Image.fromarray(colours), _corner(box))

    def rectangle(self, box: Box, colour: str, outline: str | None = None, line: int = 1) -> None:
        """A filled box of at least one pixel, with a line around it on its outside."""
        left, top, right, bottom = (round(side) for side in box)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        if outline is not None:
            grown = (left - line, top - line, right + line - 1, bottom + line - 1)
            self._pen.rectangle(grown, fill=outline)
        self._pen.rectangle((left, top, right - 1, bottom - 1), fill=colour)

    def frame(self, box: Box, colour: str = "black", line: int = 1) -> None:
        """The outline of a box, along its inside."""
        left, top, right, bottom = (round(side) for side in box)
        self._pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=line)

    def hatch(self, box: Box) -> None:
        """Grey lines over a box whose content does not count."""
        left, top, right, bottom = (round(side) for side in box)
        rows, columns = np.mgrid[top:bottom, left:right]
        lines = (rows + columns) % HATCH < HATCHED
        grey = np.where(lines, 105, 211).astype(np.uint8)[..., None].repeat(3, axis=-1)
        self.picture(box, grey)

    def line(self, places: ArrayLike, colour: str, width: float, inside: Box | None = None) -> None:
        """A line through places (n, 2); where one is NaN, it is broken."""
        for part in _finite_parts(np.asarray(places, np.float64)):

            def draw(pen: ImageDraw.ImageDraw, to: Callable, part: NDArray = part) -> None:
                pen.line(to(part), fill=255, width=round(SMOOTH * width), joint="curve")

            self._shape(part, width, colour, draw, inside)

    def area(
        self, places: ArrayLike, colour: str, opacity: float = 1.0, inside: Box | None = None
    ) -> None:
        """A filled polygon with corners (n, 2)."""
        corners = np.asarray(places, np.float64)

        def draw(pen: ImageDraw.ImageDraw, to: Callable) -> None:
            pen.polygon(to(corners), fill=round(255 * opacity))

        self._shape(corners, 0.0, colour, draw, inside)

    def circle(
        self,
        centre: tuple[float, float],
        radius: float,
        colour: str,
        width: float,
        inside: Box | None = None,
        dashes: int = 0,
    ) -> None:
        """The outline of a circle, in so many dashes; 0 draws it solid."""
        middle = np.array(centre)
        corners = np.stack([middle - radius - width / 2, middle + radius + width / 2])
        arcs = [(0.0, 360.0)]
        if dashes:
            step = 360 / dashes
            arcs = [(n * step, (n + 0.7) * step) for n in range(dashes)]

        def draw(pen: ImageDraw.ImageDraw, to: Callable) -> None:
            for first, last in arcs:
                pen.arc(to(corners), first, last, fill=255, width=round(SMOOTH * width))

        self._shape(corners, width, colour, draw, inside)

    def text(
        self,
        place: tuple[float, float],
        words: str,
        size: float,
        anchor: str = "ls",
        colour: str = "black",
        outline: float = 0.0,
    ) -> Box:
        """Letters of a height; gives the box that they fill.

        Args:
            anchor: which point of the words lies at the place: l, m or r, then a (top), m or s
                (base line).
            outline: width of the black line around the letters.
        """
        style = {"font": _font(size), "anchor": anchor, "stroke_width": round(outline)}
        self._pen.text(place, words, fill=colour, stroke_fill="black", **style)
        return self._pen.textbbox(place, words, **style)

    def upright(self, centre: tuple[float, float], words: str, size: float) -> Box:
        """Text that reads upwards, around a centre; gives its box."""
        font = _font(size)
        left, top, right, bottom = font.getbbox(words)
        mask = Image.new("L", (math.ceil(right - left) + 2, math.ceil(bottom - top) + 2))
        ImageDraw.Draw(mask).text((1 - left, 1 - top), words, fill=255, font=font)
        mask = mask.transpose(Image.Transpose.ROTATE_90)
        corner = tuple(round(at - side / 2) for at, side in zip(centre, mask.size, strict=True))
        self.image.paste("black", corner, mask)
        return (*corner, corner[0] + mask.width, corner[1] + mask.height)

    def _shape(
        self, corners: NDArray, reach: float, colour: str, draw: Callable, inside: Box | None
    ) -> None:
        """Draws on a larger grid around the corners, within a box, and blends the means in."""
        left, top, right, bottom = (0, 0, *self.image.size) if inside is None else inside
        low = np.floor(np.maximum(corners.min(axis=0) - reach, (left, top))).astype(int)
        high = np.ceil(np.minimum(corners.max(axis=0) + reach, (right, bottom))).astype(int)
        if (high <= low).any():
            return
        mask = Image.new("L", tuple((SMOOTH * (high - low)).tolist()))
        pen = ImageDraw.Draw(mask)
        draw(pen, lambda places: [tuple(p) for p in (SMOOTH * (places - low)).tolist()])
        self.image.paste(colour, tuple(low.tolist()), mask.reduce(SMOOTH))


def text_width(words: str, size: float) -> float:
    """Screen pixels that words of a height take."""
    return _font(size).getlength(words)


def _corner(box: Box) -> tuple[int, int]:
    return round(box[0]), round(box[1])


def _finite_parts(places: NDArray) -> list[NDArray]:
    """Runs of two places or more without a gap."""
    known = np.isfinite(places).all(axis=1)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
    return [places[a:b] for a, b in ends.reshape(-1, 2) if b - a > 1]


@cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib, which need not be loaded for it; else the system's."""
    package = importlib.util.find_spec("matplotlib")
    path = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / FONT if package else None
    name = str(path) if path is not None and path.is_file() else FONT
    # Without the other engine, which not every build has: the same letters everywhere.
    return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
