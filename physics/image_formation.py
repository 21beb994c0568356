"""Image formation of 2D-SIM as a chain of named stages.

structure -> soften -> excite -> blur -> bin_to_camera -> add_haze -> raw_counts (camera).
Axes of every stage: (..., rows, columns); nine frames first where there are nine.
"""

from typing import NamedTuple

import scipy.fft
import torch
from torch import Tensor

from bayesdl_sim.physics.illumination import patterns
from bayesdl_sim.physics.microscopes import Microscope
from bayesdl_sim.physics.optics import apply_otf, frequency_grid, otf, target_otf
from bayesdl_sim.physics.sensor.camera import CameraMaps, expose

__all__ = [
    "Grid",
    "add_haze",
    "bin_to_camera",
    "blur",
    "grid_for",
    "excite",
    "expected_frames",
    "lit_median",
    "raw_counts",
    "soften",
    "target_image",
]

MARGIN = 16  # super-resolution pixels kept free around the field, since the FFT is periodic
LIT_SHARE = 0.1  # a pixel is lit above this share of the range of the wide field


class Grid(NamedTuple):
    """A periodic super-resolution grid that holds the field with a margin.

    Attributes:
        shape: (rows, columns) in super-resolution pixels, quick to transform.
        field: (2H, 2W), the part that the camera sees.
        top, left: where the field starts; even, so that camera pixels stay aligned.
    """

    shape: tuple[int, int]
    field: tuple[int, int]
    top: int
    left: int

    def crop(self, image: Tensor, binning: int = 1) -> Tensor:
        """The field out of (..., rows, columns); `binning` 2 on the camera grid."""
        top, left = self.top // binning, self.left // binning
        height, width = self.field[0] // binning, self.field[1] // binning
        return image[..., top : top + height, left : left + width]


def grid_for(size: tuple[int, int]) -> Grid:
    """The grid for a raw field of (H, W) camera pixels."""
    field = (2 * size[0], 2 * size[1])
    shape = tuple(_even_fast_length(n + 2 * MARGIN) for n in field)
    return Grid(shape, field, MARGIN, MARGIN)


def soften(structure: Tensor, sigma_nm: float, pixel_size_nm: float) -> Tensor:
    """Gives infinitely thin drawings a width: (2H, 2W) convolved with a Gaussian, never negative.

    Real structures have a thickness, labels sit beside them, and parts lie a little out of focus.
    A network that has only seen thin lines draws thin lines everywhere.

    Args:
        sigma_nm: standard deviation of the Gaussian; 0 changes nothing.
        pixel_size_nm: pixel size of the super-resolution grid.
    """
    if sigma_nm == 0:
        return structure
    frequency = frequency_grid(structure.shape, structure.device) / 2  # cycles per fine pixel
    transfer = torch.exp(-2.0 * (torch.pi * sigma_nm / pixel_size_nm * frequency) ** 2)
    return apply_otf(structure, transfer).clamp(min=0.0)


def excite(structure: Tensor, illumination: Tensor) -> Tensor:
    """Fluorescence under each pattern: (2H, 2W) x (9, 2H, 2W) -> (9, 2H, 2W)."""
    return structure * illumination


def blur(fluorescence: Tensor, transfer: Tensor) -> Tensor:
    """Detection through the OTF; (9, 2H, 2W) -> same, never negative."""
    return apply_otf(fluorescence, transfer).clamp(min=0.0)


def bin_to_camera(image: Tensor) -> Tensor:
    """Mean over the 2 x 2 fine pixels of each camera pixel: (..., 2H, 2W) -> (..., H, W)."""
    return torch.nn.functional.avg_pool2d(image, 2)


def add_haze(frames: Tensor, haze: Tensor, fraction: float, background: float) -> Tensor:
    """Adds light that the fringes do not modulate.

    Args:
        frames: (9, H, W).
        haze: (H, W), the out-of-focus image of the structure.
        fraction: share of the in-focus light that is out of focus.
        background: uniform light, as a share of the mean of the frames.
    """
    return frames + fraction * haze + background * frames.mean()


def lit_median(wide_field: Tensor) -> Tensor:
    """Median of the wide field over its lit pixels (above a tenth of its range).

    The median over all pixels would call an image of few bright beads dark.
    """
    low, high = wide_field.min(), wide_field.max()
    return wide_field[wide_field >= low + LIT_SHARE * (high - low)].median()


def expected_frames(structure: Tensor, microscope: Microscope, grid: Grid) -> Tensor:
    """The nine noise-free frames (9, H, W) of a structure, scaled so that `lit_median` is 1."""
    device = structure.device
    light = patterns(microscope.illumination, grid.shape, device)
    frames = blur(excite(structure, light), otf(microscope.optics, grid.shape, device))
    # sigma in raw pixels; the transfer function of a Gaussian is a Gaussian
    sigma = microscope.haze_sigma_nm / microscope.optics.pixel_size_nm
    frequency = frequency_grid(grid.shape, device)
    defocus = torch.exp(-2.0 * (torch.pi * sigma * frequency) ** 2)
    haze = apply_otf(structure, defocus).clamp(min=0.0)
    frames = grid.crop(bin_to_camera(frames), binning=2)
    haze = grid.crop(bin_to_camera(haze[None])[0], binning=2)
    frames = add_haze(frames, haze, microscope.haze_fraction, microscope.background)
    return frames / lit_median(frames.mean(dim=0))


def raw_counts(
    expected: Tensor,
    signal_e: float,
    microscope: Microscope,
    generator: torch.Generator,
    maps: CameraMaps | None = None,
) -> Tensor:
    """Exposes the frames of `expected_frames` at a signal level.

    Args:
        signal_e: median electrons per pixel over the lit pixels of the wide field.

    Returns:
        (9, H, W) counts.
    """
    return expose(expected * signal_e, microscope.camera, generator, maps)


def target_image(structure: Tensor, microscope: Microscope, grid: Grid) -> Tensor:
    """The structure through the apodised OTF of the extended support: (2H, 2W), max 1.

    See `optics.target_otf` for the reason.
    """
    transfer = target_otf(
        microscope.optics,
        microscope.illumination.mean_frequency,
        grid.shape,
        structure.device,
    )
    image = grid.crop(apply_otf(structure, transfer)).clamp(min=0.0)
    return image / image.max()


def _even_fast_length(n: int) -> int:
    length = scipy.fft.next_fast_len(n, real=True)
    while length % 2:
        length = scipy.fft.next_fast_len(length + 1, real=True)
    return length
