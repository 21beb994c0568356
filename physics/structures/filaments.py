"""Cytoskeleton: F-actin networks and microtubules, as fluorophore densities."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bayesdl_sim.physics.structures.canvas import Canvas, Curves, random_curves
from bayesdl_sim.physics.structures.cells import Cell

__all__ = ["f_actin", "microtubules"]


def _filaments(canvas: Canvas, curves: Curves, brightness: Tensor, width_nm: float) -> Tensor:
    """Image of labelled curves; labels sit at random places, up to `width_nm / 2` off the axis."""
    labelled = canvas.number(0.4, 1.0)
    weight = brightness[curves.owner] * (canvas.uniform(0, 1, len(curves.owner)) < labelled)
    if width_nm < canvas.pixel_size_nm / 2:
        return canvas.splat(curves.y_nm, curves.x_nm, weight)
    y, x = curves.offset(canvas.uniform(-0.5, 0.5, len(weight)) * width_nm)
    return canvas.splat(y, x, weight)


def _directions(canvas: Canvas, centres_nm: Tensor, spread: float, scale_nm: float) -> Tensor:
    """Headings that follow a preferred direction which changes over `scale_nm`."""
    preferred = canvas.field(scale_nm)[0] * 0.8 + canvas.number(0, math.pi)
    row, column = canvas.pixel(centres_nm[:, 0], 0), canvas.pixel(centres_nm[:, 1], 1)
    turned = canvas.integers(0, 2, len(row)) * math.pi
    return preferred[row, column] + spread * canvas.normal(len(row)) + turned


def _bundles(canvas: Canvas, cell: Cell, per_um2: float) -> Tensor:
    """Stress fibres: a few fibres side by side, each over a part of the common axis."""
    margin = 3000.0
    centres = cell.places(canvas, canvas.count(per_um2, margin), margin)
    angles = _directions(canvas, centres, 0.25, 12000.0)
    lengths = canvas.lognormal(8000.0, 0.5, len(centres)).clamp(3000, 25000)
    axis = random_curves(canvas, centres, angles, lengths, 30000.0)
    image = torch.zeros(canvas.shape)
    for _ in range(int(canvas.integers(3, 7))):
        side = canvas.normal(len(centres)) * canvas.number(40, 120)
        start = canvas.uniform(0, 0.5, len(centres))
        stop = start + canvas.uniform(0.3, 1.0, len(centres))
        inside = torch.minimum(axis.fraction - start[axis.owner], stop[axis.owner] - axis.fraction)
        part = (10 * inside).clamp(0, 1)  # the ends of a fibre fade
        brightness = canvas.lognormal(0.8, 0.4, len(centres))
        y, x = axis.offset(side[axis.owner] * (1 + 0.6 * (axis.fraction - 0.5)))
        image += canvas.splat(y, x, brightness[axis.owner] * part)
    return image


def _asters(canvas: Canvas, cell: Cell, per_um2: float) -> Tensor:
    """Bright foci with short filaments in all directions, as actin asters and patches show."""
    centres = cell.places(canvas, canvas.count(per_um2), 0.0)
    arms = 14
    hub = centres.repeat_interleave(arms, 0)
    # A patch is elongated: most of its arms follow one direction.
    along = canvas.uniform(0, math.pi, len(centres)).repeat_interleave(arms)
    angles = along + canvas.normal(len(hub)) * 0.9 + canvas.integers(0, 2, len(hub)) * math.pi
    length = canvas.lognormal(170.0, 0.5, len(hub)).clamp(60, 900)
    hub = hub + canvas.normal(len(hub), 2) * 45.0
    curves = random_curves(canvas, hub, angles, length, 2000.0, start_here=True)
    brightness = canvas.lognormal(0.9, 0.5, len(centres)).repeat_interleave(arms)
    return _filaments(canvas, curves, brightness, 0.0)


def f_actin(canvas: Canvas, cell: Cell, density: float) -> Tensor:
    """F-actin: a criss-cross of curved filaments with bundles, asters and a fine cortical mesh.

    The total filament length per area is 0.5 to 25 um/um^2; a random network of length `L` per area
    leaves meshes of about `2 / L`, so 4 um down to 80 nm, which no 2D-SIM resolves.
    """
    median = canvas.number(2500, 6000)
    persistence = 10 ** canvas.number(math.log10(4000), math.log10(15000))
    margin = 2000.0
    centres = cell.places(
        canvas, canvas.count(0.5 * 50.0**density / (median * 1e-3), margin), margin
    )
    n = len(centres)
    angles = _directions(canvas, centres, canvas.number(0.3, 1.6), canvas.number(4000, 15000))
    lengths = canvas.lognormal(median, 0.5, n).clamp(700, 15000)
    bend = canvas.normal(n) * canvas.number(1e-4, 4e-4)
    curves = random_curves(canvas, centres, angles, lengths, persistence, bend)
    image = _filaments(canvas, curves, canvas.lognormal(1.0, canvas.number(0.3, 0.9), n), 0.0)
    if canvas.chance(0.5):
        image += _cortex(canvas, cell, 1.0 + 25.0 * density**2)
    if canvas.chance(0.6):
        image += _bundles(canvas, cell, canvas.number(0.002, 0.05) * (0.3 + density))
    if canvas.chance(0.7):
        image += _asters(canvas, cell, 10 ** canvas.number(-2.0, -0.6))
    return image * cell.outline


def _cortex(canvas: Canvas, cell: Cell, per_um2: float) -> Tensor:
    """Cortical meshwork: short, weak filaments in all directions."""
    centres = cell.places(canvas, canvas.count(per_um2), 0.0)
    angles = canvas.uniform(0, 2 * math.pi, len(centres))
    lengths = canvas.lognormal(500.0, 0.4, len(centres)).clamp(150, 1500)
    curves = random_curves(canvas, centres, angles, lengths, 3000.0)
    return _filaments(canvas, curves, canvas.lognormal(0.3, 0.4, len(centres)), 0.0)


def microtubules(canvas: Canvas, cell: Cell, density: float) -> Tensor:
    """Microtubules: long, stiff, evenly bright, from an organising centre or side by side."""
    median = canvas.number(10000, 25000)
    margin = 5000.0
    centres = cell.places(
        canvas, canvas.count(0.15 * 50.0**density / (median * 1e-3), margin), margin
    )
    n = len(centres)
    if canvas.chance(0.4):
        hub = canvas.uniform(-0.2, 1.2, 2) * torch.tensor([canvas.height_nm, canvas.width_nm])
        away = centres - hub
        angles = torch.atan2(away[:, 0], away[:, 1]) + canvas.normal(n) * canvas.number(0.1, 0.5)
    else:
        angles = _directions(canvas, centres, canvas.number(0.1, 1.2), canvas.number(8e3, 3e4))
    lengths = canvas.lognormal(median, 0.4, n).clamp(2000, 45000)
    # Most are nearly straight, a few make a turn of 2 um radius.
    bend = canvas.lognormal(canvas.number(3e-5, 1.5e-4), 0.8, n).clamp(max=5e-4)
    persistence = canvas.number(30000, 150000)
    curves = random_curves(canvas, centres, angles, lengths, persistence, bend, step_px=0.4)
    brightness = canvas.lognormal(1.0, canvas.number(0.05, 0.3), n)
    return _filaments(canvas, curves, brightness, canvas.number(25, 65)) * cell.outline
