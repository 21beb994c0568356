"""Membrane organelles: endoplasmic reticulum and mitochondria with cristae."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from scipy.spatial import Voronoi
from torch import Tensor

from bayesdl_sim.physics.structures.canvas import Canvas, Curves, random_curves
from bayesdl_sim.physics.structures.cells import Cell

__all__ = ["mitochondria", "reticulum"]


def reticulum(canvas: Canvas, cell: Cell, density: float) -> Tensor:
    """Endoplasmic reticulum: tubules that meet three at a time, and flat sheets.

    The mesh is 2.5 um wide at density 0 and 250 nm at density 1.
    """
    mesh = 2500.0 * 0.1**density
    image = (_tubules if canvas.chance(0.6) else _ridges)(canvas, mesh)
    if canvas.chance(0.5):
        image = _with_sheets(canvas, image, mesh)
    return image * cell.outline


def _tubules(canvas: Canvas, mesh_nm: float) -> Tensor:
    """Edges of a jittered Voronoi diagram, a little curved, some missing."""
    rows, columns = (math.ceil(s / mesh_nm) + 4 for s in (canvas.height_nm, canvas.width_nm))
    grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).float() - 1.5
    seeds = (grid + canvas.normal(len(grid), 2) * canvas.number(0.25, 0.55)) * mesh_nm
    diagram = Voronoi(seeds.double().numpy())
    edges = torch.as_tensor(diagram.ridge_vertices)
    edges = edges[(edges >= 0).all(1)]
    ends = torch.as_tensor(diagram.vertices, dtype=torch.float32)[edges]  # (E, 2 ends, 2)
    kept = canvas.uniform(0, 1, len(ends)) > canvas.number(0.0, 0.3)
    ends = ends[kept | (torch.arange(len(ends)) == 0)]
    along = ends[:, 1] - ends[:, 0]
    length = along.norm(dim=1).clamp(max=4 * mesh_nm)
    counts = (length / (0.35 * canvas.pixel_size_nm)).ceil().long().clamp(min=2)
    owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
    t = canvas.uniform(0, 1, len(owner))
    t = ((torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]) + t) / counts[owner]
    radius = canvas.number(25, 60)
    bow = canvas.normal(len(ends)) * canvas.number(0.05, 0.2)
    # Labels sit on the wall of the tube, which is seen in projection.
    wall = radius * torch.sin(canvas.uniform(-math.pi / 2, math.pi / 2, len(owner)))
    side = 4 * bow[owner] * t * (1 - t) + wall / along.norm(dim=1)[owner].clamp(min=1.0)
    y = ends[owner, 0, 0] + along[owner, 0] * t + along[owner, 1] * side
    x = ends[owner, 0, 1] + along[owner, 1] * t - along[owner, 0] * side
    brightness = canvas.lognormal(0.35, canvas.number(0.05, 0.4), len(ends))
    return canvas.splat(y, x, brightness[owner])


def _ridges(canvas: Canvas, mesh_nm: float) -> Tensor:
    """Lines along which the largest two of several smooth random fields are equal."""
    fields = canvas.field(mesh_nm * 0.9, 5)
    best = fields.topk(2, dim=0).values
    gap = best[0] - best[1]
    slope_y, slope_x = torch.gradient(gap)
    distance = gap / torch.hypot(slope_y, slope_x).clamp(min=1e-6) * canvas.pixel_size_nm
    radius = canvas.number(25, 60) + 0.3 * canvas.pixel_size_nm
    line = torch.exp(-0.5 * (distance / radius) ** 2)
    return torch.where(line > 0.02, line, 0.0)


def _with_sheets(canvas: Canvas, image: Tensor, mesh_nm: float) -> Tensor:
    """Replaces the net by soft, evenly bright sheets with holes where a random field is high."""
    where = canvas.field(canvas.number(1500, 4000))[0]
    sheet = ((where - canvas.number(0.7, 1.6)) / 0.15).clamp(0, 1)
    texture = canvas.field(canvas.number(150, 400))[0]
    holes = ((texture + canvas.number(1.2, 2.5)) / 0.4).clamp(0, 1)
    level = canvas.number(0.25, 0.9)
    fill = level * holes * (1 + 0.15 * texture).clamp(min=0)
    return image * (1 - 0.7 * sheet) + sheet * fill


def mitochondria(canvas: Canvas, cell: Cell, density: float) -> Tensor:
    """Mitochondria: tubes and swollen spheres with matrix, outer membrane and cristae.

    Each label is a mix of three parts. In material coordinates (`s` along, `u` across in -1..1):
    matrix `sqrt(1 - u^2)` (thickness of a tube), membrane at `|u| = 1`, cristae as thin lamellae.
    """
    centres = cell.places(canvas, canvas.count(0.03 * 16.0**density, 1500.0), 1500.0)
    n = len(centres)
    mix = _labelling(canvas)
    radius = canvas.lognormal(canvas.number(140, 280), 0.15, n).clamp(125, 350)
    length = canvas.lognormal(canvas.number(1000, 4000), 0.6, n).clamp(500, 8000)
    swollen = canvas.uniform(0, 1, n) < canvas.number(0.0, 0.3)
    radius = torch.where(swollen, canvas.uniform(250, 750, n), radius)
    length = torch.maximum(torch.where(swollen, 2 * radius, length), 2 * radius)
    angles = canvas.number(0, math.pi) + canvas.normal(n) * canvas.number(0.4, 2.0)
    bend = canvas.normal(n) * 4e-4
    axis = random_curves(canvas, centres, angles, length, 12000.0, bend, step_px=0.7)
    bright = canvas.lognormal(1.0, 0.4, n)
    image = _tubes(canvas, axis, radius, length, bright, mix)
    return torch.maximum(image, _branches(canvas, axis, radius, length, bright, mix))


def _branches(
    canvas: Canvas, trunk: Curves, radius: Tensor, length: Tensor, bright: Tensor, mix: Mix
) -> Tensor:
    """Side tubes: each leaves a trunk at a random point, at 40 to 80 degrees."""
    long = (length > 4 * radius) & (canvas.uniform(0, 1, len(length)) < 0.25)
    parent = long.nonzero().squeeze(1)
    if len(parent) == 0:
        return torch.zeros(canvas.shape)
    n = len(parent)
    first = torch.searchsorted(trunk.owner, parent)
    size = torch.bincount(trunk.owner, minlength=len(length))[parent]
    point = first + (canvas.uniform(0.2, 0.8, n) * size).long()
    turn = canvas.uniform(0.7, 1.4, n) * (2 * canvas.integers(0, 2, n) - 1)
    angles = trunk.heading[point] + turn
    # It starts inside the trunk's wall, so that the joint is closed without being twice as bright.
    start = torch.stack([trunk.y_nm[point], trunk.x_nm[point]], 1)
    start += 0.6 * radius[parent, None] * torch.stack([angles.sin(), angles.cos()], 1)
    thickness = (radius[parent] * 0.9).clamp(min=125)
    extent = torch.maximum(canvas.lognormal(1200.0, 0.4, n), 2 * thickness)
    axis = random_curves(
        canvas, start, angles, extent, 12000.0, canvas.normal(n) * 4e-4, 0.7, start_here=True
    )
    return _tubes(canvas, axis, thickness, extent, bright[parent], mix)


def _tubes(
    canvas: Canvas, axis: Curves, radius: Tensor, length: Tensor, bright: Tensor, mix: Mix
) -> Tensor:
    """Fills tubes around `axis` with points in material coordinates and labels them."""
    owner = axis.owner
    # Round ends; slow swelling and thinning in between.
    beyond = (axis.arc_nm - length[owner] / 2).abs() - (length / 2 - radius)[owner]
    cap = (1 - (beyond.clamp(min=0) / radius[owner]).clamp(max=1) ** 2).sqrt()
    waves = 0.1 * torch.sin(axis.arc_nm / canvas.uniform(150, 500, len(radius))[owner])
    half = radius[owner] * cap * (1 + waves)
    counts = (2 * half / (0.85 * canvas.pixel_size_nm)).ceil().long()
    hidden = (axis.y_nm < -half) | (axis.y_nm > canvas.height_nm + half)
    hidden |= (axis.x_nm < -half) | (axis.x_nm > canvas.width_nm + half)
    counts[hidden] = 0
    row = torch.repeat_interleave(torch.arange(len(owner)), counts)
    rank = torch.arange(len(row)) - (counts.cumsum(0) - counts)[row]
    u = 2 * (rank + canvas.uniform(0, 1, len(row))) / counts[row] - 1
    half, owner = half[row], owner[row]
    heading = axis.heading
    y = axis.y_nm[row] + u * half * torch.cos(heading)[row]
    x = axis.x_nm[row] - u * half * torch.sin(heading)[row]
    label = mix.matrix * (1 - u**2).clamp(min=0).sqrt()
    if mix.membrane > 0:
        label += mix.membrane * torch.exp(-0.5 * ((1 - u.abs()) * half / 20.0) ** 2)
    if mix.cristae > 0:
        label += mix.cristae * _cristae(canvas, owner, axis.arc_nm[row], u, half, len(radius))
    # Each row has points in whole numbers, so a point stands for its share of the width.
    return canvas.splat(y, x, label * bright[owner] * half / counts[row])


class Mix(NamedTuple):
    """Brightness of the three labelled parts of a mitochondrion."""

    matrix: float
    membrane: float
    cristae: float


def _labelling(canvas: Canvas) -> Mix:
    """A stain of the matrix, of all membranes, or of the inner membrane over a bright inside."""
    style = canvas.number(0, 1)
    if style < 0.25:
        return Mix(1.0, canvas.number(0, 0.1), canvas.number(0, 0.15))
    if style < 0.5:
        return Mix(canvas.number(0.1, 0.6), canvas.number(0.2, 0.8), canvas.number(0.5, 1.0))
    return Mix(canvas.number(0.2, 1.0), canvas.number(0.0, 0.2), canvas.number(0.6, 1.5))


def _cristae(canvas: Canvas, owner: Tensor, s: Tensor, u: Tensor, half: Tensor, n: int) -> Tensor:
    """Lamellae 60-160 nm apart, mostly transverse, each of its own extent and brightness.

    In units of the spacing, every whole number is the slot of one lamella, at a random place in it;
    a tenth of the mitochondria has them lengthwise.
    """
    slots = 160
    spacing = canvas.uniform(60, 160, n)
    tilt = canvas.normal(n) * 0.3
    tilt = torch.where(canvas.uniform(0, 1, n) < 0.1, tilt * 3, tilt)
    lengthwise = canvas.uniform(0, 1, n) < 0.1
    across = u * half
    place = torch.where(lengthwise[owner], across + 800 + 0.15 * s, s + tilt[owner] * across + 800)
    place = place / spacing[owner]
    slot = place.floor().long().clamp(0, slots - 1)
    index = owner * slots + slot
    position = canvas.uniform(0.25, 0.75, n * slots)
    middle = canvas.normal(n * slots) * 0.4
    extent = canvas.uniform(0.3, 1.2, n * slots)
    bright = canvas.lognormal(1.0, 0.5, n * slots)
    distance = (place - slot - position[index]) * spacing[owner]
    reach = (1.5 - ((u - middle[index]).abs() - extent[index]) * 4).clamp(0, 1)
    return bright[index] * reach * torch.exp(-0.5 * (distance / 16.0) ** 2)
