"""Fluorophore densities other than cells: photographs, letters, test charts, plain geometry.

Every chart is a function of (shape, index, generator) and gives a float32 image of that shape in
[0, 1]. Only photographs use the index: those of even and of odd scenes are never the same.
"""

import math

import cv2
import numpy as np
import skimage.data
import torch
from skimage.color import rgb2gray
from skimage.util import img_as_float32
from torch import Tensor

from bayesdl_sim.utils.sampling import integer, uniform

__all__ = ["CHARTS"]

# Shipped with scikit-image, so that nothing is downloaded. An even number, see above.
_GREY = ("camera", "brick", "coins", "grass", "moon", "gravel")
_OTHERS = ("astronaut", "chelsea", "coffee", "rocket", "page", "text")
PHOTOGRAPHS = _GREY + _OTHERS
LETTERS = "ABCDEFGHKLMNPRSTXYZabdefghkmnqrst2345678"


def photograph(shape: tuple[int, int], index: int, generator: torch.Generator) -> Tensor:
    """A random square of a photograph, turned at random, at 1 to 2 of its pixels per pixel."""
    image = getattr(skimage.data, PHOTOGRAPHS[index % len(PHOTOGRAPHS)])()
    image = rgb2gray(image) if image.ndim == 3 else img_as_float32(image)
    side = round(uniform(generator, 1.0, 2.0) * max(shape))
    side = min(side, *image.shape)
    top = integer(generator, 0, image.shape[0] - side + 1)
    left = integer(generator, 0, image.shape[1] - side + 1)
    square = image[top : top + side, left : left + side].astype(np.float32)
    square = np.rot90(square, integer(generator, 0, 4)).copy()
    image = cv2.resize(square, shape[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy((image - image.min()) / max(image.max() - image.min(), 1e-6))


def siemens_star(shape: tuple[int, int], index: int, generator: torch.Generator) -> Tensor:
    """12 to 48 spokes around a random place."""
    y, x = _grid(shape)
    centre_y, centre_x = (uniform(generator, 0.3, 0.7) * n for n in shape)
    spokes, turn = integer(generator, 12, 49), uniform(generator, 0, 2 * math.pi)
    radius = torch.hypot(y - centre_y, x - centre_x)
    spoke = torch.sin(spokes * torch.atan2(y - centre_y, x - centre_x) + turn) > 0
    return (spoke & (radius < uniform(generator, 0.35, 0.7) * max(shape))).float()


def line_pairs(shape: tuple[int, int], index: int, generator: torch.Generator) -> Tensor:
    """Rectangles of parallel lines with periods of 3 to 16 pixels, each at its own angle."""
    y, x = _grid(shape)
    image = torch.zeros(shape)
    for _ in range(max(4, math.prod(shape) // 4000)):
        centre = [uniform(generator, 0, n) for n in shape]
        angle, period = uniform(generator, 0, math.pi), uniform(generator, 3, 16)
        across = (x - centre[1]) * math.cos(angle) + (y - centre[0]) * math.sin(angle)
        along = (y - centre[0]) * math.cos(angle) - (x - centre[1]) * math.sin(angle)
        half = uniform(generator, 12, 40)
        inside = (across.abs() < half) & (along.abs() < half)
        lines = (torch.remainder(across, period) < period / 2).float()
        image = torch.where(inside, lines, image)
    return image


def letters(shape: tuple[int, int], index: int, generator: torch.Generator) -> Tensor:
    """Words of random letters, sizes and directions."""
    image = np.zeros(shape, np.uint8)
    for _ in range(max(6, math.prod(shape) // 2000)):
        picks = [integer(generator, 0, len(LETTERS)) for _ in range(integer(generator, 1, 7))]
        word = "".join(LETTERS[pick] for pick in picks)
        canvas = np.zeros(shape, np.uint8)
        place = [integer(generator, 0, n) for n in shape]
        scale, thick = uniform(generator, 0.3, 1.2), integer(generator, 1, 4)
        cv2.putText(canvas, word, place[::-1], cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick)
        turn = cv2.getRotationMatrix2D(
            (float(place[1]), float(place[0])), uniform(generator, -180, 180), 1.0
        )
        image = np.maximum(image, cv2.warpAffine(canvas, turn, shape[::-1]))
    return torch.from_numpy(image.astype(np.float32) / 255)


def polygons(shape: tuple[int, int], index: int, generator: torch.Generator) -> Tensor:
    """Filled polygons of 3 to 7 corners and random brightness, later ones on top."""
    image = np.zeros(shape, np.float32)
    for _ in range(max(5, math.prod(shape) // 4000)):
        corners = integer(generator, 3, 8)
        centre = [uniform(generator, 0, n) for n in shape]
        angles = sorted(uniform(generator, 0, 2 * math.pi) for _ in range(corners))
        radii = [uniform(generator, 6, 45) for _ in range(corners)]
        points = [
            (centre[1] + r * math.cos(a), centre[0] + r * math.sin(a))
            for r, a in zip(radii, angles, strict=True)
        ]
        outline = np.array(points).round().astype(np.int32)
        cv2.fillPoly(image, [outline], uniform(generator, 0.3, 1.0))
    return torch.from_numpy(image)


def checkerboard(shape: tuple[int, int], index: int, generator: torch.Generator) -> Tensor:
    """Squares of 3 to 20 pixels, each board turned, every square bright or dark at random."""
    y, x = _grid(shape)
    angle, side = uniform(generator, 0, math.pi), uniform(generator, 3, 20)
    u = ((x * math.cos(angle) + y * math.sin(angle)) / side).floor().long()
    v = ((y * math.cos(angle) - x * math.sin(angle)) / side).floor().long()
    u, v = u - u.min(), v - v.min()
    bright = torch.rand((int(u.max()) + 1, int(v.max()) + 1), generator=generator) < 0.5
    return bright[u, v].float()


CHARTS = {
    "photographs and textures": photograph,
    "letters": letters,
    "Siemens star": siemens_star,
    "line pairs": line_pairs,
    "filled polygons": polygons,
    "random checkerboards": checkerboard,
}


def _grid(shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    return torch.arange(shape[0])[:, None] + 0.0, torch.arange(shape[1])[None, :] + 0.0
