"""The cell that a structure lives in: its outline, and which parts are in focus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bayesdl_sim.physics.structures.canvas import Canvas

__all__ = ["Cell", "random_cell"]


@dataclass(frozen=True)
class Cell:
    """A cell on a canvas.

    Args:
        outline: `(H, W)`, 1 inside, 0 outside, soft at the edge.
        focus: `(H, W)` positive brightness factor: parts out of the focal plane are dimmer.
    """

    outline: Tensor
    focus: Tensor

    def places(self, canvas: Canvas, count: int, margin_nm: float) -> Tensor:
        """Random places `(n, 2)`, y and x in nm: those of `count` tries that fall into the cell.

        They crowd where `focus` is high, and may lie up to `margin_nm` outside the canvas. The
        first lies on the canvas and in the cell, so that no structure is empty.
        """
        crowding = (self.focus / self.focus.max()).sqrt()
        places = self._anywhere(canvas, count, margin_nm)
        lonely = self._at(canvas, crowding, places) < canvas.uniform(0, 1, count)
        places = torch.where(lonely[:, None], self._anywhere(canvas, count, margin_nm), places)
        inside = (self.outline > 0.5).nonzero()
        pick = inside[int(canvas.integers(0, len(inside)))]
        places[0] = (pick + canvas.uniform(0, 1, 2)) * canvas.pixel_size_nm
        kept = self._at(canvas, self.outline, places) > canvas.uniform(0, 1, count)
        kept[0] = True
        return places[kept]

    @staticmethod
    def _anywhere(canvas: Canvas, count: int, margin_nm: float) -> Tensor:
        size = torch.tensor([canvas.height_nm, canvas.width_nm])
        return canvas.uniform(0, 1, count, 2) * (size + 2 * margin_nm) - margin_nm

    @staticmethod
    def _at(canvas: Canvas, image: Tensor, places: Tensor) -> Tensor:
        return image[canvas.pixel(places[:, 0], 0), canvas.pixel(places[:, 1], 1)]


def _outline(canvas: Canvas) -> Tensor:
    """A round cell with a wavy, soft edge; the field shows it all or a part of it."""
    coarse = [max(8, math.ceil(n / 4)) for n in canvas.shape]
    extent = max(canvas.height_nm, canvas.width_nm)
    radius = canvas.number(0.45, 1.1) * extent
    angle = canvas.number(0, 2 * math.pi)
    away = canvas.number(0.0, 0.9) * radius
    centre_y = canvas.height_nm / 2 + away * math.sin(angle)
    centre_x = canvas.width_nm / 2 + away * math.cos(angle)
    y = (torch.arange(coarse[0]) + 0.5)[:, None] * canvas.height_nm / coarse[0] - centre_y
    x = (torch.arange(coarse[1]) + 0.5)[None, :] * canvas.width_nm / coarse[1] - centre_x
    around = torch.atan2(y, x)
    edge = torch.full_like(around, radius)
    for order in range(1, 9):
        size = canvas.normal(1) * 0.35 * radius / (1 + order) ** 1.3
        edge += size * torch.cos(order * around + canvas.number(0, 2 * math.pi))
    softness = canvas.number(60, 600)
    inside = ((edge - torch.hypot(y, x)) / softness + 0.5).clamp(0, 1)
    return interpolate(inside[None, None], size=canvas.shape, mode="bilinear")[0, 0]


def random_cell(canvas: Canvas, whole: bool = False) -> Cell:
    """Draws outline and focus; `whole` fills the field (as do about four cells in ten)."""
    outline = torch.ones(canvas.shape)
    if not whole and canvas.chance(0.6):
        outline = _outline(canvas)
        if outline.max() < 0.9:  # the field missed the cell
            outline = torch.ones(canvas.shape)
    focus = canvas.field(canvas.number(3000, 12000))[0] * canvas.number(0.1, 0.5)
    return Cell(outline, torch.exp(focus))
