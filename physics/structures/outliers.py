"""Fluorophore densities that look like no cell, for a functional prior beyond the training data.

Three are drawn from nothing, three are made of a cell's density. Each function takes the density of
a cell (2H, 2W) and a generator, and gives a density of the same shape, not negative.
"""

import math

import torch
from torch import Tensor

from bayesdl_sim.physics.image_formation import soften
from bayesdl_sim.physics.optics import apply_otf, frequency_grid
from bayesdl_sim.utils.sampling import integer, uniform

__all__ = ["OUTLIER_DENSITIES"]


def random_field(cell: Tensor, generator: torch.Generator) -> Tensor:
    """Clouds and grain: Gaussian noise of a spectrum `1 / f^b`, bent by one of four curves."""
    exponent = uniform(generator, 0.5, 3.0)
    frequency = frequency_grid(cell.shape).clamp(min=1e-3)
    field = apply_otf(torch.randn(cell.shape, generator=generator), frequency ** (-exponent / 2))
    field = (field - field.mean()) / field.std()
    curve, strength = integer(generator, 0, 4), uniform(generator)
    if curve == 0:
        return torch.exp((0.3 + 0.7 * strength) * field)
    if curve == 1:
        return (field + 1 + 2 * strength).clamp(min=0)
    if curve == 2:
        return torch.sigmoid((2 + 8 * strength) * field)
    return field.abs()


def discs(cell: Tensor, generator: torch.Generator) -> Tensor:
    """Flat discs of many sizes and brightnesses, later ones on top."""
    rows, columns = (torch.arange(n) + 0.0 for n in cell.shape)
    image, largest = torch.zeros(cell.shape), uniform(generator, 8, 50)
    for _ in range(integer(generator, 20, 150)):
        radius = largest * uniform(generator, 0.15, 1)
        row, column = (uniform(generator, 0, n) for n in cell.shape)
        inside = (rows[:, None] - row).square() + (columns - column).square() < radius**2
        image[inside] = uniform(generator, 0.1, 1)
    return image


def waves(cell: Tensor, generator: torch.Generator) -> Tensor:
    """A few overlapping plane waves with periods of 6 to 80 pixels."""
    rows, columns = (torch.arange(n) + 0.0 for n in cell.shape)
    image = torch.zeros(cell.shape)
    for _ in range(integer(generator, 2, 9)):
        angle, start = uniform(generator, 0, 2 * math.pi), uniform(generator, 0, 2 * math.pi)
        period = math.exp(uniform(generator, math.log(6), math.log(80)))
        along = rows[:, None] * math.sin(angle) + columns * math.cos(angle)
        height = uniform(generator, 0.2, 1)
        image += height * torch.cos(2 * math.pi / period * along + start)
    image = (image - image.min()) / (image.max() - image.min())
    return image ** uniform(generator, 0.5, 3)


def inverted(cell: Tensor, generator: torch.Generator) -> Tensor:
    """The cell as dark lines on a bright ground."""
    blurred = soften(cell, uniform(generator, 1.0, 3.0), pixel_size_nm=1.0)  # in pixels
    bright = blurred.flatten().sort().values[int(0.99 * blurred.numel())].clamp(min=1e-9)
    return 1 - (blurred / bright).clamp(0, 1)


def scrambled(cell: Tensor, generator: torch.Generator) -> Tensor:
    """The cell's power spectrum with random phases."""
    noise = torch.fft.rfft2(torch.randn(cell.shape, generator=generator))
    spectrum = torch.fft.rfft2(cell).abs() * noise / noise.abs().clamp(min=1e-9)
    image = torch.fft.irfft2(spectrum, s=cell.shape)
    return (image - image.flatten().sort().values[image.numel() // 5]).clamp(min=0)


def magnified(cell: Tensor, generator: torch.Generator) -> Tensor:
    """The surroundings of the cell's brightest place, three to five times as large."""
    factor = integer(generator, 3, 6)
    height, width = (n // factor + 1 for n in cell.shape)
    brightest = int(cell.argmax())
    row, column = divmod(brightest, cell.shape[1])
    part = cell.roll((height // 2 - row, width // 2 - column), (0, 1))[:height, :width]
    image = torch.nn.functional.interpolate(part[None, None], size=cell.shape, mode="bicubic")
    return image[0, 0].clamp(min=0)


OUTLIER_DENSITIES = {
    "random field": random_field,
    "discs": discs,
    "waves": waves,
    "inverted cell": inverted,
    "scrambled cell": scrambled,
    "magnified cell": magnified,
}
