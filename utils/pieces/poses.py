"""The eight poses of the square grid: quarter turns, then left and right exchanged."""

import torch
from torch import Tensor

__all__ = ["POSES", "turn", "turn_back"]

POSES = 8


def turn(image: Tensor, pose: int) -> Tensor:
    """The last two axes in one of the eight poses, by its number; 0 is upright."""
    image = torch.rot90(image, pose % 4, (-2, -1))
    return image.flip(-1) if pose // 4 % 2 else image


def turn_back(image: Tensor, pose: int) -> Tensor:
    """Undoes `turn`."""
    return torch.rot90(image.flip(-1) if pose // 4 % 2 else image, -(pose % 4), (-2, -1))
