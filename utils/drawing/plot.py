"""Axes on a canvas: numbers become places, with ticks and names along two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdl_sim.utils.drawing.canvas import Box, Canvas, text_width
from bayesdl_sim.utils.drawing.ticks import tick_texts

__all__ = ["Plot"]

TICK = 0.3  # length of a tick, in letters


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A box of a canvas with coordinates.

    Attributes:
        canvas, box: where it is drawn.
        x, y: coordinates at the left and right, and at the lower and upper side.
        size: height of the letters, screen pixels.
    """

    canvas: Canvas
    box: Box
    x: tuple[float, float]
    y: tuple[float, float]
    size: float = 14.0

    def places(self, x: ArrayLike, y: ArrayLike) -> NDArray:
        """Coordinates (n,) and (n,) as places on the canvas, (n, 2)."""
        left, top, right, bottom = self.box
        across = (np.asarray(x, np.float64) - self.x[0]) / (self.x[1] - self.x[0])
        up = (np.asarray(y, np.float64) - self.y[0]) / (self.y[1] - self.y[0])
        return np.stack([left + across * (right - left), bottom - up * (bottom - top)], axis=-1)

    def line(self, x: ArrayLike, y: ArrayLike, colour: str, width: float = 1.5) -> None:
        """A line through points; broken where one is NaN."""
        self.canvas.line(self.places(x, y), colour, width, self.box)

    def band(self, x: NDArray, low: NDArray, high: NDArray, colour: str, opacity: float) -> None:
        """The area between two lines; a gap where one is NaN."""
        known = np.isfinite(low) & np.isfinite(high)
        ends = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
        for a, b in ends.reshape(-1, 2):
            around = (
                np.concatenate([x[a:b], x[a:b][::-1]]),
                np.concatenate([low[a:b], high[a:b][::-1]]),
            )
            self.canvas.area(self.places(*around), colour, opacity, self.box)

    def grid(self, x: Sequence[float], y: Sequence[float], colour: str = "#e6e6e6") -> None:
        """Thin lines across at these coordinates."""
        for place in self.places(x, np.full(len(x), self.y[0]))[:, 0]:
            self.canvas.rectangle((place, self.box[1], place + 1, self.box[3]), colour)
        for place in self.places(np.full(len(y), self.x[0]), y)[:, 1]:
            self.canvas.rectangle((self.box[0], place, self.box[2], place + 1), colour)

    def below(self, values: Sequence[float], name: str = "", texts: Sequence[str] = ()) -> None:
        """Ticks along the lower side, and what they count."""
        bottom, tick = self.box[3], TICK * self.size
        places = self.places(values, np.full(len(values), self.y[0]))[:, 0]
        for x, words in zip(places, texts or tick_texts(values)[0], strict=True):
            self.canvas.rectangle((x, bottom, x + 1, bottom + tick), "black")
            self.canvas.text((x, bottom + 1.5 * tick), words, self.size, "ma")
        middle = ((self.box[0] + self.box[2]) / 2, bottom + 1.5 * tick + 1.35 * self.size)
        self.canvas.text(middle, name, self.size, "ma")

    def beside(self, values: Sequence[float], name: str = "", right: bool = False) -> None:
        """Ticks along the left or the right side, and what they count, from below to above.

        A power of ten that the numbers leave out stands above.
        """
        tick = TICK * self.size
        edge, away = (self.box[2], 1) if right else (self.box[0], -1)
        places = self.places(np.full(len(values), self.x[0]), values)[:, 1]
        texts, power = tick_texts(values)
        for y, words in zip(places, texts, strict=True):
            ends = sorted((edge, edge + away * tick))
            self.canvas.rectangle((ends[0], y, ends[1], y + 1), "black")
            at = (edge + 1.5 * away * tick, y)
            self.canvas.text(at, words, self.size, "lm" if right else "rm")
        if power:
            at = (edge, self.box[1] - 0.3 * self.size)
            self.canvas.text(at, power, self.size, "ls" if right else "rs")
        if name:
            widest = max((text_width(words, self.size) for words in texts), default=0.0)
            x = edge + away * (2 * tick + widest + 0.75 * self.size)
            # Hinted letters shrink by a little less than their size.
            fitting = 0.93 * self._room() / text_width(name, self.size)
            size = self.size * min(1.0, fitting)
            self.canvas.upright((x, (self.box[1] + self.box[3]) / 2), name, size)

    def frame(self) -> None:
        """The outline of the box."""
        self.canvas.frame(self.box)

    def _room(self) -> float:
        """What the canvas leaves to a name along the side, around the middle of the box."""
        middle = (self.box[1] + self.box[3]) / 2
        return 2 * min(middle, self.canvas.image.height - middle) - 2
