"""Small round things: clathrin-coated pits and fluorescent beads."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.physics.structures.canvas import Canvas
from bayesdl_sim.physics.structures.cells import Cell

__all__ = ["beads", "coated_pits", "discs", "rings"]

GOLDEN = math.pi * (3 - math.sqrt(5))


def rings(
    canvas: Canvas, centres_nm: Tensor, diameters_nm: Tensor, weights: Tensor, arcs: Tensor
) -> Tensor:
    """Rings of a given diameter; `arcs` is the share of the circle that is there, 0 to 1."""
    n, points = len(centres_nm), 32
    turn = (torch.arange(points) / points)[None, :]
    angle = 2 * math.pi * (turn + canvas.uniform(0, 1, n, 1))
    oval = 1 + 0.12 * canvas.normal(n, 1)
    tilt = canvas.uniform(0, math.pi, n, 1)
    # A coat is a dome seen from above: its rim is bright, with some signal inside of it.
    radius = diameters_nm[:, None] / 2 * (1 - 0.12 * canvas.normal(n, points).abs())
    u, v = radius * torch.cos(angle) * oval, radius * torch.sin(angle) / oval
    y = centres_nm[:, :1] + u * torch.sin(tilt) + v * torch.cos(tilt)
    x = centres_nm[:, 1:] + u * torch.cos(tilt) - v * torch.sin(tilt)
    labels = canvas.uniform(0.3, 1.7, n, points) * (turn < arcs[:, None])
    weight = weights[:, None] * labels / points
    return canvas.splat(y.flatten(), x.flatten(), weight.flatten())


def discs(canvas: Canvas, centres_nm: Tensor, diameters_nm: Tensor, weights: Tensor) -> Tensor:
    """Projected balls: 48 points on a sunflower spiral, weighted by the thickness above them."""
    points = 48
    rank = (torch.arange(points) + 0.5) / points
    angle = torch.arange(points) * GOLDEN
    radius = diameters_nm[:, None] / 2 * rank.sqrt()
    y = centres_nm[:, :1] + radius * torch.sin(angle)
    x = centres_nm[:, 1:] + radius * torch.cos(angle)
    weight = weights[:, None] * (1 - rank).sqrt()[None, :] * 1.5 / points
    return canvas.splat(y.flatten(), x.flatten(), weight.flatten())


def _clustered(canvas: Canvas, places: Tensor, share: float, distance_nm: float) -> Tensor:
    """Moves a share of the places beside others, so that they form clusters."""
    n = len(places)
    parents = places[(canvas.uniform(0, 1, n) ** 2 * n).long().clamp(max=n - 1)]
    shift = canvas.normal(n, 2) * distance_nm
    moved = canvas.uniform(0, 1, n, 1) < share
    moved[0] = False
    return torch.where(moved, parents + shift, places)


def coated_pits(canvas: Canvas, cell: Cell, density: float) -> Tensor:
    """Clathrin-coated pits: rings of 60-150 nm, whole or partial, dots, clusters and plaques."""
    places = cell.places(canvas, canvas.count(0.08 * 180.0**density), 0.0)
    places = _clustered(canvas, places, canvas.number(0, 0.5), 180.0)
    n = len(places)
    diameters = canvas.uniform(60, 150, n)
    bright = canvas.lognormal(1.0, canvas.number(0.2, 0.6), n)
    ring = (canvas.uniform(0, 1, n) < canvas.number(0.4, 0.95)).float()
    arcs = torch.where(canvas.uniform(0, 1, n) < 0.3, canvas.uniform(0.4, 0.9, n), torch.ones(n))
    image = rings(canvas, places, diameters, bright * ring, arcs)
    image += discs(canvas, places, diameters * 0.7, bright * (1 - ring) * 0.8)
    if canvas.chance(0.5):
        image += _plaques(canvas, cell, 0.01 * 30.0**density)
    return image


def _plaques(canvas: Canvas, cell: Cell, per_um2: float) -> Tensor:
    """Flat clathrin lattices, 200-600 nm: crowds of small patches with a ragged outline."""
    centres = cell.places(canvas, canvas.count(per_um2), 0.0)
    n, patches = len(centres), 24
    size = canvas.uniform(50, 140, n, 1, 1)
    at = (centres[:, None, :] + canvas.normal(n, patches, 2) * size).reshape(-1, 2)
    weights = canvas.lognormal(0.25, 0.5, n * patches)
    return discs(canvas, at, canvas.uniform(50, 110, n * patches), weights)


def beads(canvas: Canvas, cell: Cell, density: float) -> Tensor:
    """Beads of 40-200 nm, of one size or mixed, single and in aggregates."""
    size = canvas.number(40, 200)
    places = cell.places(canvas, canvas.count(0.05 * 160.0**density), 0.0)
    places = _clustered(canvas, places, canvas.number(0, 0.4), size * 0.8)
    n = len(places)
    diameters = canvas.lognormal(size, canvas.number(0.0, 0.3), n).clamp(40, 200)
    return discs(canvas, places, diameters, canvas.lognormal(1.0, canvas.number(0.05, 0.8), n))
