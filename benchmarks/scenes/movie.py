"""A simulated live F-actin movie: most of it is static, patches of it move or are rebuilt."""

from typing import NamedTuple

import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import patterns
from bayesdl_sim.physics.image_formation import (
    Grid,
    bin_to_camera,
    blur,
    excite,
    grid_for,
    lit_median,
    raw_counts,
    soften,
)
from bayesdl_sim.physics.microscopes import Microscope, biosr_microscope
from bayesdl_sim.physics.optics import apply_otf, otf, target_otf
from bayesdl_sim.physics.structures.mixture import draw
from bayesdl_sim.utils.sampling import generator_from

__all__ = ["Movie", "simulate_movie"]

PLACES = ((0.28, 0.30), (0.34, 0.72), (0.72, 0.36), (0.68, 0.74))  # of the field; patches' centres
RADIUS = 0.10  # of the field
EDGE = 0.05  # of a patch's weight; where it ends
SHIFT = 1.0  # super-resolved pixels per frame, along rows and columns, in patches that move
SOFTNESS_NM = 40.0  # the filaments' own width
BACKGROUND = 0.1  # uniform light, as a share of the mean of the first frame
CHANGED, STATIC = 0.05, 0.005  # of the largest target value: what counts as which


class Movie(NamedTuple):
    """Raw stacks and truth of every time point, all on one intensity scale.

    Attributes:
        raw: (T, 9, H, W) counts.
        target: (T, 2H, 2W), the largest value of the first frame is 1.
        pixel_size_nm: pixel size of the target.
        patches: (P, 2H, 2W) boolean, where structure may change.
    """

    raw: Tensor
    target: Tensor
    pixel_size_nm: float
    patches: Tensor

    @property
    def changed(self) -> Tensor:
        """Map from each time point to the next of where the truth has changed: (T - 1, 2H, 2W)."""
        return self.target.diff(dim=0).abs() > CHANGED

    @property
    def static(self) -> Tensor:
        """The same for where it has not; pixels in between belong to neither."""
        return self.target.diff(dim=0).abs() < STATIC


def simulate_movie(frames: int, size: int, signal_e: float, seed: int) -> Movie:
    """A movie of one microscope; a function of these arguments alone.

    Two patches move by `SHIFT` pixels per frame along rows and columns; two hold another network
    from one frame on (about a third and two thirds of the way). Everything else stands still, so
    that only noise differs there.

    Args:
        frames: time points, at least 2.
        size: raw pixels per side.
        signal_e: electrons per lit pixel.
    """
    generator = generator_from(seed, 1)
    microscope = biosr_microscope(generator)
    grid = grid_for((size, size))
    pixel_size_nm = microscope.optics.pixel_size_nm / 2

    def network() -> Tensor:
        filaments = draw("F-actin", grid.shape, pixel_size_nm, generator, 0.4)
        return soften(filaments, SOFTNESS_NM, pixel_size_nm)

    first, other = network(), network()
    windows = _windows(grid)
    structures = [_structure(first, other, windows, t, frames) for t in range(frames)]
    expected = _expected(structures, microscope, grid)
    raw = torch.stack([raw_counts(stack, signal_e, microscope, generator) for stack in expected])
    patches = grid.crop(windows) > EDGE
    return Movie(raw, _targets(structures, microscope, grid), pixel_size_nm, patches)


def _windows(grid: Grid) -> Tensor:
    """Discs with soft edges, 1 at their centres: (P, rows, columns)."""
    height, width = grid.field
    rows = torch.arange(grid.shape[0])[:, None] - grid.top
    columns = torch.arange(grid.shape[1])[None, :] - grid.left
    distances = [torch.hypot(rows - y * height, columns - x * width) for y, x in PLACES]
    return torch.exp(-((torch.stack(distances) / (RADIUS * width)) ** 6))


def _structure(first: Tensor, other: Tensor, windows: Tensor, t: int, frames: int) -> Tensor:
    """The first structure, with the patches as they are at time t."""
    shift = round(SHIFT * t)
    moved = torch.roll(first, (shift, shift), dims=(0, 1))
    rebuilt = [other if t >= round(frames * part) else first for part in (1 / 3, 2 / 3)]
    contents = (moved, rebuilt[0], rebuilt[1], moved)
    change = [w * (content - first) for w, content in zip(windows, contents, strict=True)]
    return first + torch.stack(change).sum(dim=0)


def _expected(structures: list[Tensor], microscope: Microscope, grid: Grid) -> Tensor:
    """Noise-free frames (T, 9, H, W) on the scale of the first, whose lit median is 1.

    `physics.image_formation.expected_frames` would scale every time point by itself.
    """
    light = patterns(microscope.illumination, grid.shape)
    transfer = otf(microscope.optics, grid.shape)
    stacks = [blur(excite(structure, light), transfer) for structure in structures]
    frames = torch.stack([grid.crop(bin_to_camera(stack), binning=2) for stack in stacks])
    frames = frames + BACKGROUND * frames[0].mean()
    return frames / lit_median(frames[0].mean(dim=0))


def _targets(structures: list[Tensor], microscope: Microscope, grid: Grid) -> Tensor:
    frequency = microscope.illumination.mean_frequency
    transfer = target_otf(microscope.optics, frequency, grid.shape)
    images = grid.crop(apply_otf(torch.stack(structures), transfer)).clamp(min=0.0)
    return images / images[0].max()
